"""perceive: a frame goes in, boxes in its own pixels come out, whatever the device does."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from queue_here import QueueHere
from tiny import lite, small_backbones
import torch

from thermal_perception.backends import Choice, choice, cuda_graph_backend, prepared
from thermal_perception.errors import BackendError, PreprocessError
from thermal_perception.models.checkpoint import (
    Checkpoint,
    CheckpointInfo,
    load_checkpoint,
    save_random,
)
from thermal_perception.perceive import Perceiver
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TINY = lite(('person', 'car'))


@pytest.fixture(scope='module', autouse=True)
def _small() -> Iterator[None]:
    with small_backbones():
        yield


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with random weights of a tiny network."""
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    info = CheckpointInfo('tiny', 'fusion_detr', TINY, {}, ('person', 'car'), (64, 64), 0.3)
    save_random(path, info)
    return path


def frames(image: NDArray[Any]) -> FrameSet:
    """Wrap an image as a thermal frame stamped 7 ns."""
    return FrameSet(thermal=Frame(image, 7, 'thermal_optical', 'thermal', 'test'))


def noise(height: int, width: int, dtype: type = np.uint8) -> NDArray[Any]:
    """Return reproducible noise over the whole range of an integer type."""
    rng = np.random.default_rng(0)
    return rng.integers(np.iinfo(dtype).max, size=(height, width)).astype(dtype)


def test_result_carries_stamp_frame_size_and_classes_of_the_frame(checkpoint: Path):
    found = Perceiver.load(checkpoint)(frames(noise(48, 80))).detections

    assert (found.stamp_ns, found.frame_id) == (7, 'thermal_optical')
    assert found.image_size == (48, 80)
    assert found.class_names == ('person', 'car')


def test_boxes_lie_in_the_source_image_and_scores_fall(checkpoint: Path):
    found = Perceiver.load(checkpoint)(frames(noise(50, 70))).detections

    assert len(found) > 0
    assert (found.boxes_xyxy_px >= 0).all()
    assert (found.boxes_xyxy_px[:, [0, 2]] <= 70).all()
    assert (found.boxes_xyxy_px[:, [1, 3]] <= 50).all()
    assert (np.diff(found.scores) <= 0).all()


def test_same_frame_gives_same_result_when_sizes_alternate(checkpoint: Path):
    perceiver = Perceiver.load(checkpoint)
    small, large = frames(noise(48, 80)), frames(noise(64, 128))

    first = perceiver(small).detections
    perceiver(large)
    again = perceiver(small).detections

    assert_array_equal(again.boxes_xyxy_px, first.boxes_xyxy_px)
    assert_array_equal(again.scores, first.scores)


def test_fourteen_bit_counts_and_their_left_shifted_form_agree(checkpoint: Path):
    perceiver = Perceiver.load(checkpoint)
    counts = noise(64, 64, np.uint16) >> 2

    plain = perceiver(frames(counts)).detections
    shifted = perceiver(frames((counts << 2).astype(np.uint16))).detections

    assert_allclose(shifted.scores, plain.scores, atol=1e-3)


@pytest.mark.parametrize(
    'image',
    [
        pytest.param(np.zeros((64, 64), np.uint8), id='black 8 bit'),
        pytest.param(np.full((64, 64), 9000, np.uint16), id='constant 16 bit'),
        pytest.param(np.full((64, 64), np.nan, np.float32), id='all NaN'),
        pytest.param(np.where(np.eye(64) > 0, np.inf, 300).astype(np.float32), id='some Inf'),
        pytest.param(np.ones((1, 1), np.uint8), id='one pixel'),
    ],
)
def test_image_without_signal_gives_finite_scores(checkpoint: Path, image: NDArray[Any]):
    found = Perceiver.load(checkpoint)(frames(image)).detections

    assert np.isfinite(found.scores).all()
    assert np.isfinite(found.boxes_xyxy_px).all()


def test_fusion_weights_sum_to_one_and_name_their_strides(checkpoint: Path):
    fusion = Perceiver.load(checkpoint)(frames(noise(64, 64))).fusion

    assert fusion is not None
    assert fusion.strides == (8, 16, 32, 64)
    assert_allclose(fusion.alpha_hat.sum(), 1, atol=1e-6)
    assert_allclose(fusion.entropy, np.log(4), atol=1e-5)  # a fresh network weighs all the same


def test_stages_are_timed(checkpoint: Path):
    stages = Perceiver.load(checkpoint)(frames(noise(64, 64))).stages_s

    assert set(stages) == {'preprocess', 'model', 'postprocess'}
    assert all(seconds > 0 for seconds in stages.values())


def test_info_names_the_model_and_its_weights(checkpoint: Path):
    info = Perceiver.load(checkpoint).info

    assert (info.model, info.input_size, info.default_score_threshold) == ('tiny', (64, 64), 0.3)
    assert len(info.fingerprint) == 16
    assert info.path == checkpoint


def test_colour_frame_is_refused(checkpoint: Path):
    with pytest.raises(PreprocessError, match=r'shape \(8, 8, 3\), expected one grey'):
        Perceiver.load(checkpoint)(frames(np.zeros((8, 8, 3), np.uint8)))


