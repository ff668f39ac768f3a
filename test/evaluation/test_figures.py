"""Parts and intervals of any scorer's table, by hand and against the scorers' own parts."""

from __future__ import annotations

import numpy as np
import pytest

from thermal_perception.evaluation.bootstrap import Interval, weighted_mean
from thermal_perception.evaluation.figures import Draws, FigureTable, parts, whole
from thermal_perception.evaluation.image_fusion import FIGURES, FusionScorer
from thermal_perception.evaluation.miss_rate import MissRateScorer, Pedestrians
from thermal_perception.evaluation.oriented import OrientedBoxes, OrientedScorer
from thermal_perception.evaluation.segmentation import SegmentationScorer

NAMES = [f'{n:05d}{"DN"[n % 2]}.png' for n in range(12)]  # MFNet: six by day, six by night


def table_of(values, *, names=None, units=None):
    """Return a table with one figure: the mean of a value per image."""
    column = np.array(values, float)[:, None]
    names = [str(n) for n in range(len(values))] if names is None else names
    return FigureTable(
        names,
        [('all', 'mean')],
        lambda weights: weighted_mean(column, weights),
        np.isfinite(column).astype(np.int64),
        units,
    )


def test_whole_and_parts_are_the_means_of_their_images():
    table = table_of(range(12), names=NAMES)
    day, night = parts(table)
    assert whole(table).figures == {'all': {'mean': 5.5}}
    assert (day.attribute, day.value, day.images, day.held) == ('light', 'day', 6, 6)
    assert (day.figures['all']['mean'], night.figures['all']['mean']) == (5, 6)
    assert day.intervals == {}


def test_image_without_the_figure_counts_as_an_image_but_holds_nothing():
    part = whole(table_of([1, np.nan, 3]))
    assert (part.images, part.held, part.figures['all']['mean']) == (3, 2, 2)
    assert whole(table_of([np.nan])).figures['all']['mean'] is None


def test_interval_of_equal_values_has_no_width_and_four_images_give_none():
    sure = whole(table_of([7] * 5), Draws(50))
    assert sure.intervals == {'all': {'mean': Interval(7, 7)}}
    assert whole(table_of([7] * 4), Draws(50)).intervals == {'all': {'mean': None}}


def test_interval_of_a_part_draws_its_images_only():
    values = [100 if name.endswith('N.png') else n for n, name in enumerate(NAMES)]
    day, night = parts(table_of(values, names=NAMES), Draws(200))
    assert night.intervals['all']['mean'] == Interval(100, 100)
    assert 0 <= day.intervals['all']['mean'].low < 5 < day.intervals['all']['mean'].high <= 10


def test_scenes_are_drawn_as_wholes():
    # Two kinds of scene of opposite images: each scene's mean is 1, though images differ.
    units = [n // 2 for n in range(10)]
    alike = whole(table_of([0, 2] * 5, units=units), Draws(100)).intervals['all']['mean']
    assert alike == Interval(1, 1)
    assert whole(table_of([0, 2] * 5), Draws(100)).intervals['all']['mean'] != alike


def test_same_seed_gives_the_same_interval():
    table = table_of(range(9))
    first, again, other = (whole(table, Draws(100, seed)).intervals for seed in (3, 3, 4))
    assert first == again != other


def fused():
    scorer, rng = FusionScorer(), np.random.default_rng(0)
    for name in NAMES:
        images = rng.integers(0, 256, (3, 42, 45), np.uint8)
        scorer.add(name, images[0], thermal=images[1], visible=images[2])
    return scorer


def segmented():
    scorer, rng = SegmentationScorer(('road', 'car', 'bump')), np.random.default_rng(1)
    for name in NAMES:
        truth = rng.integers(0, 2, (6, 7))
        scorer.add(name, np.where(rng.random((6, 7)) < 0.7, truth, 0), truth)
    return scorer


def walked():
    scorer, rng = MissRateScorer(), np.random.default_rng(2)
    for n in range(12):
        corners = rng.uniform(10, 300, (3, 2))
        boxes = np.hstack([corners, corners + np.array([40, 100])])
        truth = Pedestrians(boxes, np.zeros(3, int), np.zeros(3, bool))
        found = boxes + rng.normal(0, 12, boxes.shape)
        scorer.add(f'set{n:02d}_V000_I00001', found, rng.random(3), truth)
    return scorer


@pytest.mark.parametrize('make', [fused, segmented, walked])
def test_parts_equal_those_of_the_scorer(make):
    scorer = make()
    table = scorer.table()
    own = scorer.breakdown()
    assert list(own) == [(p.attribute, p.value) for p in parts(table)]
    for part, score in zip(parts(table), own.values(), strict=True):
        score = getattr(score, 'mean', score)  # the means of fused images
        for figure, value in part.figures['all'].items():
            assert value == pytest.approx(getattr(score, figure)), figure


def test_tables_name_the_figures_of_all_and_of_each_class():
    assert whole(fused().table()).figures['all'].keys() == set(FIGURES)
    scored = whole(segmented().table())
    assert list(scored.figures) == ['all', 'road', 'car', 'bump']
    assert scored.held == 12 * 42
    assert scored.figures['bump'] == {'IoU': None, 'accuracy': None}


def test_class_that_is_missing_from_truth_has_no_interval():
    intervals = whole(segmented().table(), Draws(20)).intervals
    assert intervals['car']['IoU'].low <= intervals['car']['IoU'].high
    assert intervals['bump']['IoU'] is None


def test_oriented_parts_and_weights_are_those_of_the_scorer():
    scorer, rng = OrientedScorer(('car', 'bus')), np.random.default_rng(3)
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    for name in NAMES:
        corners = square + rng.uniform(0, 200, (4, 1, 2))
        labels = rng.integers(0, 2, 4)
        found = OrientedBoxes(corners + rng.normal(0, 3, (4, 1, 2)), labels, rng.random(4))
        scorer.add(name, found, OrientedBoxes(corners, labels, np.ones(4)))
    table = scorer.table()
    day = parts(table)[0]
    weights = np.array([name.endswith('D.png') for name in scorer.names()], np.int64)
    metrics = scorer.score(weights)
    assert 0 < metrics.mAP50 < 1
    assert day.figures['all'] == {'mAP50': metrics.mAP50, 'mAP50_voc07': metrics.mAP50_voc07}
    assert day.figures['bus']['mAP50'] == metrics.per_class['bus'].mAP50
    assert day.held == metrics.boxes == 24
    assert table.held[:, 2].sum() == scorer.score().per_class['car'].boxes
