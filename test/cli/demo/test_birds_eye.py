"""Boxes seen from above, at pixels worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from thermal_perception.cli.demo.birds_eye import BirdsEye, Layer
from thermal_perception.types import Boxes3D

GROUND = BirdsEye(ahead_m=(0.0, 20.0), aside_m=(-10.0, 10.0), px_per_m=10.0)
RED = (0, 0, 255)


def boxes(*rows):
    """Return boxes of x, y, yaw, length, width."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    count = len(table)
    return Boxes3D(
        np.column_stack((table[:, :2], np.zeros(count))),
        np.column_stack((table[:, 3:], np.full(count, 1.5))),
        table[:, 2],
        np.ones(count, np.float32),
        np.zeros(count, np.int64),
        ('car',),
        np.full(count, -1),
        0,
        'base_link',
    )


def painted(picture, colour=RED):
    """Return least and greatest row and column of a colour, above the legend."""
    rows, columns = np.nonzero((picture[: GROUND.size[0]] == colour).all(2))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_x_is_up_and_y_is_left():
    np.testing.assert_allclose(GROUND.pixels(np.array([20.0, 10.0])), (0, 0))
    np.testing.assert_allclose(GROUND.pixels(np.array([0.0, -10.0])), (200, 200))
    np.testing.assert_allclose(GROUND.pixels(np.array([5.0, 2.0])), (80, 150))


@pytest.mark.parametrize(
    ('yaw', 'box'),
    [(0.0, (80, 120, 40, 60)), (np.pi / 2, (90, 110, 30, 70))],
    ids=['ahead', 'to the left'],
)
def test_a_box_covers_its_ground(yaw, box):
    picture = GROUND.draw([Layer('truth', boxes((10.0, 5.0, yaw, 4.0, 2.0)), RED, filled=True)])
    assert painted(picture) == pytest.approx(box, abs=1)


def test_an_outline_is_hollow_but_for_the_half_where_it_heads():
    picture = GROUND.draw([Layer('found', boxes((10.0, 0.0, 0.0, 8.0, 4.0)), RED)])
    red = (picture == RED).all(2)
    assert red[80, 100]  # between the middle and the front
    assert not red[120, 100]
    assert red[100, 80]
    assert red[100, 120]


def test_later_layers_are_on_top_and_the_legend_counts():
    same = boxes((10.0, 0.0, 0.0, 8.0, 4.0))
    below, above = Layer('a', same, (0, 255, 0), filled=True), Layer('b', same, RED, filled=True)
    one, two = GROUND.draw([below]), GROUND.draw([below, above], 'title')
    assert two.shape == (222, 200, 3)
    assert (two[100, 100] == RED).all()
    assert (one[100, 100] == (0, 255, 0)).all()
    assert (one[200:] != two[200:]).any()


def test_boxes_beyond_the_picture_are_no_harm():
    far = boxes((1e9, -1e9, 1.0, 4.0, 2.0), (300.0, 0.0, 0.0, 4.0, 2.0))
    picture = GROUND.draw([Layer('far', far, RED, filled=True), Layer('none', boxes(), RED)])
    assert not (picture[:200] == RED).all(2).any()
