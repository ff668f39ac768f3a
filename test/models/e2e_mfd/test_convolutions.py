from __future__ import annotations

import pytest
import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.convolutions import ConvChain, ConvNormRelu, kaiming


def with_statistics(layer):
    for value in (layer.norm.weight, layer.norm.bias, layer.norm.running_mean):
        nn.init.normal_(value)
    layer.norm.running_var.uniform_(0.5, 2.0)
    return layer


def test_kaiming_keeps_the_variance_through_a_relu():
    conv = kaiming(nn.Conv2d(16, 256, 3))
    assert conv.weight.std().item() == pytest.approx((2 / 144) ** 0.5, rel=0.02)
    assert conv.bias.abs().max() == 0


def test_one_wide_convolution_equals_two_in_parallel_whose_outputs_are_concatenated():
    chain = ConvChain((3, 8))
    left, right = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
    chain[0].weight.data = torch.cat((left.weight, right.weight))
    chain[0].bias.data = torch.cat((left.bias, right.bias))
    x = torch.randn(2, 3, 6, 5)
    assert_close(chain(x), torch.cat((F.relu(left(x)), F.relu(right(x))), 1))


def test_a_chain_sees_the_border_of_a_padded_image_as_that_of_an_unpadded_one():
    chain = ConvChain((3, 4, 5, 2))
    x = torch.randn(1, 3, 9, 8)
    padding = torch.ones(1, 9, 8, dtype=torch.bool)
    padding[:, :7, :5] = False
    x = x.masked_fill(padding[:, None], 0.0)
    assert_close(chain(x, padding)[..., :7, :5], chain(x[..., :7, :5]))


@pytest.mark.parametrize(
    ('kernel', 'dilation'),
    [
        pytest.param(1, 1, id='pointwise'),
        pytest.param(3, 1, id='3x3'),
        pytest.param(3, 2, id='dilated'),
    ],
)
def test_folded_norm_equals_convolution_norm_and_relu_one_after_the_other(kernel, dilation):
    layer = with_statistics(ConvNormRelu(3, 5, kernel, dilation)).eval()
    x = torch.randn(2, 3, 6, 7)
    assert_close(layer(x), F.relu(layer.norm(layer.conv(x))))


def test_what_trains_moves_the_statistics():
    layer = ConvNormRelu(3, 5).train()
    layer(torch.randn(2, 3, 6, 7))
    assert layer.norm.num_batches_tracked == 1
    assert layer.norm.running_mean.abs().max() > 0


def test_padded_cells_are_zero_although_the_norm_shifts():
    layer = with_statistics(ConvNormRelu(3, 5)).eval()
    layer.norm.bias.data += 5
    padding = torch.zeros(1, 4, 4, dtype=torch.bool)
    padding[:, 3:] = True
    found = layer(torch.randn(1, 3, 4, 4), padding)
    assert found[..., 3:, :].abs().max() == 0
    assert found[..., :3, :].max() > 0
