from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.rgbt_segmentation.layers import (
    average,
    ChannelGate,
    resize,
    Separable,
)
from thermal_perception.models.rgbt_segmentation.spatial_attention import SpatialAttention


def test_separable_is_depthwise_then_pointwise():
    layer = Separable(6, 5)
    assert layer.depthwise.conv.weight.shape == (6, 1, 5, 5)
    assert layer.pointwise.conv.weight.shape == (6, 6, 1, 1)


def test_a_channel_gate_sees_the_average_alone():
    gate = ChannelGate(4, 3, 5)
    x = torch.randn(2, 4, 6, 7)
    shuffled = x.flatten(2)[..., torch.randperm(42)].view_as(x)
    assert gate(x).shape == (2, 5, 1, 1)
    assert_close(gate(shuffled), gate(x))


def test_averages_leave_padding_out():
    x = torch.tensor([1.0, 3.0, 50.0])[None, None, None]
    padding = torch.tensor([False, False, True])[None, None]
    assert average(x, padding).flatten().tolist() == [2.0]
    assert average(x, None).flatten().tolist() == [18.0]


def test_resize_does_not_align_corners():
    x = torch.tensor([0.0, 4.0])[None, None, None]
    assert resize(x, torch.Size((1, 4)), None).flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


@pytest.mark.parametrize(('first', 'expected'), [('mean', 1.0), ('max', 3.0)])
def test_spatial_attention_sees_mean_and_maximum_in_the_order_asked_for(first, expected):
    attention = SpatialAttention(1, first=first)
    with torch.no_grad():
        attention.conv.weight.copy_(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
    x = torch.tensor([-1.0, 3.0]).view(1, 2, 1, 1)  # mean 1, maximum 3
    assert attention(x).item() == pytest.approx(torch.tensor(expected).sigmoid().item())
