"""Images prepared on the device of the network: same results as on the host, with fewer bytes.

The device is the CPU here, but for tests that need a GPU, which have not been run on one.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from queue_here import QueueHere
from tiny import e2e_mfd, lite, rgbt
import torch

from thermal_perception.backends import Choice, cuda_graph_backend, prepared
from thermal_perception.errors import BackendError, PreprocessError
from thermal_perception.models.checkpoint import CheckpointInfo, load_checkpoint, save_random
from thermal_perception.perceive import Perceiver, perceiver as perceiving
from thermal_perception.perceive.system import black_frames
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thermal_perception.types import Perception

    Load = Callable[..., Perceiver]

CLASSES = ('person', 'car')
NETWORKS = {
    'fusion_detr': lite(CLASSES),
    'e2e_mfd': e2e_mfd(CLASSES),
    'rgbt_segmentation': rgbt(CLASSES),
}
SIZE = (50, 70)
# Not enlarged, where OpenCV's colours are off by single levels.
SETTINGS = [{'pad_multiple': 32}, {'pad_multiple': 32, 'short_side': 40}]

pytestmark = pytest.mark.usefixtures('one_thread_and_seed')


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that gives a file with random weights of a tiny network."""
    folder = tmp_path_factory.mktemp('weights')

    def checkpoint(architecture: str, settings: dict[str, Any]) -> Path:
        path = folder / f'{architecture}_{len(settings)}.safetensors'
        if not path.exists():
            config = NETWORKS[architecture]
            save_random(path, CheckpointInfo('tiny', architecture, config, settings, CLASSES))
        return path

    return checkpoint


@pytest.fixture
def load(checkpoints: Callable[..., Path]) -> Load:
    """Return a function that loads a tiny network, which prepares images on the CPU itself."""

    def load(
        architecture: str = 'fusion_detr', settings: Any = SETTINGS[0], **options: Any
    ) -> Perceiver:
        choice = {'device': 'cpu', 'prepare_on': 'device', **options}
        return Perceiver.load(checkpoints(architecture, settings), **choice)

    return load


def pair(seed: int = 0, dtype: type = np.uint16, size: tuple[int, int] = SIZE) -> FrameSet:
    """Return dark noise with a hot rectangle, in counts above 32767, and colours."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(30_000, 40_000, size)
    image[10:30, 20 + seed : 50] += 20_000
    image = image / 257 if dtype == np.uint8 else image
    colours = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    return FrameSet(
        Frame(image.astype(dtype), seed, 'thermal_optical', 'thermal', 'test'),
        Frame(colours, seed, 'rgb_optical', 'rgb', 'bgr8', valid_bits=8),
    )


def assert_same(found: Perception | Exception, expected: Perception) -> None:
    """Compare two results."""
    assert not isinstance(found, Exception)
    assert_array_equal(found.detections.labels, expected.detections.labels)
    assert_allclose(found.detections.scores, expected.detections.scores, atol=1e-4)
    assert_allclose(found.detections.boxes_xyxy_px, expected.detections.boxes_xyxy_px, atol=0.05)
    if expected.fused is not None:
        assert found.fused is not None
        assert_allclose(found.fused.image.astype(int), expected.fused.image, atol=1)
    if expected.segmentation is not None:
        assert found.segmentation is not None
        assert (found.segmentation.labels != expected.segmentation.labels).mean() < 1e-3


# Same results


@pytest.mark.parametrize('architecture', NETWORKS)
@pytest.mark.parametrize('settings', SETTINGS, ids=['padded', 'shrunk'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_results_are_those_of_images_prepared_on_the_host(
    load: Load, architecture: str, settings: Any, dtype: type
):
    device, host = (load(architecture, settings, prepare_on=p) for p in ('device', 'host'))
    expected = host(pair(0, dtype))
    if architecture != 'rgbt_segmentation':  # whose random weights find nothing
        assert len(expected.detections) > 0
    assert_same(device(pair(0, dtype)), expected)


@pytest.mark.parametrize('architecture', ['e2e_mfd', 'rgbt_segmentation'])
@pytest.mark.parametrize('camera', ['thermal', 'rgb'])
def test_either_camera_may_be_missing(load: Load, architecture: str, camera: str):
    frames = FrameSet(**{camera: getattr(pair(), camera)})
    device, host = (load(architecture, prepare_on=p) for p in ('device', 'host'))
    assert_same(device(frames), host(frames))


@pytest.mark.parametrize('architecture', NETWORKS)
def test_batch_gives_each_the_result_of_a_single_call(load: Load, architecture: str):
    perceiver = load(architecture)
    frames = [pair(seed) for seed in (1, 2, 3)]
    found = perceiver.run([perceiver.prepare(each) for each in frames])
    for one, each in zip(found, frames):
        assert_same(one, perceiver(each))
    assert perceiver.batches.problem == ''


def test_frames_of_every_depth_are_of_one_kind_which_is_warmed_up(load: Load):
    perceiver = load()
    kinds = {perceiver.prepare(pair(0, dtype)).kind for dtype in (np.uint8, np.uint16, np.float32)}
    assert kinds == {perceiver.prepare(black_frames(('thermal',), SIZE)).kind}


def test_frames_that_cannot_be_prepared_are_refused(load: Load):
    small = FrameSet(Frame(np.zeros((20, 90), np.uint8), 0, '', 'thermal'))
    with pytest.raises(PreprocessError, match='90 x 20 pixels, 96 x 32 as padded'):
        load('rgbt_segmentation')(small)
    with pytest.raises(PreprocessError, match='found no thermal frame'):
        load()(FrameSet(rgb=pair().rgb))


def test_less_travels_to_the_device(load: Load):
    def sent(prepare_on: str) -> int:
        inputs = load('e2e_mfd', prepare_on=prepare_on).prepare(pair()).call.inputs
        return sum(x.nbytes for x in inputs if x is not None)

    assert sent('host') == 64 * 96 * (4 + 3 * 4 + 1)  # padded, and which pixels are
    assert sent('device') == 50 * 70 * (2 + 3) + 2 * 4


# Where


def test_the_device_prepares_where_it_is_a_gpu_and_pytorch_runs_the_network(
    load: Load, monkeypatch: pytest.MonkeyPatch
):
    def raw(device: str, backend: str, prepare_on: str = 'auto') -> bool:
        return perceiving._takes_raw(prepare_on, device, backend)

    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert not any(raw(device, 'auto') for device in ('auto', 'cpu', 'cuda'))
    assert raw('cpu', 'torch', 'device')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    for backend in ('auto', 'torch', 'cuda_graph', 'torch_compile'):
        assert raw('auto', backend)
        assert raw('cuda:1', backend)
        assert not raw('cpu', backend)
        assert not raw('cuda', backend, 'host')
    for backend in ('openvino', 'onnxruntime', 'tensorrt'):
        assert not raw('auto', backend)


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'prepare_on': 'gpu'}, "prepare_on: found 'gpu', expected auto, host or device"),
        ({'backend': 'openvino'}, 'found device with the backend openvino, expected auto or host'),
        ({'backend': 'auto'}, 'found device with the backend onnxruntime'),
    ],
)
def test_what_cannot_prepare_is_refused(
    load: Load, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], text: str
):
    monkeypatch.setattr(perceiving, 'choose_backend', lambda _: Choice('onnxruntime', 'it is'))
    with pytest.raises(BackendError, match=text):
        load(**options)


# On a queue in place of a GPU


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give what asks for a CUDA graph, and let the CPU make it."""
    monkeypatch.setattr(prepared, 'choose_device', lambda device: 'cpu')
    monkeypatch.setattr(cuda_graph_backend, 'CudaQueue', QueueHere)
    return {'device': 'cuda', 'backend': 'cuda_graph', 'precision': 'fp32'}


