from __future__ import annotations

import torch
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.brightness import brightness, compose


def pixels(*values):
    return torch.tensor(values)[None, None, None]  # [1, 1, 1, N]


def weights(thermal, visible):
    return torch.cat((pixels(*thermal), pixels(*visible)), 1)


def test_brightness_is_the_largest_of_red_green_and_blue():
    rgb = torch.cat((pixels(0.9, 0.1, 0.0), pixels(0.2, 0.5, 0.0), pixels(0.3, 0.6, 0.0)), 1)
    assert_close(brightness(rgb), pixels(0.9, 0.6, 0.0))


def test_fused_is_thermal_where_only_thermal_weighs_and_visible_where_only_visible_does():
    w = weights((1.0, 0.0), (0.0, 1.0))
    fused = compose(w, thermal=pixels(0.8, 0.8), visible=pixels(0.3, 0.3))
    assert_close(fused, pixels(0.8, 0.3))


def test_weights_need_not_sum_to_one():
    w = weights((0.25, 1.0), (0.5, 1.0))
    fused = compose(w, thermal=pixels(0.8, 0.9), visible=pixels(0.4, 0.8))
    assert_close(fused, pixels(0.4, 1.7))