def test_set_without_thermal_is_refused(checkpoint: Path):
    rgb = Frame(np.zeros((8, 8, 3), np.uint8), 0, 'rgb', 'rgb')

    with pytest.raises(PreprocessError, match='no thermal frame'):
        Perceiver.load(checkpoint)(FrameSet(rgb=rgb))


def test_unknown_device_is_refused(checkpoint: Path):
    with pytest.raises(BackendError, match="'tpu', expected auto, cpu, cuda"):
        Perceiver.load(checkpoint, device='tpu')


def test_missing_gpu_falls_back_to_the_cpu_and_says_so(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)

    perceiver = Perceiver.load(checkpoint, device='cuda')

    assert perceiver.device == 'cpu'
    assert 'sees no CUDA device' in perceiver.degraded


def test_missing_gpu_is_an_error_where_falling_back_is_not_allowed(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)

    with pytest.raises(BackendError, match='sees no CUDA device'):
        Perceiver.load(checkpoint, device='cuda', fallback_to_cpu=False)


class _Dying:
    """A backend whose device is lost on the first frame, with everything that was on it."""

    name, precision, device, problem = 'torch', 'fp32', 'cuda', ''

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        raise BackendError('torch on cuda: CUDA error: unspecified', recoverable=True)


def on_dying_device(checkpoint: Path, **options: Any) -> Perceiver:
    """Return a perceiver that believes it runs on a GPU, which fails."""
    perceiver = Perceiver.load(checkpoint, device='cpu', **options)
    perceiver._backend = _Dying()  # type: ignore[assignment]
    perceiver._spare = load_checkpoint(checkpoint)
    return perceiver


def test_device_lost_on_a_frame_still_answers_that_frame(checkpoint: Path):
    expected = Perceiver.load(checkpoint)(frames(noise(64, 64))).detections
    perceiver = on_dying_device(checkpoint)

    for _ in range(2):
        assert_array_equal(perceiver(frames(noise(64, 64))).detections.scores, expected.scores)
    assert perceiver.degraded == 'running on the CPU: torch on cuda: CUDA error: unspecified'
    assert perceiver.device == 'cpu'


@pytest.mark.parametrize('error', [torch.OutOfMemoryError('CUDA out'), RuntimeError('CUDA error')])
@pytest.mark.parametrize('when', ['recorded', 'replayed'])
def test_gpu_lost_under_a_cuda_graph_still_answers_that_frame(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, when: str, error: RuntimeError
):
    expected = Perceiver.load(checkpoint)(frames(noise(64, 64))).detections
    monkeypatch.setattr(prepared, 'choose_device', lambda device: 'cpu')
    monkeypatch.setattr(cuda_graph_backend, 'CudaQueue', QueueHere)
    perceiver = Perceiver.load(checkpoint, device='cuda', backend='cuda_graph', precision='fp32')
    perceiver._spare = load_checkpoint(checkpoint)
    if when == 'replayed':
        perceiver.warm_up((64, 64))
        assert (perceiver.backend, perceiver.degraded) == ('cuda_graph fp32', '')
    monkeypatch.setattr(QueueHere, 'broken', error)
    monkeypatch.setattr(perceiver._backend, '_eager', _Dying())

    for _ in range(2):
        assert_array_equal(perceiver(frames(noise(64, 64))).detections.scores, expected.scores)
    assert perceiver.backend == 'torch fp32'
    assert perceiver.degraded == 'running on the CPU: torch on cuda: CUDA error: unspecified'


def test_device_whose_network_cannot_be_rebuilt_is_not_called_degraded(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    perceiver = on_dying_device(checkpoint)
    monkeypatch.setattr(Checkpoint, 'make_model', lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        perceiver(frames(noise(64, 64)))
    assert perceiver.degraded == ''


def test_device_lost_without_fallback_raises(checkpoint: Path):
    perceiver = on_dying_device(checkpoint, fallback_to_cpu=False)

    with pytest.raises(BackendError, match='CUDA error'):
        perceiver(frames(noise(64, 64)))


def test_backend_that_was_chosen_comes_with_its_reason(checkpoint: Path, monkeypatch):
    assert Perceiver.load(checkpoint).backend_notes == ()
    monkeypatch.setattr(choice, 'choose_backend', lambda device: Choice('torch', 'all is busy'))
    perceiver = Perceiver.load(checkpoint, device='cpu', backend='auto')
    assert perceiver.backend == 'torch fp32'
    assert perceiver.backend_notes == ('auto: all is busy',)


def test_network_that_a_backend_cannot_compile_is_a_degraded_mode(checkpoint: Path):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    perceiver = Perceiver.load(checkpoint, backend='openvino', precision='fp32')
    assert (perceiver.backend, perceiver.degraded) == ('openvino fp32', '')
    perceiver._backend.problem = 'OpenVINO cannot compile the network: too deep'
    assert perceiver.degraded == 'OpenVINO cannot compile the network: too deep'
    assert perceiver.backend == 'openvino fp32, torch fp32 in part'
