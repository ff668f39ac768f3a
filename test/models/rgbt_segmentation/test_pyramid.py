from __future__ import annotations

import torch

from thermal_perception.models.rgbt_segmentation.pyramid import PanPyramid

CHANNELS = {4: 6, 8: 8, 16: 10, 32: 12}


def maps(height, width):
    generator = torch.Generator().manual_seed(0)
    return {
        s: torch.randn(1, c, height // s, width // s, generator=generator)
        for s, c in CHANNELS.items()
    }


def test_levels_keep_their_sizes_and_get_one_width():
    levels = PanPyramid(CHANNELS, 4).eval()(maps(96, 128))
    assert {s: tuple(x.shape) for s, x in levels.items()} == {
        s: (1, 4, 96 // s, 128 // s) for s in CHANNELS
    }


def test_levels_of_odd_sizes_fit():
    levels = PanPyramid(CHANNELS, 4).eval()(maps(720, 1280))
    assert [tuple(x.shape[-2:]) for x in levels.values()] == [
        (180, 320), (90, 160), (45, 80), (22, 40)
    ]  # fmt: skip


def test_every_level_hears_of_every_map():
    pyramid = PanPyramid(CHANNELS, 4).eval()
    for level in CHANNELS:
        features = {s: x.requires_grad_() for s, x in maps(96, 128).items()}
        pyramid(features)[level].sum().backward()
        deaf = {s for s, x in features.items() if x.grad is None or not x.grad.any()}
        assert deaf == set()


def test_the_finest_level_comes_first_and_is_the_refined_one():
    pyramid = PanPyramid(CHANNELS, 4).eval()
    features = maps(96, 128)
    levels = pyramid(features)
    assert list(levels) == [4, 8, 16, 32]
    assert torch.equal(levels[4], pyramid._refined(features, None)[4])
