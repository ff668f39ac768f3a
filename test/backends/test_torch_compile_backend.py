"""torch.compile: the network's numbers, and who waits for a compiler."""

from __future__ import annotations

import shutil
import threading

from nets import DependsOnValues, Output
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.backends import TorchCompileBackend

needs_compiler = pytest.mark.skipif(not shutil.which('g++'), reason='needs a C++ compiler (g++)')


class Mixes(nn.Module):
    """Three channels to one, and the image as it was given."""

    def __init__(self, weight):
        """Start with a kernel of one number."""
        super().__init__()
        self.kernel = nn.Parameter(torch.full((1, 3, 1, 1), weight))

    def forward(self, image, padding=None, *, part=True):
        """Return the mixed image, zero where padded, and the image."""
        mixed = nn.functional.conv2d(image, self.kernel)
        if padding is not None:
            mixed = mixed.masked_fill(padding[:, None], 0.0)
        return Output(mixed, (image,) if part else None)


def ramp():
    return torch.arange(72.0).view(1, 3, 4, 6) / 8


@pytest.fixture(scope='module')
def compiled():
    """Two backends with networks of one kind, both warmed up and live."""
    backends = [TorchCompileBackend(Mixes(w), device='cpu', precision='fp32') for w in (1.0, 2.0)]
    for backend in backends:
        backend(torch.zeros(1, 3, 4, 6), None, part=True)
        backend.live = True
    return backends


@needs_compiler
def test_compiled_networks_give_what_they_give_in_pytorch(compiled):
    for backend, weight in zip(compiled, (1.0, 2.0)):
        found = backend(ramp(), None, part=True)
        assert type(found) is Output
        assert_close(found.doubled, weight * ramp().sum(1, keepdim=True))
        assert_close(found.part[0], ramp())
        assert backend.problem == ''


@needs_compiler
def test_results_are_not_overwritten_by_the_next_call(compiled):
    given = ramp()
    first = compiled[0](given, None, part=True)
    given.zero_()
    compiled[0](torch.ones(1, 3, 4, 6), None, part=True)
    assert_close(first.part[0], ramp())
    assert_close(first.doubled, ramp().sum(1, keepdim=True))


@needs_compiler
def test_what_was_compiled_runs_in_any_thread_whatever_the_layout(compiled):
    found = []
    strange = ramp().permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)

    def run():
        with torch.profiler.profile() as profile:
            found.append(compiled[0](strange, None, part=True).doubled)
        found.append({event.key for event in profile.key_averages()})

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert_close(found[0], ramp().sum(1, keepdim=True))
    assert any('CompiledFxGraph' in key for key in found[1]), found[1]


@needs_compiler
def test_live_frame_waits_for_no_compiler(compiled, monkeypatch):
    monkeypatch.setattr(torch, 'compile', None)
    padding = torch.zeros(1, 4, 6, dtype=torch.bool)
    padding[..., 3:] = True
    found = compiled[0](torch.ones(1, 3, 4, 6), padding, part=False)
    assert found.doubled[0, 0, 0].tolist() == [3, 3, 3, 0, 0, 0]
    assert 'not warmed up' in compiled[0].notes[0]


@needs_compiler
def test_network_that_cannot_be_compiled_runs_in_pytorch():
    backend = TorchCompileBackend(DependsOnValues(), device='cpu', precision='fp32')
    assert_close(backend(torch.ones(1, 1, 2, 2)), torch.full((1, 1, 2, 2), 2.0))
    assert backend.problem.startswith('torch.compile cannot run the network: ')


def test_missing_compiler_is_named_and_pytorch_runs(monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    backend = TorchCompileBackend(Mixes(1.0), device='cpu', precision='fp32')
    assert_close(backend(ramp()).doubled, ramp().sum(1, keepdim=True))
    assert 'found no C++ compiler no-such-compiler; install one' in backend.problem
