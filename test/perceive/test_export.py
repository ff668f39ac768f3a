"""Artefacts of the systems: nodes find every graph in them, and PyTorch's results."""

from __future__ import annotations

from dataclasses import replace
import shutil
import sys
from typing import NamedTuple, TYPE_CHECKING

import numpy as np
from numpy.testing import assert_allclose
import pytest
from tiny import e2e_mfd, lite, rgbt, small_backbones
import torch
from tracer_here import TracerHere

from thermal_perception.backends import compiled
from thermal_perception.backends.artefact import read_record
from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.graph_format import Quantised
from thermal_perception.backends.tracing import Signature, Traced
from thermal_perception.errors import BackendError, ConfigError
from thermal_perception.models.checkpoint import (
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
    save_random,
)
from thermal_perception.perceive import Perceiver
from thermal_perception.perceive.export import export, graphs_of
from thermal_perception.perceive.system import black_frames
from thermal_perception.perceive.systems import make_system
from thermal_perception.types import Frame, FrameSet, Perception

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


class Single(NamedTuple):
    """Weights for one camera, their artefact beside them."""

    path: Path
    kind: str
    backend: str
    suffixes: set[str]

    @property
    def folder(self) -> Path:
        return self.path.with_suffix(f'.{self.backend}')


@pytest.fixture(scope='module', params=['openvino', 'onnx'])
def single(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Single:
    """Return an artefact of each kind."""
    path = save(tmp_path_factory.mktemp('single'), 'fusion_detr', lite(NAMES))
    if request.param == 'openvino':
        pytest.importorskip('openvino', reason='needs OpenVINO')
        found = Single(path, 'openvino', 'openvino', {'.xml', '.bin'})
    else:
        needs_onnx()
        found = Single(path, 'onnx', 'onnxruntime', {'.onnx'})
    export(path, found.kind, together=2)
    return found


def needs_onnx() -> None:
    pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
    pytest.importorskip('onnxscript', reason='needs ONNX Script')


def noise(modality: str, seed: int = 0) -> Frame:
    shape = (*SIZE, 3) if modality == 'rgb' else SIZE
    image = np.random.default_rng(seed).integers(255, size=shape).astype(np.uint8)
    encoding = 'bgr8' if modality == 'rgb' else 'mono8'
    return Frame(image, 7, 'optical', modality, encoding, valid_bits=8)


def no_tracer(*_: object) -> None:
    raise AssertionError('traced, although an artefact has the graph')


def test_artefact_beside_the_weights_spares_tracing_and_gives_what_pytorch_gives(
    single: Single, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    choice = {'device': 'cpu', 'backend': single.backend, 'precision': 'fp32'}
    perceiver = Perceiver.load(single.path, **choice)
    perceiver.warm_up(SIZE)
    expected = Perceiver.load(single.path, device='cpu')
    for seed in range(3):
        frames = FrameSet(thermal=noise('thermal', seed))
        found, wanted = perceiver(frames), expected(frames)
        assert len(found.detections) == len(wanted.detections) > 0
        assert_allclose(found.detections.scores, wanted.detections.scores, atol=1e-4)
        assert_allclose(found.detections.boxes_xyxy_px, wanted.detections.boxes_xyxy_px, atol=0.05)
        assert found.fusion is not None
        assert_allclose(found.fusion.alpha_hat, wanted.fusion.alpha_hat, atol=1e-4)
    (note,) = perceiver.backend_notes
    assert note == f'artefact: 2 graphs from {single.folder}'
    assert perceiver.degraded == ''


def run_together(perceiver: Perceiver, frames: list[FrameSet]) -> list[Perception]:
    """Return the results of one call; fail if they come from several."""
    found = perceiver.run([perceiver.prepare(one) for one in frames])
    assert perceiver.batches.problem == ''
    assert perceiver.degraded == ''
    return [one for one in found if not isinstance(one, Exception)]


def test_images_of_two_nodes_go_together_by_a_graph_of_the_artefact(
    single: Single, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    choice = {'device': 'cpu', 'backend': single.backend, 'precision': 'fp32'}
    frames = [FrameSet(thermal=noise('thermal', seed)) for seed in (1, 2)]
    expected = Perceiver.load(single.path, device='cpu')
    found = run_together(Perceiver.load(single.path, **choice), frames)
    assert len(found) == 2
    for one, alone in zip(found, map(expected, frames)):
        assert_allclose(one.detections.scores, alone.detections.scores, atol=1e-4)
        assert_allclose(one.detections.boxes_xyxy_px, alone.detections.boxes_xyxy_px, atol=0.05)
    first, second = (one.detections.scores for one in found)
    assert (first != second).any()


def test_weights_trained_on_do_not_take_the_old_artefact(single: Single):
    loaded = load_checkpoint(single.path)
    other = single.path.with_name('other.safetensors')
    state = {
        name: value * 0.5 if 'weight' in name else value for name, value in loaded.state.items()
    }
    save_checkpoint(other, state, loaded.info)
    perceiver = Perceiver.load(
        other, device='cpu', backend=single.backend, precision='fp32', artefact=single.folder
    )
    (note,) = perceiver.backend_notes
    fingerprint = load_checkpoint(other).fingerprint
    assert f"found fingerprint '{loaded.fingerprint}', expected '{fingerprint}'" in note


def test_artefact_says_what_it_is(single: Single):
    record, info = read_record(single.folder), load_checkpoint(single.path).info
    assert (record.model, record.architecture) == ('tiny', 'fusion_detr')
    assert record.backend == single.backend
    assert (record.config, record.class_names) == (info.config, NAMES)
    assert (record.image_size, record.precision, record.together) == (SIZE, 'fp32', 2)
    names = [graph.name for graph in record.graphs]
    assert names == ['thermal: detections', 'thermal: detections, 2 together']
    writers = {'openvino': {'openvino'}, 'onnx': {'onnx', 'onnxscript'}}[single.kind]
    assert set(record.versions) == {'thermal_perception', 'torch', *writers}
    assert record.graphs[0].opset.startswith('opset')


def test_artefact_holds_nothing_but_graphs_and_json(single: Single):
    suffixes = {path.suffix for path in single.folder.iterdir()}
    assert suffixes == {'.json', *single.suffixes}


def test_two_cameras_have_graphs_together_and_alone_for_every_set_of_results(tmp_path: Path):
    path = save(tmp_path, 'e2e_mfd', e2e_mfd(NAMES))
    names = graphs_of(make_system(load_checkpoint(path)), SIZE)
    assert len(names) == 9
    assert next(iter(names.values())) == 'thermal + rgb: detections + fused_image'
    assert sum(name.startswith('rgb: ') for name in names.values()) == 3


@pytest.mark.parametrize('architecture', ['fusion_detr', 'e2e_mfd', 'rgbt_segmentation'])
def test_every_call_of_nodes_that_share_a_network_has_a_graph(tmp_path: Path, architecture: str):
    config = {'fusion_detr': lite, 'e2e_mfd': e2e_mfd, 'rgbt_segmentation': rgbt}[architecture]
    perceiver = Perceiver.load(save(tmp_path, architecture, config(NAMES)), device='cpu')
    asked, run = set(), perceiver._backend

    def note(*inputs: torch.Tensor | None, **options: bool) -> object:
        asked.add(Signature.of(inputs, options))
        return run(*inputs, **options)

    perceiver._backend = note  # type: ignore[assignment]
    black = black_frames(perceiver.cameras, SIZE)
    for wanted in perceiver._system.warm_ups:
        for number in (1, 2, 3):
            perceiver.run([perceiver.prepare(black, wanted=wanted)] * number)
    names = graphs_of(perceiver._system, SIZE, together=3)
    whole = ' + '.join(perceiver.cameras)
    assert asked == {kind for kind, name in names.items() if name.startswith(f'{whole}: ')}
    assert len(names) == len(graphs_of(perceiver._system, SIZE)) + 2 * len(asked) / 3


def test_images_that_are_padded_have_graphs_of_their_own(tmp_path: Path):
    path = save(tmp_path, 'fusion_detr', lite(NAMES))
    system = make_system(load_checkpoint(path))
    (padded,) = graphs_of(system, (50, 64))
    (whole,) = graphs_of(system, SIZE)
    assert padded.inputs == whole.inputs
    assert dict(padded.options) == {'content': (50, 64)}
    assert dict(whole.options) == {'content': SIZE}


@pytest.mark.slow
def test_labels_of_either_camera_come_from_the_artefact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip('openvino', reason='needs OpenVINO')
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


@pytest.mark.slow
@pytest.mark.parametrize('architecture', ['e2e_mfd', 'rgbt_segmentation'])
def test_networks_of_two_cameras_give_the_same_in_onnx_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str
):
    needs_onnx()
    monkeypatch.setattr(compiled, 'Tracer', TracerHere)
    config = {'e2e_mfd': e2e_mfd, 'rgbt_segmentation': rgbt}[architecture](NAMES)
    path = save(tmp_path, architecture, config)
    frames = FrameSet(noise('thermal'), noise('rgb'))
    perceiver = Perceiver.load(path, device='cpu', backend='onnxruntime')
    found, wanted = perceiver(frames), Perceiver.load(path, device='cpu')(frames)
    assert (perceiver.backend, perceiver.degraded) == ('onnxruntime fp32', '')
    if architecture == 'rgbt_segmentation':
        assert len(np.unique(wanted.segmentation.labels)) == 2
        assert (found.segmentation.labels == wanted.segmentation.labels).mean() > 0.999
        return
    assert len(found.detections) == len(wanted.detections) > 0
    assert_allclose(found.detections.scores, wanted.detections.scores, atol=1e-4)
    assert_allclose(found.detections.boxes_xyxy_px, wanted.detections.boxes_xyxy_px, atol=0.05)
    assert np.abs(found.fused.image.astype(float) - wanted.fused.image).max() <= 1


def images(cameras) -> Iterator[FrameSet]:
    """Yield three moments, as some cameras saw them."""
    for seed in range(3):
        yield FrameSet(**{modality: noise(modality, seed) for modality in cameras})


@pytest.fixture(scope='module', params=['openvino', 'onnx'])
def int8(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Single:
    """Return an int8 artefact of each kind."""
    needs_onnx()
    if request.param == 'openvino':
        pytest.importorskip('openvino', reason='needs OpenVINO')
    backend = {'openvino': 'openvino', 'onnx': 'onnxruntime'}[request.param]
    path = save(tmp_path_factory.mktemp('int8'), 'fusion_detr', lite(NAMES))
    found = Single(path, request.param, f'{backend}-int8', set())
    assert export(path, found.kind, together=2, calibrate=images).folder == found.folder
    return found


def test_int8_artefact_says_what_it_is(int8: Single):
    record = read_record(int8.folder)
    assert (record.precision, record.calibration) == ('int8', 3)
    assert {'onnx', 'onnxscript', 'onnxruntime'} <= set(record.versions)
    graph, batch = record.graphs
    assert (batch.int8, batch.floating) == (graph.int8, graph.floating)
    assert set(graph.int8) == {'Conv'}
    assert graph.int8['Conv'] > 10
    assert graph.floating['Conv'] >= 2
    assert graph.floating['MatMul'] > 10


def test_int8_artefact_runs_where_int8_is_asked_for(int8: Single, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    backend = int8.backend.removesuffix('-int8')
    perceiver = Perceiver.load(int8.path, device='cpu', backend=backend, precision='int8')
    frames = FrameSet(thermal=noise('thermal'))
    found, wanted = perceiver(frames), Perceiver.load(int8.path, device='cpu')(frames)
    assert perceiver.backend == f'{backend} int8'
    assert perceiver.degraded == ''
    assert len(found.detections) == len(wanted.detections) > 0
    scores = [sorted(x.detections.scores) for x in (found, wanted)]
    assert_allclose(*scores, atol=0.05)
    assert not np.array_equal(*scores)  # numbers were rounded indeed


def test_int8_is_never_traced_and_eager_pytorch_runs_other_sizes(
    int8: Single, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    backend = int8.backend.removesuffix('-int8')
    perceiver = Perceiver.load(int8.path, device='cpu', backend=backend, precision='int8')
    image = np.zeros((50, 64), np.uint8)
    perceiver(FrameSet(Frame(image, 7, 'optical', 'thermal', 'mono8', valid_bits=8)))
    kind = '1x1x64x64, content=(50, 64)'  # what is padded has a graph of its own
    assert f'{int8.folder} has no graph for inputs of {kind}' in perceiver.degraded


def test_damaged_int8_graph_is_refused_and_eager_pytorch_runs(
    int8: Single, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    folder = tmp_path / 'copy'
    shutil.copytree(int8.folder, folder)
    graph, _ = read_record(folder).graphs
    (folder / graph.graph).write_bytes(b'')
    backend = int8.backend.removesuffix('-int8')
    perceiver = Perceiver.load(
        int8.path, device='cpu', backend=backend, precision='int8', artefact=folder
    )
    perceiver.warm_up(SIZE)
    assert 'precision int8: artefact: refused: ' in perceiver.degraded
    assert perceiver.degraded.endswith('damaged or changed')


def test_int8_answers_as_many_images_together_as_it_was_made_for(int8: Single):
    backend = int8.backend.removesuffix('-int8')
    perceiver = Perceiver.load(int8.path, device='cpu', backend=backend, precision='int8')
    frames = [FrameSet(thermal=noise('thermal', seed)) for seed in (1, 2)]
    for found, alone in zip(run_together(perceiver, frames), map(perceiver, frames), strict=True):
        # Both graphs have the ranges of the same images.
        assert_allclose(found.detections.scores, alone.detections.scores, atol=0.01)
    found = perceiver.run([perceiver.prepare(frames[0])] * 3)
    assert [type(one) for one in found] == [Perception] * 3
    assert '3 together failed: precision int8: ' in perceiver.batches.text
    kind = '3x1x64x64, content=(64, 64)'
    text = f'{int8.folder} has no graph for inputs of {kind}, see export --cameras'
    assert text in perceiver.batches.text
    assert perceiver.degraded == ''


def test_every_image_calibrates_the_graphs_of_images_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    needs_onnx()
    given = {}

    def quantise(traced: Traced, path: Path, samples: Iterator) -> Quantised:
        given[len(traced.examples[0])] = [image for (image,) in samples]
        path.touch()
        traced.layout.numbers = None
        return Quantised('opset1', {}, {})

    monkeypatch.setitem(FORMATS, 'onnx', FORMATS['onnx']._replace(quantise=quantise))
    path = save(tmp_path, 'fusion_detr', lite(NAMES))
    record = export(path, 'onnx', together=2, calibrate=images).record
    assert record.calibration == 3
    first, second, third = given[1]
    assert not np.array_equal(first, second)
    expected = [np.concatenate(pair) for pair in ((first, second), (third, third))]
    assert np.array_equal(given[2], expected)


def test_int8_is_taken_by_nobody_who_did_not_ask_for_it(int8: Single):
    backend = int8.backend.removesuffix('-int8')
    choice = {'device': 'cpu', 'backend': backend}
    assert Perceiver.load(int8.path, **choice).backend_notes == ()
    named = Perceiver.load(int8.path, **choice, artefact=int8.folder)
    (note,) = named.backend_notes
    assert note.endswith("found precision 'int8', expected 'fp32'")


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_int8_without_its_artefact_names_the_command_that_makes_one(tmp_path: Path, backend: str):
    pytest.importorskip(backend, reason='needs the run-time')
    path = save(tmp_path, 'fusion_detr', lite(NAMES))
    kind = {'openvino': 'openvino', 'onnxruntime': 'onnx'}[backend]
    text = f'export {path} --to {kind} --precision int8 --calibrate DIR'
    with pytest.raises(BackendError, match=text) as caught:
        Perceiver.load(path, device='cpu', backend=backend, precision='int8')
    assert str(path.with_suffix(f'.{backend}-int8')) in str(caught.value)
    assert not caught.value.recoverable


def test_fp32_artefact_is_refused_where_int8_is_asked_for(single: Single):
    with pytest.raises(BackendError, match="found precision 'fp32', expected 'int8'"):
        Perceiver.load(
            single.path,
            device='cpu',
            backend=single.backend,
            precision='int8',
            artefact=single.folder,
        )


def test_images_of_another_size_calibrate_nothing_and_leave_nothing(tmp_path: Path):
    needs_onnx()
    path = save(tmp_path, 'fusion_detr', lite(NAMES))
    with pytest.raises(BackendError, match='found optical of 64 x 64 pixels, expected 96 x 32'):
        export(path, 'onnx', size=(32, 96), calibrate=images)
    with pytest.raises(BackendError, match='--calibrate: found no image, expected at least one'):
        export(path, 'onnx', calibrate=lambda cameras: ())
    assert list(tmp_path.iterdir()) == [path]


def test_int8_is_refused_where_it_is_not_there(tmp_path: Path):
    needs_onnx()
    with pytest.raises(BackendError, match='which there is only for openvino and onnx'):
        export(tmp_path / 'any.safetensors', 'tensorrt', calibrate=images)


def test_size_must_be_known(tmp_path: Path):
    needs_onnx()
    path = tmp_path / 'any.safetensors'
    save_random(path, CheckpointInfo('tiny', 'fusion_detr', lite(NAMES), {}, NAMES))
    with pytest.raises(BackendError, match='states no size of images, expected one by --size'):
        export(path, 'onnx')


@pytest.mark.parametrize(('kind', 'missing'), [('openvino', 'openvino'), ('onnx', 'onnxscript')])
def test_what_is_missing_for_an_export_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, missing: str
):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(BackendError, match=f'found no {missing}; run `pip install {missing}`'):
        export(tmp_path / 'any.safetensors', kind)


def test_nothing_is_left_where_an_export_failed(single: Single, monkeypatch: pytest.MonkeyPatch):
    before = sorted(path.name for path in single.path.parent.iterdir())

    def fail(*_: object) -> None:
        raise RuntimeError('no')

    monkeypatch.setattr(torch.export, 'export', fail)
    with pytest.raises(RuntimeError, match='no'):
        export(single.path, single.kind, folder=single.path.parent / 'another')
    with pytest.raises(ConfigError, match='exists already'):
        export(single.path, single.kind)
    assert sorted(path.name for path in single.path.parent.iterdir()) == before
