from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.conv_norm import ConvNorm, kaiming


def lively(layer):
    """Return the layer with a norm that changes something."""
    for value in (layer.norm.weight, layer.norm.bias, layer.norm.running_mean):
        nn.init.normal_(value)
    layer.norm.running_var.uniform_(0.5, 2.0)
    return layer


def test_kaiming_keeps_the_variance_through_a_relu():
    conv = kaiming(nn.Conv2d(16, 256, 3))
    assert conv.weight.std().item() == pytest.approx((2 / 144) ** 0.5, rel=0.02)
    assert conv.bias.abs().max() == 0


def test_weights_start_so_that_maps_keep_their_size():
    torch.manual_seed(0)
    x = torch.randn(2, 64, 16, 16)
    layers = nn.Sequential(*(ConvNorm(64, 64, 3, activation='relu') for _ in range(4))).eval()
    assert 0.5 < layers(x).square().mean().sqrt() < 2


@pytest.mark.parametrize('activation', ['none', 'relu', 'gelu'])
@pytest.mark.parametrize(
    'shape',
    [
        pytest.param({}, id='pointwise'),
        pytest.param({'kernel': 3}, id='3x3'),
        pytest.param({'kernel': 3, 'stride': 2}, id='strided'),
        pytest.param({'kernel': 3, 'dilation': 2}, id='dilated'),
        pytest.param({'kernel': 5, 'groups': 2}, id='grouped'),
    ],
)
def test_a_folded_norm_computes_what_convolution_norm_and_activation_do(shape, activation):
    layer = lively(ConvNorm(4, 6, activation=activation, **shape)).eval()
    x = torch.randn(2, 4, 9, 11)
    expected = layer.norm(layer.conv(x))
    if activation != 'none':
        expected = getattr(F, activation)(expected)
    stride = shape.get('stride', 1)
    assert expected.shape[-2:] == (-(-9 // stride), -(-11 // stride))
    assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_a_frozen_norm_within_a_training_network_keeps_its_statistics():
    layer = ConvNorm(4, 6).train()
    layer.norm.eval()
    before = layer.norm.running_mean.clone()
    layer(torch.randn(2, 4, 5, 5))
    assert torch.equal(layer.norm.running_mean, before)


def test_what_trains_moves_the_statistics():
    layer = ConvNorm(3, 5, activation='relu').train()
    layer(torch.randn(2, 3, 6, 7))
    assert layer.norm.num_batches_tracked == 1
    assert layer.norm.running_mean.abs().max() > 0


def test_padded_cells_are_zero_although_the_norm_shifts():
    layer = lively(ConvNorm(3, 5, activation='relu')).eval()
    layer.norm.bias.data += 5
    padding = torch.zeros(1, 4, 4, dtype=torch.bool)
    padding[:, 3:] = True
    found = layer(torch.randn(1, 3, 4, 4), padding)
    assert found[..., 3:, :].abs().max() == 0
    assert found[..., :3, :].max() > 0


def test_a_layer_can_be_sent_to_another_process():
    """Backends compile in a process of their own."""
    for activation in ('none', 'relu', 'gelu'):
        layer = ConvNorm(2, 3, activation=activation).eval()
        again = pickle.loads(pickle.dumps(layer))
        x = torch.randn(1, 2, 4, 4)
        assert torch.equal(again(x), layer(x))
