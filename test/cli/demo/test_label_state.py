"""The demo's arithmetic on label images: shares of classes, agreement with the simulator."""

from __future__ import annotations

from array import array
from types import SimpleNamespace as Message

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.class_sets import MFNET, PST900
from thermal_perception.cli.demo.label_state import LabelState, simulated_ids
from thermal_perception.simulation import SEMANTIC_NAMES
from thermal_perception.types import SegmentationMask
from training.simulate import mfnet_labels

NAMES = ('unlabeled', 'car', 'person', 'bump')


def mask_of(labels, stamp_ns=1, names=NAMES):
    return SegmentationMask(np.asarray(labels, np.uint8), names, stamp_ns, 'optical')


def test_shares_of_the_latest_image_and_of_all_leave_out_the_background():
    state = LabelState(NAMES)
    state.take_answer(mask_of([[0, 1, 1, 2]], 1), 0.0)
    state.take_answer(mask_of([[0, 0, 0, 2]], 2), 0.1)
    assert state.now_by_class == {'person': 0.25}
    assert state.by_class == {'car': 0.25, 'person': 0.25}
    assert (state.frames, state.scored, state.scores) == (2, 0, {'mIoU': None})


def test_nothing_but_background_is_nothing_found():
    state = LabelState(NAMES)
    assert not state.found
    state.take_answer(mask_of([[0, 0]]), 0.0)
    assert not state.found
    state.take_answer(mask_of([[0, 3]]), 0.0)
    assert state.found


def test_score_is_that_of_the_classes_in_the_truth_and_false_classes_cost_theirs():
    state = LabelState(NAMES)
    state.take_truth(mask_of([[0, 0, 0, 0, 1, 1, 1, 255]]))
    state.take_answer(mask_of([[0, 0, 3, 3, 1, 1, 0, 2]]), 0.0)
    # unlabeled: 2 of 5 (four true ones and a car), car: 2 of 3; the last pixel does not count
    scores = state.scores
    assert scores['IoU of unlabeled'] == pytest.approx(0.4)
    assert scores['IoU of car'] == pytest.approx(2 / 3)
    assert scores['mIoU'] == pytest.approx((0.4 + 2 / 3) / 2)
    assert set(scores) == {'mIoU', 'IoU of unlabeled', 'IoU of car'}
    assert state.to_json()['mIoU'] == scores['mIoU']


def test_images_of_other_stamps_are_not_compared():
    state = LabelState(NAMES)
    state.take_truth(mask_of([[1]], 1))
    state.take_answer(mask_of([[1]], 2), 0.0)
    assert state.scored == 0
    state.take_answer(mask_of([[1]], 1), 0.1)
    assert state.scored == 1


def test_label_images_are_read_with_their_padding_left_out():
    stamp = Message(sec=0, nanosec=7)
    rows = np.array([[7, 8, 99], [9, 10, 99]], np.uint8)  # two columns of three bytes
    message = Message(header=Message(stamp=stamp, frame_id='optical'), height=2, width=2, step=3,
                      data=array('B', rows.tobytes()))
    state = LabelState(NAMES)
    answer, truth = state.read_answer(message), state.read_truth(message)
    assert_array_equal(answer.labels, [[7, 8], [9, 10]])
    # person, car; a bicycle has no name here; other vehicles are unknown
    assert SEMANTIC_NAMES[7:11] == ('person', 'car', 'bicycle', 'other_vehicle')
    assert_array_equal(truth.labels, [[2, 1], [0, 255]])
    assert (answer.stamp_ns, truth.stamp_ns) == (7, 7)


def test_ids_of_mfnet_are_those_that_training_on_simulated_scenes_uses():
    every = np.arange(len(SEMANTIC_NAMES), dtype=np.uint8)
    theirs = mfnet_labels(mask_of(every, names=SEMANTIC_NAMES))
    assert_array_equal(simulated_ids(MFNET.names)[every], theirs)


def test_what_the_model_cannot_name_is_background_or_does_not_count():
    assert set(simulated_ids(PST900.names)[:10]) == {0}
    assert set(simulated_ids(('road', 'car'))) == {0, 1, 255}
