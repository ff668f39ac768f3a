from __future__ import annotations

import pytest
import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.rgbt_segmentation.layers import (
    average,
    ChannelGate,
    ConvNorm,
    resize,
    Separable,
)
from thermal_perception.models.rgbt_segmentation.spatial_attention import SpatialAttention


@pytest.mark.parametrize('activation', ['none', 'relu', 'gelu'])
@pytest.mark.parametrize('stride', [1, 2])
def test_a_folded_norm_computes_what_conv_norm_and_activation_do(lively_copy, stride, activation):
    layer = lively_copy(ConvNorm(4, 6, 3, stride=stride, activation=activation)).eval()
    x = torch.randn(2, 4, 9, 11)
    expected = layer.norm(layer.conv(x))
    if activation != 'none':
        expected = getattr(F, activation)(expected)
    assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_a_frozen_norm_within_a_training_network_keeps_its_statistics():
    layer = ConvNorm(4, 6).train()
    layer.norm.eval()
    before = layer.norm.running_mean.clone()
    layer(torch.randn(2, 4, 5, 5))
    assert torch.equal(layer.norm.running_mean, before)


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


def test_weights_start_so_that_maps_keep_their_size():
    torch.manual_seed(0)
    x = torch.randn(2, 64, 16, 16)
    layers = nn.Sequential(*(ConvNorm(64, 64, 3, activation='relu') for _ in range(4))).eval()
    assert 0.5 < layers(x).square().mean().sqrt() < 2
