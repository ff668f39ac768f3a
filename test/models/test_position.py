from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from thermal_perception.models.position import sine_boxes, sine_grid


def test_grid_code_by_hand_for_the_first_cell_and_the_last():
    code = sine_grid(torch.zeros(1, 2, 4, dtype=torch.bool), 8)
    assert code.shape == (1, 8, 2, 4)
    # Channels: 4 for y, then 4 for x; frequencies 1 and 1/100 (10000 ** (2/4)), sine and cosine.
    cells = {(0, 0): (1 / 2, 1 / 4), (1, 3): (1, 1), (0, 2): (1 / 2, 3 / 4)}
    for (row, column), (y, x) in cells.items():
        angles = [v * 2 * math.pi / f for v in (y, x) for f in (1, 100)]
        by_hand = [g(a) for a in angles for g in (math.sin, math.cos)]
        assert_close(code[0, :, row, column], torch.tensor(by_hand), atol=1e-5, rtol=0)


def test_grid_code_counts_valid_cells_only():
    padding = torch.zeros(1, 4, 6, dtype=torch.bool)
    padding[:, 3:] = True
    padding[:, :, 4:] = True
    small = sine_grid(torch.zeros(1, 3, 4, dtype=torch.bool), 16)
    assert_close(sine_grid(padding, 16)[:, :, :3, :4], small)


def test_grid_code_of_an_image_that_is_all_padding_is_finite():
    assert torch.isfinite(sine_grid(torch.ones(1, 3, 4, dtype=torch.bool), 16)).all()


def test_box_code_by_hand_is_cy_cx_w_h():
    box = torch.tensor([0.1, 0.2, 0.3, 0.4])
    by_hand = []
    for value in (0.2, 0.1, 0.3, 0.4):
        by_hand += [math.sin(value * 2 * math.pi), math.cos(value * 2 * math.pi)]
    assert_close(sine_boxes(box, 2), torch.tensor(by_hand))
