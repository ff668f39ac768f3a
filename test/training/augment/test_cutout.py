"""Holes: how many, how large, and where."""

from __future__ import annotations

import numpy as np

from training.augment import AugmentConfig, draw_holes

SIZE = (48, 64)


def drawn(seed, size=SIZE, **options):
    return draw_holes(AugmentConfig(**options), size, np.random.default_rng(seed))


def sides(hole):
    return [part.stop - part.start for part in hole]


def test_holes_that_are_off_draw_nothing():
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    assert draw_holes(AugmentConfig(), SIZE, rng) == []
    assert rng.random() == other.random()


def test_holes_lie_within_the_sample_and_are_as_many_and_as_large_as_told():
    counts, lengths = set(), set()
    for seed in range(60):
        holes = drawn(seed, cutout=1.0, cutout_holes=(1, 3), cutout_px=(4, 6))
        counts.add(len(holes))
        for rows, columns in holes:
            assert rows.start >= 0
            assert rows.stop <= 48
            assert columns.start >= 0
            assert columns.stop <= 64
            lengths.update(sides((rows, columns)))
    assert counts == {1, 2, 3}
    assert lengths == {4, 5, 6}


def test_a_hole_as_large_as_the_sample_is_all_of_it():
    assert drawn(0, (3, 5), cutout=1.0, cutout_holes=(1, 1), cutout_px=(9, 9)) == [
        (slice(0, 3), slice(0, 5))
    ]


def test_samples_have_holes_as_often_as_told():
    with_holes = sum(bool(drawn(seed, cutout=0.3)) for seed in range(500))
    assert 120 <= with_holes <= 180
