from __future__ import annotations

import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.conv_chain import ConvChain


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
