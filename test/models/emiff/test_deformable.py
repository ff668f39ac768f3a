"""Deformable convolution against a plain one, and against a loop over every number."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
import torch.nn.functional as F

from thermal_perception.models.emiff.deformable import DeformableConv, deformed_conv


def test_a_fresh_module_is_a_plain_convolution():
    torch.manual_seed(0)
    module = DeformableConv(4, 6)
    x = torch.randn(2, 4, 9, 7)
    assert not module.offsets(x).any()
    torch.testing.assert_close(module(x), F.conv2d(x, module.weight, padding=1), atol=1e-5, rtol=0)


def test_offsets_of_one_column_look_one_column_further():
    torch.manual_seed(0)
    x, weight = torch.randn(1, 3, 8, 9), torch.randn(2, 3, 3, 3)
    offsets = torch.zeros(1, 18, 8, 9)
    offsets[:, 1::2] = 1.0  # (y, x) per tap
    expected = F.conv2d(x.roll(-1, 3), weight, padding=1)
    got = deformed_conv(x, offsets, weight)
    torch.testing.assert_close(got[..., 1:-1, 1:-2], expected[..., 1:-1, 1:-2], atol=1e-4, rtol=0)


def test_against_a_loop():
    torch.manual_seed(1)
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    offsets = torch.randn(1, 18, 4, 5, dtype=torch.float64) * 1.5
    got = deformed_conv(x, offsets, weight)
    expected = torch.zeros(3, 4, 5, dtype=torch.float64)
    for row in range(4):
        for col in range(5):
            for tap in range(9):
                y = row + tap // 3 - 1 + float(offsets[0, 2 * tap, row, col])
                u = col + tap % 3 - 1 + float(offsets[0, 2 * tap + 1, row, col])
                value = bilinear(x[0], y, u)
                expected[:, row, col] += weight[:, :, tap // 3, tap % 3] @ value
    torch.testing.assert_close(got[0], expected)


def bilinear(image, y, x):
    total = torch.zeros(len(image), dtype=image.dtype)
    for row in (math.floor(y), math.floor(y) + 1):
        for col in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[1] and 0 <= col < image.shape[2]:
                total += image[:, row, col] * (1 - abs(y - row)) * (1 - abs(x - col))
    return total


class Moved(nn.Module):
    def forward(self, x, offsets, weight):
        return deformed_conv(x, offsets, weight)


@pytest.mark.parametrize('reach', [0.0, 1.5, 20.0, 1e12])
def test_exported_graph_equals_eager(reach):
    torch.manual_seed(2)
    x, weight = torch.randn(2, 3, 6, 9), torch.randn(4, 3, 3, 3)
    offsets = torch.randn(2, 18, 6, 9) * reach
    exported = torch.export.export(Moved(), (x, offsets, weight))
    assert 'grid_sampler' not in str(exported.graph)  # whose places half precision rounds
    expected = deformed_conv(x, offsets, weight)
    torch.testing.assert_close(
        exported.module()(x, offsets, weight), expected, atol=1e-5, rtol=1e-4
    )


def test_offsets_get_gradients():
    torch.manual_seed(0)
    module = DeformableConv(2, 2)
    module(torch.randn(1, 2, 5, 5)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in module.parameters())


def test_a_map_of_one_cell():
    module = DeformableConv(2, 3)
    x = torch.randn(1, 2, 1, 1)
    torch.testing.assert_close(module(x), F.conv2d(x, module.weight, padding=1))


def test_half_precision_does_not_move_the_taps():
    torch.manual_seed(0)
    x = torch.rand(1, 4, 40, 200)
    module = DeformableConv(4, 4)
    with torch.no_grad():
        plain, half = module(x), module.bfloat16()(x.bfloat16())
    assert (half.float() - plain).abs().max() < 0.05 * plain.abs().max()
