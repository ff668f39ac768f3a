"""Overlap of turned boxes: by hand, against thin slices, and where sides coincide."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.polygons import (
    convex,
    polygon_areas,
    polygon_overlaps,
    rotated_corners,
)


def turned(*boxes):
    """Return corners of (cx, cy, w, h, degrees) boxes."""
    rows = np.array(boxes, float).reshape(-1, 5)
    rows[:, 4] = np.deg2rad(rows[:, 4])
    return rotated_corners(rows)


def overlap(a, b):
    return polygon_overlaps(turned(a), turned(b))[0, 0]


def test_corners_turn_from_x_towards_y():
    corners = turned([10, 20, 4, 2, 90])[0]
    assert_allclose(corners, [[11, 18], [11, 22], [9, 22], [9, 18]], atol=1e-12)


def test_square_and_the_same_square_turned_by_45_degrees_share_an_octagon():
    # Side 2: the octagon has 8 (sqrt 2 - 1), the union 8 less that, the ratio is 1 / sqrt 2.
    assert overlap([0, 0, 2, 2, 0], [0, 0, 2, 2, 45]) == pytest.approx(1 / np.sqrt(2))


def test_bars_crossing_at_right_angles_share_a_square():
    # 4 x 1 and 1 x 4: 1 shared of 7.
    assert overlap([5, 5, 4, 1, 30], [5, 5, 4, 1, 120]) == pytest.approx(1 / 7)


@pytest.mark.parametrize('angle', [0, 1e-9, 17, 45, 90, 180, 270])
def test_box_and_itself_overlap_fully_at_any_angle(angle):
    assert overlap([3, 4, 7, 2, angle], [3, 4, 7, 2, angle]) == pytest.approx(1)
    assert overlap([3, 4, 7, 2, angle], [3, 4, 7, 2, angle + 180]) == pytest.approx(1)


@pytest.mark.parametrize(
    ('other', 'expected'),
    [
        ([4, 0, 4, 4, 0], 0),  # side by side, one side shared
        ([2, 0, 4, 4, 0], 1 / 3),  # half over
        ([0, 0, 2, 2, 0], 1 / 4),  # inside
        ([1, 1, 2, 2, 0], 1 / 4),  # inside, two sides shared
        ([0, 0, 4, 0, 30], 0),  # without area
        ([50, 0, 4, 4, 0], 0),
        ([4.5, 4.5, 4, 4, 45], 0),  # upright boxes overlap, the turned ones do not
    ],
)
def test_shared_sides_and_containment(other, expected):
    assert overlap([0, 0, 4, 4, 0], other) == pytest.approx(expected, abs=1e-12)


box = st.tuples(
    st.floats(0, 40), st.floats(0, 40), st.floats(1, 50), st.floats(1, 50), st.floats(-180, 180)
)


def spans(corners, heights):
    """Return the least and largest x (H, 2) of a convex polygon at each height, NaN beyond it."""
    start, end = corners, np.roll(corners, -1, axis=0)
    with np.errstate(divide='ignore', invalid='ignore'):
        at = (heights[:, None] - start[:, 1]) / (end - start)[:, 1]
        x = np.where((at >= 0) & (at <= 1), start[:, 0] + at * (end - start)[:, 0], np.nan)
    return np.fmin.reduce(x, axis=1), np.fmax.reduce(x, axis=1)


def slow_shared_area(a, b, slices=4000):
    """Cut both polygons into thin slices."""
    corners = [turned(x)[0] for x in (a, b)]
    low = max(c[:, 1].min() for c in corners)
    step = (min(c[:, 1].max() for c in corners) - low) / slices
    if step <= 0:
        return 0.0
    heights = low + step * (np.arange(slices) + 0.5)
    (left, right), (other_left, other_right) = (spans(c, heights) for c in corners)
    widths = np.minimum(right, other_right) - np.maximum(left, other_left)
    return np.nansum(np.clip(widths, 0, None)) * step


@settings(deadline=None)
@given(box, box)
def test_overlap_equals_that_of_thin_slices_and_does_not_depend_on_the_order(a, b):
    shared = slow_shared_area(a, b)
    union = a[2] * a[3] + b[2] * b[3] - shared
    assert overlap(a, b) == pytest.approx(shared / union, abs=2e-3)
    assert overlap(a, b) == pytest.approx(overlap(b, a), abs=1e-9)


@settings(deadline=None)
@given(box, st.floats(-180, 180))
def test_turning_both_boxes_changes_nothing(a, angle):
    upright = overlap([0, 0, 8, 3, 0], [2, 1, 5, 5, 20])
    turn = np.deg2rad(angle)
    x, y = 2 * np.cos(turn) - np.sin(turn), 2 * np.sin(turn) + np.cos(turn)
    assert overlap([0, 0, 8, 3, angle], [x, y, 5, 5, 20 + angle]) == pytest.approx(upright)


def test_many_pairs_at_once_equal_one_by_one():
    rng = np.random.default_rng(0)
    rows = rng.uniform([0, 0, 2, 2, -90], [60, 60, 30, 30, 90], (40, 5))
    together = polygon_overlaps(turned(*rows[:25]), turned(*rows[25:]))
    assert_allclose(together, [[overlap(a, b) for b in rows[25:]] for a in rows[:25]])
    assert (together > 0.1).sum() > 20


def test_corners_in_either_direction_or_crossed_give_the_same_box():
    corners = turned([10, 10, 6, 3, 25])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3], [1, 0, 2, 3]):
        assert polygon_overlaps(corners[:, order], corners)[0, 0] == pytest.approx(1)


def test_dented_quadrilateral_becomes_its_hull():
    dented = np.array([[[0, 0], [4, 0], [1, 1], [0, 4]]], float)
    assert polygon_areas(convex(dented)) == pytest.approx(8)


def test_no_boxes_overlap_nothing():
    assert polygon_overlaps(turned(), turned([0, 0, 1, 1, 0])).shape == (0, 1)


def test_other_shapes_and_numbers_that_are_not_finite_are_refused():
    with pytest.raises(MetricError, match=r'found \(3, 8\), expected \(N, 4, 2\)'):
        polygon_overlaps(np.zeros((3, 8)), turned())
    with pytest.raises(MetricError, match='not finite'):
        polygon_overlaps(np.full((1, 4, 2), np.nan), turned())
