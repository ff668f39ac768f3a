"""Figures of many fused images: means, what is undefined, merging, light, refusals."""

from __future__ import annotations

import json

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.bootstrap import compare_per_image
from thermal_perception.evaluation.image_fusion import FIGURES, FusionScorer, measure


def pair(seed, size=(44, 46)):
    rng = np.random.default_rng(seed)
    return {k: rng.integers(0, 256, size).astype(np.uint8) for k in ('thermal', 'visible')}


def average(sources):
    return (sources['thermal'].astype(float) + sources['visible']) / 2


def scored(seeds):
    scorer = FusionScorer()
    for seed in seeds:
        sources = pair(seed)
        scorer.add(f'{seed:05d}{"DN"[seed % 2]}.png', average(sources), **sources)
    return scorer


def test_copy_of_equal_sources_has_the_values_that_follow_from_the_definitions():
    image = pair(0)['thermal']
    quality = measure(image, thermal=image, visible=image)
    assert pytest.approx(2, abs=2e-3) == quality.VIF
    assert pytest.approx(1) == quality.SSIM
    assert quality.MI_bits == pytest.approx(2 * quality.EN)
    assert pytest.approx(2 * quality.EN * np.log(2)) == quality.MI
    assert quality.MI_paper == pytest.approx(2 * (quality.EN * np.log(2) - 0.36651), abs=1e-4)
    assert quality.SCD == 0  # the differences are constant
    assert quality.Qabf == pytest.approx(quality.Qabf_inner)
    assert quality.halo == 0


def test_measuring_leaves_the_images_as_they_are():
    sources = pair(1)
    before = {k: v.copy() for k, v in sources.items()}
    measure(average(sources), **sources)
    for key, image in sources.items():
        np.testing.assert_array_equal(image, before[key])


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 6))
def test_merged_parts_equal_one_scorer_and_the_mean_of_single_images(cut):
    first, second, whole = scored(range(cut)), scored(range(cut, 6)), scored(range(6))
    second.merge(first)
    assert second.score() == whole.score()
    singles = [measure(average(pair(s)), **pair(s)) for s in range(6)]
    for name in FIGURES:
        expected = np.mean([getattr(q, name) for q in singles])
        assert getattr(whole.score().mean, name) == pytest.approx(expected)


def test_day_and_night_are_averaged_apart():
    parts = scored(range(4)).breakdown()
    assert list(parts) == [('light', 'day'), ('light', 'night')]
    assert parts['light', 'night'] == scored([1, 3]).score()


def test_undefined_figures_are_left_out_of_the_mean_and_counted():
    scorer = scored([0])
    expected = scorer.score().mean
    flat = np.zeros((44, 46))
    scorer.add('flat', pair(0)['thermal'], thermal=flat, visible=flat)
    metrics = scorer.score()
    assert metrics.undefined == {'VIF': 1, 'Qabf': 1, 'Qabf_inner': 1, 'VIF_paper': 1}
    assert (metrics.mean.VIF, metrics.images) == (expected.VIF, 2)
    assert json.loads(json.dumps(metrics.to_json()))['undefined']['VIF'] == 1


def test_no_image_gives_no_figure():
    values = FusionScorer().score().to_json()
    assert values['EN'] is None
    assert values['images'] == 0


def test_two_fusions_of_the_same_pairs_are_compared_image_by_image():
    values, other = scored(range(6)), FusionScorer()
    for seed in range(6):
        other.add(values.names()[seed], pair(seed)['visible'], **pair(seed))
    column = FIGURES.index('SD')
    judged = compare_per_image(
        values.values()[:, column], other.values()[:, column], resamples=100
    )
    assert judged.real
    assert judged.estimate == pytest.approx(other.score().mean.SD - values.score().mean.SD)


def test_unfitting_images_are_refused_by_name_and_size():
    sources = pair(0)
    scorer = FusionScorer()
    with pytest.raises(MetricError, match='a: fused image is 43x46 and thermal image 44x46'):
        scorer.add('a', average(sources)[:43], **sources)
    with pytest.raises(MetricError, match='fused image is 44x46 and visible image 44x45'):
        scorer.add('a', average(sources), **{**sources, 'visible': sources['visible'][:, :45]})
    with pytest.raises(MetricError, match='thermal image: found values that are not finite'):
        scorer.add('a', average(sources), **{**sources, 'thermal': np.full((44, 46), np.nan)})
    assert_allclose(scorer.values(), np.zeros((0, len(FIGURES))))
    scorer.add('a', average(sources), **sources)
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.add('a', average(sources), **sources)
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.merge(scorer)
