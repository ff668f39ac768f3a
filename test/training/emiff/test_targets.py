"""Which anchors are to find which objects."""

from __future__ import annotations

import math

import pytest
import torch

from thermal_perception.models.emiff.anchors import make_anchors
from thermal_perception.models.emiff.config import AnchorConfig, EmiffConfig, GridConfig
from training.emiff.targets import assign, IGNORED, NOTHING, Target3D

# Cells of 1 m; anchors of 3.9 x 1.6 m stand at x 0.5, 1.5, ... and y -7.5, -6.5, ...
CONFIG = EmiffConfig(grid=GridConfig((0.0, -8.0, -3.0), (32.0, 8.0, 0.6), (32, 16, 12)))
ANCHORS = make_anchors(CONFIG)


def target(*boxes, labels=None):
    rows = torch.tensor([(*b[:2], -1.7, 3.9, 1.6, 1.5, b[2]) for b in boxes]).reshape(-1, 7)
    return Target3D(rows, torch.tensor(labels or [0] * len(boxes), dtype=torch.long))


def cells(found, index):
    """Return (row, column, anchor) of the anchors that find an object."""
    return (found.view(16, 32, 2) == index).nonzero().tolist()


def test_by_hand():
    found = assign(ANCHORS, target((10.5, 0.5, 0.0)), CONFIG)
    # Shifted by 1 m along: (3.9 - 1) / (3.9 + 1) = 0.592, neither found nor nothing.
    assert cells(found, 0) == [[8, 10, 0]]
    assert cells(found, IGNORED) == [[8, 9, 0], [8, 11, 0]]
    assert int((found == NOTHING).sum()) == 16 * 32 * 2 - 3


def test_across_it_is_the_turned_anchor():
    found = assign(ANCHORS, target((10.5, 0.5, math.pi / 2)), CONFIG)
    assert cells(found, 0) == [[8, 10, 1]]
    assert cells(found, IGNORED) == [[7, 10, 1], [9, 10, 1]]


def test_an_object_that_no_anchor_fits_well_has_its_best():
    # Between four anchors: (3.4 * 1.1) / (2 * 6.24 - 3.74) = 0.428; nothing at 0.45, found at 0.4.
    between = target((11.0, 1.0, 0.0))
    assert not cells(assign(ANCHORS, between, CONFIG), 0)
    rules = AnchorConfig(negative_iou=0.4, least_iou=0.4)
    found = assign(ANCHORS, between, EmiffConfig(grid=CONFIG.grid, anchors=(rules,)))
    assert cells(found, 0) == [[8, 10, 0], [8, 11, 0], [9, 10, 0], [9, 11, 0]]


def test_each_object_has_its_own():
    found = assign(ANCHORS, target((10.5, 0.5, 0.0), (20.5, -4.5, 3.1)), CONFIG)
    assert cells(found, 0) == [[8, 10, 0]]
    assert cells(found, 1) == [[3, 20, 0]]


def test_of_two_sizes_the_right_one_finds_an_object():
    sizes = AnchorConfig('car'), AnchorConfig('car', (9.0, 2.5, 3.2))
    config = EmiffConfig(anchors=sizes, grid=CONFIG.grid)
    anchors = make_anchors(config)
    assert anchors.shape == (16, 32, 4, 7)
    bus = torch.tensor([[10.5, 0.5, -1.7, 9.5, 2.5, 3.2, 0.0]])
    car = torch.tensor([[22.5, 0.5, -1.7, 3.9, 1.6, 1.5, 0.0]])
    found = assign(anchors, Target3D(torch.cat((bus, car)), torch.zeros(2).long()), config)
    by_anchor = found.view(16, 32, 4)
    assert (by_anchor[8, 10] == torch.tensor([NOTHING, NOTHING, 0, NOTHING])).all()
    assert (by_anchor[8, 22] == torch.tensor([1, NOTHING, NOTHING, NOTHING])).all()


def test_nothing_to_find():
    assert (assign(ANCHORS, target(), CONFIG) == NOTHING).all()


def test_anchors_care_for_their_class_alone():
    config = EmiffConfig(
        class_names=('car', 'van'), anchors=(AnchorConfig(), AnchorConfig()), grid=CONFIG.grid
    )
    anchors = make_anchors(config)
    found = assign(anchors, target((10.5, 0.5, 0.0), labels=[1]), config).view(16, 32, 4)
    assert (found == 0).nonzero().tolist() == [[8, 10, 2]]


@pytest.mark.parametrize('yaw', [0.0, math.pi, 0.3, -0.3])
def test_small_turns_and_half_turns_do_not_matter(yaw):
    assert cells(assign(ANCHORS, target((10.5, 0.5, yaw)), CONFIG), 0) == [[8, 10, 0]]
