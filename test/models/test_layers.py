from __future__ import annotations

import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.models.layers import (
    channels_last,
    conv_bn,
    depthwise_conv2d,
    FoldingConv2d,
    FrozenBatchNorm2d,
    masked_group_norm,
)


def frozen_norm(channels, *, affine=True):
    norm = FrozenBatchNorm2d(channels, affine=affine)
    for value in norm.state_dict().values():
        value.uniform_(0.5, 1.5)
    return norm


def test_frozen_norm_loads_a_batch_norm_and_equals_it_in_evaluation():
    theirs = nn.BatchNorm2d(4)
    theirs(torch.randn(8, 4, 5, 5) * 3 + 1)  # moves the running statistics
    ours = FrozenBatchNorm2d(4)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 4, 3, 3)
    assert_close(ours.train()(x), theirs.eval()(x))


def test_folded_convolution_and_norm_equal_one_after_the_other_with_their_gradients():
    conv, norm = FoldingConv2d(3, 5, 3, stride=2, padding=1, bias=False), frozen_norm(5)
    x = torch.randn(2, 3, 8, 8)
    parameters = (conv.weight, norm.weight, norm.bias)
    apart, folded = norm(conv(x)), conv_bn(conv, norm, x)
    assert_close(folded, apart)
    expected = torch.autograd.grad(apart.square().sum(), parameters)
    assert_close(torch.autograd.grad(folded.square().sum(), parameters), expected)


def test_pointwise_convolution_of_a_channels_last_map_equals_the_plain_one():
    conv, norm = FoldingConv2d(3, 5, 1, bias=False), frozen_norm(5)
    x = torch.randn(2, 3, 4, 6)
    parameters = (conv.weight, norm.weight, norm.bias)
    apart = norm(conv(x))
    folded = conv_bn(conv, norm, x.contiguous(memory_format=torch.channels_last))
    assert_close(folded, apart)
    expected = torch.autograd.grad(apart.square().sum(), parameters)
    assert_close(torch.autograd.grad(folded.square().sum(), parameters), expected)


def test_depthwise_convolution_keeps_single_precision_where_it_trains_under_autocast():
    x, weight, bias = torch.randn(2, 4, 9, 9), torch.randn(4, 1, 3, 3), torch.randn(4)
    weight.requires_grad_()
    expected = torch.nn.functional.conv2d(x, weight, bias, 2, 1, 1, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        training = depthwise_conv2d(x, weight, bias, stride=2, padding=1)
        with torch.no_grad():
            predicting = depthwise_conv2d(x, weight, bias, stride=2, padding=1)
    assert training.dtype == torch.float32 and torch.equal(training, expected)
    assert predicting.dtype == torch.bfloat16
    assert_close(predicting.float(), expected, rtol=0.02, atol=0.05)


def test_group_norm_with_padding_equals_the_norm_of_the_valid_part():
    norm = nn.GroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 8, 6, 7)
    valid = torch.zeros(2, 1, 6, 7)
    valid[0, :, :4, :5] = 1
    valid[1] = 1
    found = masked_group_norm(x, norm, valid)
    assert_close(found[:1, :, :4, :5], norm(x[:1, :, :4, :5]))
    assert_close(found[1], norm(x[1:])[0])


def test_group_norm_of_an_image_that_is_all_padding_is_finite():
    x = torch.randn(1, 4, 2, 2)
    assert torch.isfinite(masked_group_norm(x, nn.GroupNorm(2, 4), torch.zeros(1, 1, 2, 2))).all()


def test_kernels_of_two_and_three_dimensions_are_laid_out_channels_last():
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.Conv3d(4, 6, 3), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert channels_last(model) is model
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
