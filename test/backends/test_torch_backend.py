"""The eager backend: same numbers as the module, and errors that say what to do next."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import nn, Tensor

from thermal_perception.backends import choose_device, to_cpu, TorchBackend
from thermal_perception.errors import BackendError
from thermal_perception.models.fusion import FusionOutput


class _Output(NamedTuple):
    logits: Tensor
    boxes: Tensor
    fusion: FusionOutput | None


class _Double(nn.Module):
    def forward(self, image: Tensor, padding: Tensor | None) -> _Output:
        weights = torch.ones(1, 2)
        fusion = FusionOutput(image, weights, weights, weights[0], weights, image[:, :, 0, 0])
        return _Output(image * 2, image * 3, fusion)


class _Unfetchable:
    """The result of a kernel that failed: nobody knows until it is fetched."""

    def cpu(self) -> Tensor:
        raise RuntimeError('CUDA error: device-side assert triggered')


class _Fails(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, image: Tensor, padding: Tensor | None) -> _Output:
        raise self.error


class _FailsLate(nn.Module):
    def forward(self, image: Tensor, padding: Tensor | None) -> Any:
        return _Output(_Unfetchable(), _Unfetchable(), None)  # type: ignore[arg-type]


def test_runs_the_module_without_gradients():
    result = TorchBackend(_Double(), 'cpu')(torch.ones(1, 1, 2, 2), None)

    assert torch.equal(result.logits, torch.full((1, 1, 2, 2), 2.0))
    assert torch.equal(result.boxes, torch.full((1, 1, 2, 2), 3.0))
    assert not result.logits.requires_grad


def test_only_what_is_selected_comes_back():
    backend = TorchBackend(_Double(), 'cpu', lambda output: (output.boxes, None))

    boxes, nothing = backend(torch.ones(1, 1, 2, 2), None)
    assert torch.equal(boxes, torch.full((1, 1, 2, 2), 3.0))
    assert nothing is None


def test_missing_inputs_and_switches_reach_the_network():
    class _Says(nn.Module):
        def forward(self, thermal: Tensor | None, rgb: Tensor | None, *, fuse: bool) -> Tensor:
            return torch.tensor([thermal is None, rgb is None, fuse])

    backend = TorchBackend(_Says(), 'cpu')
    assert backend(None, torch.ones(1, 3, 2, 2), fuse=True).tolist() == [True, False, True]
    assert backend(torch.ones(1, 1, 2, 2), None, fuse=False).tolist() == [False, True, False]


def test_named_tuples_within_tuples_keep_their_kind():
    weights = torch.ones(1, 2)
    fusion = FusionOutput(weights, weights, weights, weights, weights, weights)
    found = to_cpu((_Output(weights, weights, fusion), None))

    assert isinstance(found[0].fusion, FusionOutput)
    assert found[1] is None


def test_raw_images_reach_the_network_as_they_are():
    class _Strides(nn.Module):
        def forward(self, image: Tensor, colours: Tensor) -> Tensor:
            return torch.tensor([image.stride(1), colours.stride(1)])

    given = torch.ones(1, 3, 4, 5), torch.ones(1, 4, 5, 3, dtype=torch.uint8)
    assert TorchBackend(_Strides(), 'cpu')(*given).tolist() == [1, 15]  # one is channels last


def test_error_that_surfaces_when_results_are_fetched_belongs_to_the_run():
    backend = TorchBackend(_FailsLate(), 'cpu')
    backend.device = 'cuda'

    with pytest.raises(BackendError, match='device-side assert') as caught:
        _call_without_copy(backend)
    assert caught.value.recoverable


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)

    assert choose_device('auto') == 'cpu'


def test_out_of_memory_on_a_gpu_can_be_recovered_from():
    backend = TorchBackend(_Fails(torch.OutOfMemoryError('CUDA out of memory')), 'cpu')
    backend.device = 'cuda'

    with pytest.raises(BackendError, match='out of memory') as caught:
        _call_without_copy(backend)
    assert caught.value.recoverable


def test_error_of_the_network_itself_is_not_recoverable():
    backend = TorchBackend(_Fails(RuntimeError('shapes do not match')), 'cpu')

    with pytest.raises(BackendError, match='shapes do not match') as caught:
        backend(torch.ones(1, 1, 2, 2), None)
    assert not caught.value.recoverable


def _call_without_copy(backend: TorchBackend) -> None:
    class _Anywhere:
        def dim(self) -> int:
            return 4

        def is_floating_point(self) -> bool:
            return True

        def to(self, *args: object, **kwargs: object) -> _Anywhere:
            return self

    backend(_Anywhere(), None)  # type: ignore[arg-type]
