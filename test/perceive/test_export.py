"""Artefacts of the systems: nodes find every graph in them, and PyTorch's results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.testing import assert_allclose
import pytest
from tiny import e2e_mfd, lite, rgbt, small_backbones

pytest.importorskip('openvino', reason='needs OpenVINO')

from thermal_perception.backends import compiled
from thermal_perception.backends.artefact import read_record
from thermal_perception.errors import BackendError, ConfigError
from thermal_perception.models.checkpoint import (
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
    save_random,
)
from thermal_perception.perceive import Perceiver
from thermal_perception.perceive.export import export, graphs_of
from thermal_perception.perceive.systems import make_system
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ('person', 'car')
SIZE = (64, 64)


@pytest.fixture(scope='module', autouse=True)
def _small() -> Iterator[None]:
    with small_backbones():
        yield


def save(folder: Path, architecture: str, config: dict, names=NAMES) -> Path:
    """Write random weights of a small network that knows a size."""
    path = folder / f'{architecture}.safetensors'
    save_random(path, CheckpointInfo('tiny', architecture, config, {}, names, SIZE, 0.0))
    return path


@pytest.fixture(scope='module')
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return weights for one camera, their artefact beside them."""
    path = save(tmp_path_factory.mktemp('single'), 'fusion_detr', lite(NAMES))
    export(path, 'openvino')
    return path


def noise(modality: str, seed: int = 0) -> Frame:
    shape = (*SIZE, 3) if modality == 'rgb' else SIZE
    image = np.random.default_rng(seed).integers(255, size=shape).astype(np.uint8)
    encoding = 'bgr8' if modality == 'rgb' else 'mono8'
    return Frame(image, 7, 'optical', modality, encoding, valid_bits=8)


def no_tracer(*_: object) -> None:
    raise AssertionError('traced, although an artefact has the graph')


def test_artefact_beside_the_weights_spares_tracing_and_gives_what_pytorch_gives(
    single: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    perceiver = Perceiver.load(single, device='cpu', backend='openvino', precision='fp32')
    perceiver.warm_up(SIZE)
    expected = Perceiver.load(single, device='cpu')
    for seed in range(3):
        frames = FrameSet(thermal=noise('thermal', seed))
        found, wanted = perceiver(frames), expected(frames)
        assert len(found.detections) == len(wanted.detections) > 0
        assert_allclose(found.detections.scores, wanted.detections.scores, atol=1e-4)
        assert_allclose(found.detections.boxes_xyxy_px, wanted.detections.boxes_xyxy_px, atol=0.05)
        assert found.fusion is not None
        assert_allclose(found.fusion.alpha_hat, wanted.fusion.alpha_hat, atol=1e-4)
    (note,) = perceiver.backend_notes
    assert note == f'artefact: 1 graphs from {single.with_suffix(".openvino")}'
    assert perceiver.degraded == ''


def test_weights_trained_on_do_not_take_the_old_artefact(single: Path):
    loaded = load_checkpoint(single)
    other = single.with_name('other.safetensors')
    state = {
        name: value * 0.5 if 'weight' in name else value for name, value in loaded.state.items()
    }
    save_checkpoint(other, state, loaded.info)
    perceiver = Perceiver.load(
        other, backend='openvino', precision='fp32', artefact=single.with_suffix('.openvino')
    )
    (note,) = perceiver.backend_notes
    fingerprint = load_checkpoint(other).fingerprint
    assert f"found fingerprint '{loaded.fingerprint}', expected '{fingerprint}'" in note


def test_artefact_says_what_it_is(single: Path):
    record, info = read_record(single.with_suffix('.openvino')), load_checkpoint(single).info
    assert (record.model, record.architecture) == ('tiny', 'fusion_detr')
    assert (record.config, record.class_names) == (info.config, NAMES)
    assert (record.image_size, record.precision) == (SIZE, 'fp32')
    assert set(record.versions) == {'thermal_perception', 'torch', 'openvino'}
    assert record.graphs[0].opset.startswith('opset')


def test_artefact_holds_nothing_but_graphs_and_json(single: Path):
    suffixes = {path.suffix for path in single.with_suffix('.openvino').iterdir()}
    assert suffixes == {'.json', '.xml', '.bin'}


def test_two_cameras_have_graphs_together_and_alone_for_every_set_of_results(tmp_path: Path):
    path = save(tmp_path, 'e2e_mfd', e2e_mfd(NAMES))
    names = graphs_of(make_system(load_checkpoint(path)), SIZE)
    assert len(names) == 9
    assert next(iter(names.values())) == 'thermal + rgb: detections + fused_image'
    assert sum(name.startswith('rgb: ') for name in names.values()) == 3


def test_images_that_are_padded_have_graphs_of_their_own(single: Path):
    system = make_system(load_checkpoint(single))
    (padded,) = graphs_of(system, (50, 64))
    (whole,) = graphs_of(system, SIZE)
    assert padded.inputs[1] is not None
    assert whole.inputs[1] is None


def test_labels_of_either_camera_come_from_the_artefact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    names = ('unlabeled', 'car', 'person')
    path = save(tmp_path, 'rgbt_segmentation', rgbt(names), names)
    written = []
    export(path, 'openvino', on_graph=lambda name, of: written.append((name, of)))
    assert [of for _, of in written] == [3, 3, 3]
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    perceiver = Perceiver.load(path, device='cpu', backend='openvino', precision='fp32')
    expected = Perceiver.load(path, device='cpu')
    both = FrameSet(noise('thermal'), noise('rgb'))
    for frames in (both, replace(both, rgb=None), replace(both, thermal=None)):
        found, wanted = perceiver(frames).segmentation, expected(frames).segmentation
        assert (found.labels == wanted.labels).mean() > 0.999
    assert perceiver.degraded == ''


def test_size_must_be_known(tmp_path: Path):
    path = tmp_path / 'any.safetensors'
    save_random(path, CheckpointInfo('tiny', 'fusion_detr', lite(NAMES), {}, NAMES))
    with pytest.raises(BackendError, match='states no size of images, expected one by --size'):
        export(path, 'openvino')


def test_nothing_is_left_where_an_export_failed(single: Path, monkeypatch: pytest.MonkeyPatch):
    before = sorted(path.name for path in single.parent.iterdir())

    def fail(*_: object) -> None:
        raise RuntimeError('no')

    monkeypatch.setattr('thermal_perception.backends.openvino_export.export', fail)
    with pytest.raises(RuntimeError, match='no'):
        export(single, 'openvino', folder=single.parent / 'another')
    with pytest.raises(ConfigError, match='exists already'):
        export(single, 'openvino')
    assert sorted(path.name for path in single.parent.iterdir()) == before
