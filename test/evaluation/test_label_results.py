"""Results in files, and paired comparisons of them."""

from __future__ import annotations

import json

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.figures import Draws
from thermal_perception.evaluation.label_results import (
    compare_label_results,
    LabelResult,
    read_label_result,
)
from thermal_perception.evaluation.segmentation import SegmentationScorer

NAMES = ('unlabeled', 'car')
IMAGES = [f'{n:02d}.png' for n in range(12)]


def result_of(matrix_of):
    """Return a result of twelve images of six scenes, every other scene at night."""
    scorer = SegmentationScorer(NAMES)
    for number, name in enumerate(IMAGES):
        scorer.add_matrix(name, np.array(matrix_of(number)))
    scenes = {name: n // 2 for n, name in enumerate(IMAGES)}
    light = {name: {'condition': ('day', 'night')[scene % 2]} for name, scene in scenes.items()}
    return LabelResult(scorer, light, scenes)


def at_night(number):
    return number // 2 % 2 == 1


@pytest.fixture
def fair():
    return result_of(lambda number: [[3, 1], [1, 3]])  # both classes: 3 of 5


@pytest.fixture
def good_at_night():
    return result_of(lambda number: [[4, 0], [0, 4]] if at_night(number) else [[3, 1], [1, 3]])


def write(path, result):
    metrics = result.scorer.score().to_json()
    path.write_text(json.dumps({'metrics': metrics, **result.to_json()}))
    return path


def test_a_result_survives_its_file(tmp_path, good_at_night):
    read = read_label_result(write(tmp_path / 'a.json', good_at_night))
    assert_array_equal(read.scorer.matrices(), good_at_night.scorer.matrices())
    assert read.scorer.class_names == NAMES
    assert (read.units, read.attributes) == (good_at_night.units, good_at_night.attributes)


def test_a_gain_shows_where_it_is_and_nowhere_else(fair, good_at_night):
    compared = compare_label_results(fair, good_at_night, Draws(200))
    assert list(compared) == ['all', *NAMES, 'condition day', 'condition night']
    night, day = (compared[f'condition {light}']['mIoU'] for light in ('night', 'day'))
    assert (night.first, night.second) == (pytest.approx(0.6), 1)
    assert night.difference.estimate == pytest.approx(0.4)
    assert night.difference.real
    assert day.difference.estimate == 0
    assert not day.difference.real
    # six images right and six as before: 42 of 54 pixels in the union
    assert compared['all']['mIoU'].second == pytest.approx(42 / 54)


def test_the_same_result_twice_is_no_difference(fair):
    one = compare_label_results(fair, fair, Draws(20))['all']['mIoU'].difference
    assert (one.estimate, one.interval.low, one.interval.high, one.real) == (0, 0, 0, False)


def test_results_of_other_images_are_refused(fair):
    other = SegmentationScorer(NAMES)
    other.add_matrix('x.png', np.eye(2, dtype=np.int64))
    less = LabelResult(other, {'x.png': {}}, {'x.png': 0})
    with pytest.raises(MetricError, match='found results of 12 and 1 images'):
        compare_label_results(fair, less, Draws(5))


@pytest.mark.parametrize('content', ['', '[]', '{"metrics": {"per_class": {"car": {}}}}'])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(DatasetError, match=r'a.json: is no result of labelling pixels'):
        read_label_result(tmp_path / 'a.json')


def test_a_matrix_that_does_not_fit_is_refused(fair):
    with pytest.raises(MetricError, match=r'x.png: found \(3, 3\), expected \(2, 2\)'):
        fair.scorer.add_matrix('x.png', np.eye(3, dtype=np.int64))
    with pytest.raises(MetricError, match='00.png: added twice'):
        fair.scorer.add_matrix('00.png', np.eye(2, dtype=np.int64))