@pytest.mark.parametrize('architecture', NETWORKS)
def test_a_cuda_graph_prepares_the_images_of_every_frame(
    load: Load, gpu: dict[str, str], architecture: str
):
    perceiver, host = load(architecture, live=True, **gpu), load(architecture, prepare_on='host')
    perceiver.warm_up(SIZE)
    captures = perceiver._backend._queue.captures  # type: ignore[attr-defined]
    for seed, dtype in enumerate((np.uint8, np.uint16, np.float32)):
        assert_same(perceiver(pair(seed, dtype)), host(pair(seed, dtype)))
    assert perceiver._backend._queue.captures == captures  # type: ignore[attr-defined]
    assert (perceiver.degraded, perceiver.backend_notes) == ('', ())


class Lost:
    """A backend whose device is no more."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Fail."""
        raise BackendError('torch on cuda: CUDA error: lost', recoverable=True)


@pytest.mark.parametrize('together', [1, 2])
@pytest.mark.parametrize('error', [torch.OutOfMemoryError('CUDA out'), RuntimeError('CUDA error')])
def test_gpu_that_is_lost_still_answers_the_frames_that_were_meant_for_it(
    load: Load, gpu: dict[str, str], monkeypatch: pytest.MonkeyPatch, together: int, error: Any
):
    perceiver = load('e2e_mfd', **gpu)
    perceiver._spare = load_checkpoint(perceiver.info.path)
    perceiver.warm_up(SIZE)
    ready = [perceiver.prepare(pair(seed)) for seed in range(together)]
    monkeypatch.setattr(QueueHere, 'broken', error)
    monkeypatch.setattr(perceiver._backend, '_eager', Lost())
    host = load('e2e_mfd', prepare_on='host')
    for seed, found in enumerate(perceiver.run(ready)):
        assert_same(found, host(pair(seed)))
    assert_same(perceiver(pair(7)), host(pair(7)))
    assert perceiver.degraded == 'running on the CPU: torch on cuda: CUDA error: lost'
    assert perceiver.backend == 'torch fp32'


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('architecture', NETWORKS)
@pytest.mark.parametrize('backend', ['torch', 'cuda_graph'])
def test_a_gpu_prepares_images_as_the_host_does(load: Load, architecture: str, backend: str):
    where = {'device': 'cuda', 'backend': backend, 'precision': 'fp32'}
    device, host = (load(architecture, prepare_on=p, **where) for p in ('auto', 'host'))
    for seed, dtype in enumerate((np.uint8, np.uint16, np.float32)):
        assert_same(device(pair(seed, dtype)), host(pair(seed, dtype)))
    assert device.degraded == ''


@pytest.mark.slow
def test_torch_compile_prepares_the_images_of_every_frame(load: Load):
    perceiver = load('e2e_mfd', backend='torch_compile', precision='fp32')
    assert_same(perceiver(pair()), load('e2e_mfd', prepare_on='host')(pair()))
    assert perceiver.degraded == ''
