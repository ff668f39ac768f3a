"""CUDA graphs: what is recorded, replayed and copied."""

from __future__ import annotations

from nets import Doubles, Output, Part
import pytest
from queue_here import QueueHere
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.backends import cuda_graph_backend, CudaGraphBackend, prepared
from thermal_perception.backends.cuda_queue import CudaQueue
from thermal_perception.errors import BackendError


def image(value):
    return torch.full((1, 1, 4, 6), float(value))


@pytest.fixture
def make(monkeypatch):
    """Return what puts a network on a GPU that is none."""
    monkeypatch.setattr(prepared, 'choose_device', lambda device: 'cpu')
    monkeypatch.setattr(cuda_graph_backend, 'CudaQueue', QueueHere)

    def made(model, select=None, precision='fp32'):
        return CudaGraphBackend(model, select, device='cuda', precision=precision)

    return made


def test_replays_give_what_the_network_gives(make):
    backend = make(Doubles())
    for first, second in ((1, 2), (3, 4), (0, 1)):
        output = backend(image(first), image(second), part=True)
        assert type(output) is Output
        assert type(output.part) is Part
        assert_close(output.doubled, image(2 * (first + second)))
        assert_close(output.part.mean, torch.tensor([[2.0 * (first + second)]]))
        assert output.part.nothing is None
    assert (backend.name, backend.precision, backend.problem) == ('cuda_graph', 'fp32', '')


def test_network_is_recorded_once_for_each_size_set_of_cameras_and_switch(make):
    backend = make(Doubles())
    padding = torch.zeros(1, 4, 6, dtype=torch.bool)
    padding[..., 3:] = True
    for _ in range(2):
        assert_close(backend(image(1), None).doubled, image(2))
        assert_close(backend(None, image(2)).doubled, image(4))
        assert backend(image(1), None, part=False).part is None
        assert_close(backend(torch.ones(1, 1, 2, 2), None).doubled, torch.full((1, 1, 2, 2), 2.0))
        found = backend(None, image(2), padding, part=False)
        assert found.doubled[0, 0, 0].tolist() == [4, 4, 4, 0, 0, 0]
    assert backend._queue.captures == 5


def test_frame_waits_once(make):
    backend = make(Doubles())
    for _ in range(3):
        backend(image(1), image(2))
    assert backend._queue.waits == 3


def test_results_and_images_are_the_callers(make):
    backend = make(Doubles(), lambda output: (output.doubled, None))
    given = image(1)
    first, nothing = backend(given, None)
    backend(image(5), None)
    assert_close(first, image(2))
    first.zero_()
    assert_close(backend(image(1), None)[0], image(2))
    assert_close(given, image(1))
    assert nothing is None


def test_image_that_is_a_result_too_is_copied(make):
    backend = make(nn.Identity())
    first = backend(image(1))
    backend(image(5))
    assert_close(first, image(1))


def test_images_are_read_as_they_are_meant_whatever_their_layout(make):
    values = torch.arange(24.0).view(1, 2, 3, 4)
    backend = make(Doubles())
    found = backend(values.contiguous(memory_format=torch.channels_last), None)
    assert_close(found.doubled, 2 * values)


def test_live_backend_records_nothing_any_more(make):
    backend = make(Doubles())
    backend(image(1), None)
    backend.live = True
    assert_close(backend(None, image(2)).doubled, image(4))
    assert_close(backend(image(3), None).doubled, image(6))
    assert (backend._queue.captures, backend._queue.waits) == (1, 2)


def test_network_that_cannot_be_recorded_runs_in_pytorch_and_says_so(make, monkeypatch):
    error = RuntimeError('CUDA error: operation not permitted when stream is capturing\nSearch')
    monkeypatch.setattr(QueueHere, 'broken', error)
    backend = make(Doubles())
    for value in (1, 2):
        assert_close(backend(image(value), None).doubled, image(2 * value))
    assert backend._queue.captures == 1
    assert backend.problem == (
        'A CUDA graph cannot run the network: CUDA error: operation not permitted when stream is '
        'capturing'
    )


class Fails(nn.Module):
    """A network whose device fails after so many runs."""

    def __init__(self, runs, error):
        """Begin in good health."""
        super().__init__()
        self.left, self.error = runs, error

    def forward(self, image):
        """Return the image, or raise."""
        self.left -= 1
        if self.left < 0:
            raise self.error
        return image


@pytest.mark.parametrize('runs', [0, 2], ids=['recorded', 'replayed'])
@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (torch.OutOfMemoryError('CUDA out of memory. Tried'), 'torch on cuda: out of memory'),
        (RuntimeError('CUDA error: unspecified launch failure'), 'unspecified launch failure'),
    ],
    ids=['out of memory', 'lost'],
)
def test_device_that_fails_can_be_recovered_from(make, monkeypatch, runs, error, text):
    backend = make(Fails(runs, error))
    backend._eager.device = 'cuda'
    monkeypatch.setattr(backend._eager, '_moved', lambda value: value)
    with pytest.raises(BackendError, match=text) as caught:
        for _ in range(2):
            backend(image(1))
    assert caught.value.recoverable


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_queue_of_a_gpu_replays_with_new_images():
    queue = CudaQueue('cuda')
    sent, there = queue.pinned((4,), torch.float32), queue.zeros((4,), torch.float32)
    graph, output = queue.capture(lambda: there * 2)
    fetched = queue.pinned((4,), torch.float32)
    for value in (1.0, 2.0):
        sent.fill_(value)
        queue.copy(sent, there)
        queue.replay(graph)
        queue.copy(output, fetched)
        queue.wait()
        assert fetched.tolist() == [2 * value] * 4
