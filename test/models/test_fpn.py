from __future__ import annotations

import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.models.fpn import FeaturePyramid

RESNET50 = {4: 256, 8: 512, 16: 1024, 32: 2048}


def maps(channels, size):
    return {s: torch.randn(2, c, size[0] // s, size[1] // s) for s, c in channels.items()}


def plain(pyramid):
    """Make every convolution the identity on the first channels."""
    for layer in (*pyramid.lateral.values(), *pyramid.output.values()):
        nn.init.dirac_(layer.weight)
        nn.init.zeros_(layer.bias)
    return pyramid


def test_parameters_are_those_of_the_published_system():
    with torch.device('meta'):
        pyramid = FeaturePyramid(RESNET50, 256)
    assert sum(p.numel() for p in pyramid.parameters()) == 3_344_384


def test_levels_keep_their_size_and_get_the_width():
    levels = FeaturePyramid({4: 3, 8: 5, 16: 7, 32: 9}, 6)(
        maps({4: 3, 8: 5, 16: 7, 32: 9}, (64, 96))
    )
    assert {s: tuple(x.shape) for s, x in levels.items()} == {
        4: (2, 6, 16, 24), 8: (2, 6, 8, 12), 16: (2, 6, 4, 6), 32: (2, 6, 2, 3)
    }


def test_each_level_adds_the_coarser_ones_by_nearest_neighbour():
    features = maps({8: 1, 16: 1, 32: 1}, (64, 64))
    levels = plain(FeaturePyramid({8: 1, 16: 1, 32: 1}, 1))(features)
    assert_close(levels[32], features[32])
    doubled = features[32].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert_close(levels[16], features[16] + doubled)
    quadrupled = levels[16].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert_close(levels[8], features[8] + quadrupled)


def test_levels_of_uneven_size_are_joined():
    features = {8: torch.zeros(1, 1, 7, 5), 16: torch.ones(1, 1, 4, 3)}
    levels = plain(FeaturePyramid({8: 1, 16: 1}, 1))(features)
    assert_close(levels[8], torch.ones(1, 1, 7, 5))
