"""The record of fusion weights, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dataset import CocoSplit
from thermal_perception.evaluation.scale_weights import FusionRecorder, mean_object_areas
from thermal_perception.types import Detections, Frame, FrameSet, FusionWeights, Perception

NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), (), 0, '', (1, 1)
)


def named(name: str) -> FrameSet:
    return FrameSet(thermal=Frame(np.zeros((1, 1), np.uint8), 0, name, 'thermal'))


def recorder(**alpha_hat: tuple[float, float]) -> FusionRecorder:
    """Return a recorder that has seen one frame per keyword, with these weights."""

    def perceive(frames: FrameSet) -> Perception:
        weights = np.array(alpha_hat[frames.frame_id], np.float32)
        return Perception(NOTHING, FusionWeights((8, 16), weights, weights, weights, weights, 0.0))

    seen = FusionRecorder(perceive)
    for name in alpha_hat:
        seen(named(name))
    return seen


def test_summary_gives_mean_and_population_deviation():
    summary = recorder(a=(0.2, 0.8), b=(0.6, 0.4)).summary({})

    assert summary.strides == (8, 16)
    assert_allclose(summary.mean, [0.4, 0.6], atol=1e-7)
    assert_allclose(summary.std, [0.2, 0.2], atol=1e-7)


def test_weight_that_grows_with_area_correlates_by_one():
    summary = recorder(a=(0.2, 0.8), b=(0.6, 0.4)).summary({'a': 900.0, 'b': 100.0})

    assert_allclose(summary.area_correlation, [-1.0, 1.0])


def test_correlation_is_nan_where_fewer_than_two_images_have_objects():
    summary = recorder(a=(0.2, 0.8), b=(0.6, 0.4)).summary({'a': 900.0})

    assert np.isnan(summary.area_correlation).all()


def test_csv_has_a_row_per_image_with_its_entropy(tmp_path: Path):
    recorder(a=(0.5, 0.5), b=(1.0, 0.0)).write_csv(tmp_path / 'fusion.csv')

    lines = (tmp_path / 'fusion.csv').read_text().splitlines()
    assert lines == [
        'image,a8,a16,entropy',
        'a,0.500000,0.500000,0.693147',
        'b,1.000000,0.000000,0.000000',
    ]


def test_model_without_fusion_is_refused():
    with pytest.raises(DatasetError, match='mixes no scales'):
        FusionRecorder(lambda frames: Perception(NOTHING))(named('a'))


def test_mean_object_area_leaves_ignore_regions_out():
    box = {'image_id': 1, 'bbox': [0, 0, 10, 20]}
    rows = [box, {**box, 'bbox': [5, 5, 10, 40]}, {**box, 'bbox': [0, 0, 99, 99], 'iscrowd': 1}]
    split = CocoSplit({'annotations': rows}, ((1, Path('x/one.png')), (2, Path('x/two.png'))))

    assert mean_object_areas(split) == {'one.png': 300.0}
