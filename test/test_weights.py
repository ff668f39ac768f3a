"""What the repository ships as weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')

import torch

from thermal_perception.backends.openvino_backend import openvino_abilities
from thermal_perception.cli.benchmark.scene import colour_image, thermal_counts
from thermal_perception.cli.evaluate import evaluate, EvaluateOptions
from thermal_perception.errors import BackendError
from thermal_perception.evaluation.cooperative import CooperativeModel, CooperativeOptions
from thermal_perception.evaluation.dair import read_frames
from thermal_perception.evaluation.image_files import thermal_frame
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.perceive import Perceiver
from thermal_perception.perceive.cooperative import RoadsidePerceiver, VehiclePerceiver
from thermal_perception.types import Frame, FrameSet
from training.simulate_v2x import simulate, V2xOptions

SHIPPED = sorted((Path(__file__).parents[1] / 'weights').glob('*.safetensors'))
SINGLE = [path for path in SHIPPED if path.stem != 'emiff_lite']  # the models of one node
PARTS = (RoadsidePerceiver, VehiclePerceiver)
LIMIT_BYTES, LIMIT_OF_ALL_BYTES = 24_000_000, 80_000_000


def directories(values):
    """Yield every `directory` of nested lists and mappings."""
    if isinstance(values, dict):
        yield from ([values['directory']] if 'directory' in values else [])
        values = values.values()
    if not isinstance(values, str):
        for value in values if hasattr(values, '__iter__') else ():
            yield from directories(value)


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_load_with_a_card_that_names_them(path):
    checkpoint = load_checkpoint(path)
    assert f'`{checkpoint.fingerprint}`' in path.with_suffix('.md').read_text()
    assert checkpoint.info.metrics
    assert path.stat().st_size <= LIMIT_BYTES


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_tell_no_folder_of_a_machine(path):
    found = list(directories(load_checkpoint(path).info.training))
    assert found
    assert not [folder for folder in found if Path(folder).is_absolute()]


def test_all_shipped_weights_together_are_small():
    assert SHIPPED
    assert sum(path.stat().st_size for path in SHIPPED) <= LIMIT_OF_ALL_BYTES


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
@pytest.mark.parametrize('path', SINGLE, ids=lambda path: path.stem)
def test_shipped_weights_give_the_same_compiled(path, backend):
    pytest.importorskip(backend, reason=f'needs {backend}')
    assert_same(path, device='cpu', backend=backend, precision='fp32')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('path', SINGLE, ids=lambda path: path.stem)
def test_shipped_weights_give_the_same_in_cuda_graphs(path):
    assert_same(path, device='cuda', backend='cuda_graph', precision='fp32')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_fp16_in_cuda_graphs_moves_boxes_little():
    (path,) = (p for p in SHIPPED if p.stem == 'fusion_detr_lite')
    choice = {'device': 'cuda', 'backend': 'cuda_graph', 'precision': 'fp16'}
    assert_same(path, **choice, least=0.3, count=5)


def assert_same(path, *, device, least=0.01, count=11, **choice):
    """Compare with eager PyTorch: 0.5 px and 0.02 of scored boxes, nearly all labels."""
    size = (256, 320)
    frames = FrameSet(
        thermal_frame(thermal_counts(3, size), valid_bits=14),
        Frame(colour_image(3, size), 0, '', 'rgb'),
    )
    expected = Perceiver.load(path, device=device)(frames)
    perceiver = Perceiver.load(path, device=device, **choice)
    perceiver(frames)
    found = perceiver(frames)
    assert perceiver.degraded == ''
    if expected.segmentation is not None:
        assert len(np.unique(expected.segmentation.labels)) > 2
        assert (found.segmentation.labels == expected.segmentation.labels).mean() > 0.999
        return
    boxes, sure = expected.detections, expected.detections.scores >= least  # others change places
    assert sure.sum() >= count
    for box, score, label in zip(
        boxes.boxes_xyxy_px[sure], boxes.scores[sure], boxes.labels[sure]
    ):
        off_px = np.abs(found.detections.boxes_xyxy_px - box).max(axis=1)
        off_px[found.detections.labels != label] = np.inf
        assert off_px.min() < 0.5
        assert abs(found.detections.scores[off_px.argmin()] - score) < 0.02
    if expected.fused is not None:
        off = np.abs(found.fused.image.astype(float) - expected.fused.image)
        assert off.max() <= 1


def half_precisions():
    """Yield what this machine may run in half precision: device, backend, precision."""
    if 'BF16' in _abilities():
        yield 'cpu', 'openvino', 'bf16'
    if torch.cuda.is_available():
        yield from (('cuda', 'cuda_graph', precision) for precision in ('bf16', 'fp16'))


def _abilities():
    try:
        return openvino_abilities()
    except BackendError:
        return ()


@pytest.mark.slow
@pytest.mark.parametrize(('device', 'backend', 'precision'), half_precisions())
def test_half_precision_loses_no_more_than_three_thousandths(
    real_data, tmp_path, device, backend, precision
):
    def score(**choice):
        path, dataset = tmp_path / 'scores.json', real_data / 'hit_uav'
        evaluate(
            EvaluateOptions(
                dataset=dataset, split='val', json=path, threads=1, device=device, **choice
            )
        )
        return json.loads(path.read_text())['metrics']['mAP50']

    assert score(backend=backend, precision=precision) > score() - 0.003


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_shipped_weights_of_vehicle_and_roadside_find_cars_compiled_too(tmp_path, backend):
    pytest.importorskip(backend, reason=f'needs {backend}')
    path = next(p for p in SHIPPED if p.stem == 'emiff_lite')
    simulate(V2xOptions(tmp_path, 'val', 'day', 1, frames_per_scene=1, delays=0, seed=8))
    (frame,) = read_frames(tmp_path, 'val')

    def boxes(**choice):
        parts = (kind.load(path, device='cpu', **choice) for kind in PARTS)
        return CooperativeModel(*parts)(frame, CooperativeOptions(score_threshold=0.3))

    expected = boxes()
    found = boxes(backend=backend, precision='fp32')
    assert len(expected)
    nearest = np.linalg.norm(frame.truth.centres_m[:, None] - expected.centres_m, axis=2).min(0)
    assert np.median(nearest) < 2.0
    np.testing.assert_allclose(found.centres_m, expected.centres_m, atol=0.02)
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.01)
