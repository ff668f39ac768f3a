"""Label maps on disk, by hand; labels that are no class and other sizes are named."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.from_files import score_label_maps

# Rows truth, columns prediction: 3 and 3 right, one of each taken for the other.
TRUTH = [[0, 0, 0, 0], [1, 1, 1, 1]]
GUESS = [[0, 0, 0, 1], [1, 1, 1, 0]]


@pytest.fixture
def maps(tmp_path):
    """Return a function that writes label maps, and the folders of both sides."""
    folders = {side: tmp_path / side for side in ('truth', 'predicted')}
    for folder in folders.values():
        folder.mkdir()

    def write(name, truth, predicted):
        for side, labels in (('truth', truth), ('predicted', predicted)):
            if labels is not None:
                cv2.imwrite(str(folders[side] / name), np.array(labels, np.uint8))
        return folders

    return write


def test_two_classes_by_hand(maps):
    scorer, _ = score_label_maps(**maps('1.png', TRUTH, GUESS), class_names=('road', 'car'))
    metrics = scorer.score()
    assert metrics.mIoU == pytest.approx(3 / 5)
    assert metrics.pixel_accuracy == pytest.approx(6 / 8)
    assert metrics.per_class['car'].accuracy == pytest.approx(3 / 4)


def test_classes_without_names_are_numbered_as_far_as_truth_goes(maps):
    maps('1.png', [[0, 255]], [[0, 0]])
    scorer, _ = score_label_maps(**maps('2.png', [[0, 2]], [[0, 2]]))
    assert scorer.class_names == ('0', '1', '2')
    metrics = scorer.score()
    assert (metrics.mIoU, metrics.undefined, metrics.pixels) == (1, 1, 3)


def test_predicted_label_that_no_class_has_is_told_with_both_files(maps):
    folders = maps('1.png', [[0, 1]], [[0, 7]])
    with pytest.raises(
        MetricError,
        match=r'truth/1.png, .*predicted/1.png: prediction: found labels 0..7, expected 0..1',
    ):
        score_label_maps(**folders)
    with pytest.raises(MetricError, match=r'expected 0..2 \(or 255 in truth\)'):
        score_label_maps(**folders, class_names=('a', 'b', 'c'))


def test_label_beyond_the_named_classes_in_truth_is_refused(maps):
    with pytest.raises(MetricError, match='truth: found labels 0..4, expected 0..1'):
        score_label_maps(**maps('1.png', [[0, 4]], [[0, 0]]), class_names=('a', 'b'))


def test_ignored_label_can_be_another_one_or_none(maps):
    folders = maps('1.png', [[0, 1, 9]], [[0, 1, 1]])
    assert score_label_maps(**folders, ignore=9)[0].score().mIoU == 1
    scorer, _ = score_label_maps(**folders, ignore=None)
    assert (len(scorer.class_names), scorer.score().pixels) == (10, 3)


def test_another_size_is_told_with_both_sizes(maps):
    with pytest.raises(MetricError, match=r'prediction is \(1, 3\) and truth \(2, 4\)'):
        score_label_maps(**maps('1.png', TRUTH, [[0, 0, 0]]))


def test_prediction_without_truth_is_an_error_and_truth_without_prediction_is_counted(maps):
    maps('1.png', TRUTH, GUESS)
    _, partners = score_label_maps(**maps('2.png', TRUTH, None))
    assert partners.left_out == {'truth': ('2',)}
    with pytest.raises(DatasetError, match='truth: holds no image for 1 of the 2 names of'):
        score_label_maps(**maps('3.png', None, GUESS))


def test_truth_that_ignores_everything_has_no_classes(maps):
    with pytest.raises(DatasetError, match='truth: every true pixel has label 255'):
        score_label_maps(**maps('1.png', [[255]], [[0]]))


def test_empty_folder_is_named(maps):
    with pytest.raises(DatasetError, match='predicted: holds no image'):
        score_label_maps(**maps('1.png', TRUTH, None))
