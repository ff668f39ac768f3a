"""The compiled backend: the network's numbers, its graphs, and what happens when there is none."""

from __future__ import annotations

import sys
import threading
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.backends import openvino_backend, OpenVinoBackend
from thermal_perception.errors import BackendError
from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig, E2eMfdConfig, OrpptConfig
from thermal_perception.models.e2e_mfd.network import E2eMfd

openvino = pytest.importorskip('openvino', reason='needs OpenVINO')

PAIR = E2eMfdConfig(
    class_names=('person', 'car'),
    backbone='efficientnet_lite0',
    own_norms=True,
    own_laterals=True,
    train_norm=True,
    pyramid_width=16,
    fusion=OrpptConfig(
        pixel_width=4, pixel_blocks=1, pixel_convs=1, width=8, decoder_widths=(8,), reduction=4
    ),
    detection=DiffusionHeadConfig(
        proposals=10, stages=2, num_heads=2, dynamic_width=4, ffn_dim=16, time_dim=16
    ),
)


class _Part(NamedTuple):
    mean: torch.Tensor
    nothing: None


class _Output(NamedTuple):
    doubled: torch.Tensor
    part: _Part | None


class _Doubles(nn.Module):
    """Adds up the images it is given, twice; `part` asks for their mean."""

    def forward(self, first, second, padding=None, *, part=True):
        there = [x for x in (first, second) if x is not None]
        total = 2 * sum(there)
        if padding is not None:
            total = total.masked_fill(padding[:, None], 0.0)
        return _Output(total, _Part(total.mean((2, 3)), None) if part else None)


class _Refuses(nn.Module):
    """Depends on its numbers, which no compiler can foresee."""

    def forward(self, image):
        return image * 2 if image.mean() > 0 else image * 3


def image(value, channels=1):
    return torch.full((1, channels, 4, 6), float(value))


def test_output_has_the_values_and_the_kind_of_the_network():
    backend = OpenVinoBackend(_Doubles(), precision='fp32')
    output = backend(image(1), image(2), part=True)
    assert type(output) is _Output
    assert type(output.part) is _Part
    assert_close(output.doubled, image(6))
    assert_close(output.part.mean, torch.tensor([[6.0]]))
    assert output.part.nothing is None
    assert (backend.name, backend.device, backend.precision) == ('openvino', 'cpu', 'fp32')
    assert backend.problem == ''


def test_cameras_padding_switches_and_sizes_have_graphs_of_their_own():
    backend = OpenVinoBackend(_Doubles(), precision='fp32')
    assert_close(backend(None, image(2)).doubled, image(4))
    assert_close(backend(image(1), None).doubled, image(2))
    assert backend(image(1), None, part=False).part is None
    padding = torch.zeros(1, 4, 6, dtype=torch.bool)
    padding[..., 3:] = True
    assert_close(
        backend(image(1), None, padding).doubled[..., 2:4],
        torch.tensor([2.0, 0.0]).expand(1, 1, 4, 2),
    )
    assert_close(backend(torch.ones(1, 1, 2, 2), None).doubled, torch.full((1, 1, 2, 2), 2.0))


def test_only_what_is_selected_comes_back():
    backend = OpenVinoBackend(_Doubles(), lambda output: output.part, precision='fp32')
    assert_close(backend(image(1), image(2)).mean, torch.tensor([[6.0]]))


def test_results_are_not_overwritten_by_the_next_call():
    backend = OpenVinoBackend(_Doubles(), precision='fp32')
    first = backend(image(1), None).doubled
    backend(image(5), None)
    assert_close(first, image(2))


@pytest.fixture(scope='module')
def pair_network():
    torch.manual_seed(0)
    return E2eMfd(PAIR).eval()


def pair(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(1, channels, 64, 64, generator=generator) for channels in (1, 3)]


def test_a_network_of_two_cameras_gives_what_pytorch_gives(pair_network):
    backend = OpenVinoBackend(pair_network, precision='fp32')
    for seed in (1, 2):
        with torch.inference_mode():
            expected = pair_network(*pair(seed))
        output = backend(*pair(seed))
        assert_close(output.fusion.fused, expected.fusion.fused, atol=1e-4, rtol=0)
        assert_close(output.detections.logits, expected.detections.logits, atol=2e-3, rtol=0)
        assert_close(output.detections.boxes, expected.detections.boxes, atol=1e-3, rtol=0)


def test_half_precision_stays_close_where_the_processor_has_it(pair_network):
    backend = OpenVinoBackend(pair_network)
    if backend.precision != 'bf16':
        pytest.skip('this processor does not multiply bf16')
    with torch.inference_mode():
        expected = pair_network(*pair(1), detect=False)
    fused = backend(*pair(1), detect=False).fusion.fused
    assert fused.dtype == torch.float32
    assert 0 < (fused - expected.fusion.fused).abs().mean() < 0.01


def test_what_cannot_be_compiled_runs_in_pytorch_and_says_so():
    backend = OpenVinoBackend(_Refuses(), precision='fp32')
    assert_close(backend(image(1)), image(2))
    assert_close(backend(image(-1)), image(-3))
    assert backend.problem.startswith('OpenVINO cannot compile the network: ')


def test_robot_does_not_wait_for_a_second_graph(monkeypatch):
    gate = threading.Event()
    backend = OpenVinoBackend(_Doubles(), precision='fp32', live=True)
    backend(image(1), image(2))  # the first is waited for
    build = backend._build

    def slow(signature):
        assert gate.wait(60)
        return build(signature)

    monkeypatch.setattr(backend, '_build', slow)
    assert_close(backend(image(1), None).doubled, image(2))  # by PyTorch
    assert_close(backend(image(3), None).doubled, image(6))
    (building,) = backend._building.values()
    gate.set()
    building.result(60)
    assert_close(backend(image(1), None).doubled, image(2))
    assert not backend._building
    assert len(backend._graphs) == 2


def test_robot_keeps_few_graphs(monkeypatch):
    monkeypatch.setattr(openvino_backend, '_MOST_LIVE', 1)
    backend = OpenVinoBackend(_Doubles(), precision='fp32', live=True)
    backend(image(1), image(2))
    assert_close(backend(image(1), None).doubled, image(2))
    assert not backend._building
    assert len(backend._graphs) == 1


def test_unknown_precision_is_refused():
    with pytest.raises(BackendError, match="found 'int4', expected auto, fp32 or bf16"):
        OpenVinoBackend(_Doubles(), precision='int4')


def test_half_precision_is_refused_where_the_processor_lacks_it(monkeypatch):
    class Core:
        def get_property(self, device, name):
            return ['FP32', 'INT8']

    monkeypatch.setattr(openvino, 'Core', Core)
    assert OpenVinoBackend(_Doubles()).precision == 'fp32'
    with pytest.raises(BackendError, match='found bf16, but this processor does not multiply it'):
        OpenVinoBackend(_Doubles(), precision='bf16')


def test_openvino_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(BackendError, match='found openvino, which is not installed'):
        OpenVinoBackend(_Doubles())
