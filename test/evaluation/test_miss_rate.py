"""Miss rate by hand: nine points, what is ignored, merging, day and night."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.bootstrap import bootstrap
from thermal_perception.evaluation.miss_rate import (
    ALL,
    FALSE_PER_IMAGE,
    miss_rate,
    MissRateScorer,
    MissRateSetting,
    Pedestrians,
)

PERSON = [100, 100, 140, 200]
EMPTY = np.zeros((0, 4))


def people(*rows, occlusion=0, ignored=False):
    boxes = np.array(rows, float).reshape(-1, 4)
    return Pedestrians(boxes, np.full(len(boxes), occlusion), np.full(len(boxes), ignored))


def boxes(*rows):
    """Return boxes and scores, each worse than the one before."""
    return np.array(rows, float).reshape(-1, 4), 1 - np.arange(len(rows)) / 10


def scored(*images, **setting):
    scorer = MissRateScorer(MissRateSetting(**setting))
    for n, (found, truth) in enumerate(images):
        scorer.add(str(n), *found, truth)
    return scorer.score()


def test_the_nine_points_are_evenly_spaced_in_the_logarithm():
    expected = [0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000]
    np.testing.assert_allclose(FALSE_PER_IMAGE, expected, atol=5e-5)


def test_everything_found_without_a_false_box_is_the_least_rate():
    result = scored((boxes(PERSON), people(PERSON)))
    assert result.lamr == pytest.approx(1e-10)
    assert result.recall == 1


def test_nothing_found_misses_everything():
    result = scored((boxes(), people(PERSON)), (boxes(), people(PERSON)))
    assert (result.lamr, result.recall, result.objects, result.images) == (1, 0, 2, 2)


def test_half_of_the_people_found_without_a_false_box_misses_half_at_every_point():
    assert scored((boxes(PERSON), people(PERSON, [300, 100, 340, 200]))).lamr == pytest.approx(0.5)


def test_curve_that_starts_right_of_a_point_misses_everything_there():
    # Two images: the best box is false, 0.5 per image. Up to 0.3162 all are missed, at 0.5623 and
    # 1 none: the geometric mean of seven times 1 and twice the least rate.
    images = (boxes([500, 300, 540, 400], PERSON), people(PERSON)), (boxes(), people())
    result = scored(*images)
    assert result.rates == (1,) * 7 + (0, 0)
    assert result.lamr == pytest.approx(10 ** (-10 * 2 / 9))


def test_people_of_an_image_without_boxes_are_missed():
    assert scored(
        (boxes(PERSON), people(PERSON)), (boxes(), people(PERSON))
    ).lamr == pytest.approx(0.5)


@pytest.mark.parametrize(
    ('truth', 'why'),
    [
        (people([100, 100, 140, 154.9]), 'below 55 pixels'),
        (people(PERSON, occlusion=2), 'heavily occluded'),
        (people(PERSON, ignored=True), 'a group'),
        (people([4, 100, 40, 200]), 'over the left border'),
        (people([100, 430, 140, 508]), 'over the lower border'),
    ],
)
def test_ignored_people_are_neither_missed_nor_false_when_found(truth, why):
    seen = boxes(*truth.boxes_xyxy_px, *truth.boxes_xyxy_px)  # twice: any number is ignored
    far = [300, 100, 340, 200]
    result = scored((seen, truth), (boxes(far), people(far)))
    assert (result.objects, result.lamr) == (1, pytest.approx(1e-10)), why


def test_partly_occluded_people_and_those_of_55_pixels_count():
    assert scored((boxes(), people(PERSON, occlusion=1))).objects == 1
    assert scored((boxes(), people([100, 100, 140, 155]))).objects == 1


def test_box_half_inside_an_ignored_region_is_ignored_by_the_part_that_is_covered():
    region = people([100, 100, 400, 400], ignored=True)
    inside, outside = [380, 200, 420, 300], [390, 200, 430, 300]  # half and a quarter covered
    far = [500, 100, 540, 200]
    found = (boxes(far), people(far))
    assert scored(found, (boxes(inside), region)).lamr == pytest.approx(1e-10)
    false = scored((boxes(outside), region), found)  # first in order, though equal in score
    assert false.lamr > 1e-10


def test_setting_all_counts_small_and_occluded_people():
    scorer = MissRateScorer(ALL)
    scorer.add('a', EMPTY, np.zeros(0), people([100, 100, 110, 120], occlusion=2))
    assert scorer.score().objects == 1


def test_no_pedestrian_gives_no_rate():
    assert scored((boxes(PERSON), people())).lamr is None
    assert MissRateScorer().score().lamr is None


def random_images(seed, number):
    rng = np.random.default_rng(seed)
    for n in range(number):
        corners = rng.uniform(10, 300, (rng.integers(0, 4), 2))
        truth = people(*np.hstack([corners, corners + rng.uniform(40, 150, corners.shape)]))
        found = truth.boxes_xyxy_px + rng.normal(0, 12, truth.boxes_xyxy_px.shape)
        yield f'set{n % 12:02d}_V000_I{n:05d}', found, rng.random(len(found)), truth


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_merged_parts_in_any_order_equal_one_scorer(seed, cut):
    images = list(random_images(seed, 20))
    whole, first, second = MissRateScorer(), MissRateScorer(), MissRateScorer()
    for image in images:
        whole.add(*image)
    for image in reversed(images[:cut]):
        second.add(*image)
    for image in images[cut:]:
        first.add(*image)
    first.merge(second)
    assert first.score() == whole.score()


def test_day_and_night_are_told_by_the_set():
    scorer = MissRateScorer()
    for image in random_images(0, 24):
        scorer.add(*image)
    parts = scorer.breakdown()
    assert list(parts) == [('light', 'day'), ('light', 'night')]
    night = MissRateScorer()
    for image in random_images(0, 24):
        if image[0][3:5] in ('03', '04', '05', '09', '10', '11'):
            night.add(*image)
    assert parts['light', 'night'] == night.score()


def test_miss_rate_is_resampled_from_the_matches():
    scorer = MissRateScorer()
    for image in random_images(0, 60):
        scorer.add(*image)
    ranking = scorer.ranking()
    samples = bootstrap(
        lambda w: np.array([miss_rate(ranking, w).lamr]), len(ranking.objects), resamples=50
    )
    assert samples.min() < scorer.score().lamr < samples.max()


def test_repeats_other_settings_and_unfitting_arrays_are_refused():
    scorer = MissRateScorer()
    scorer.add('a', EMPTY, np.zeros(0), people())
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.add('a', EMPTY, np.zeros(0), people())
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.merge(scorer)
    with pytest.raises(MetricError, match=r'b: found boxes \(0, 4\) and scores \(2,\)'):
        scorer.add('b', EMPTY, np.zeros(2), people())
    with pytest.raises(MetricError, match='min_height_px=20.0'):
        scorer.merge(MissRateScorer(ALL))
    with pytest.raises(MetricError, match=r'occlusion \(3,\)'):
        Pedestrians(EMPTY, np.zeros(3, int), np.zeros(0, bool))
