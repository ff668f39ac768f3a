from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.config import OrpptConfig
from thermal_perception.models.e2e_mfd.region_gate import modulate, RegionGate
from thermal_perception.models.padding import enlarge

SIZE = torch.Size((64, 96))


def make_gate(channels=8, **options):
    return RegionGate(OrpptConfig(**{'width': 6, **options}), channels).eval()


def make_pyramid(channels=8, scale=1.0):
    return {s: scale * torch.randn(2, channels, 64 // s, 96 // s) for s in (4, 8, 16, 32)}


@pytest.mark.parametrize('region', ['prompt', 'sk'])
def test_convolving_before_enlarging_equals_convolving_after(region):
    gate, pyramid = make_gate(region=region), make_pyramid()
    gate.join.bias.data.normal_()
    branches = [gate.branches[str(s)](pyramid[s]).selected() for s in (4, 8, 16)]
    full = sum(enlarge(b, SIZE) for b in branches)  # [2, 16, 64, 96]
    expected = F.conv2d(full, gate.join.weight, gate.join.bias)
    assert_close(gate.joined(pyramid, SIZE), expected, atol=1e-4, rtol=0)


def test_bias_counts_once_however_many_levels_there_are():
    for levels in ((4,), (4, 8), (4, 8, 16, 32)):
        gate = make_gate(levels=levels)
        gate.join.weight.data.zero_()
        gate.join.bias.data.fill_(0.5)
        assert_close(gate.joined(make_pyramid(), SIZE), torch.full((2, 6, *SIZE), 0.5))


def test_levels_that_are_not_named_are_not_looked_at():
    gate, pyramid = make_gate(levels=(8,)), make_pyramid()
    expected = gate(pyramid, SIZE)
    assert_close(gate({8: pyramid[8]}, SIZE), expected)


def test_published_gate_never_closes_below_one_half():
    found = make_gate(gate='hard_sigmoid')(make_pyramid(scale=30.0), SIZE)
    assert found.min() == 0.5
    assert found.max() == 1


def test_sigmoid_gate_opens_and_closes():
    found = make_gate(gate='sigmoid')(make_pyramid(scale=30.0), SIZE)
    assert found.min() < 0.1
    assert found.max() > 0.9


@pytest.mark.parametrize(
    ('gate', 'expected'), [pytest.param(0.0, 1.0, id='closed'), pytest.param(1.0, 2.0, id='open')]
)
def test_closed_gate_passes_features_once_and_open_gate_twice(gate, expected):
    p = torch.rand(1, 3, 2, 2)
    assert_close(modulate(p, torch.full_like(p, gate)), expected * p)
