"""The straightforward node does what the nodes it stands for do."""

from __future__ import annotations

from array import array

import numpy as np

from thermal_perception.cli.benchmark.naive_node import to_8_bits, to_message
from thermal_perception.cli.benchmark.scene import thermal_counts
from thermal_perception.cli.ros import message
from thermal_perception.evaluation.messages import to_detections
from thermal_perception.types import Detections


def image_of(counts):
    image = message('sensor_msgs/msg/Image')(encoding='mono16', step=2 * counts.shape[1])
    image.height, image.width = counts.shape
    image.header.frame_id = 'optical'
    image.header.stamp.sec = 5
    image.data = array('B', counts.astype('<u2').tobytes())
    return image


def test_counts_are_divided_by_257_as_cv_bridge_does():
    counts = np.array([[0, 257, 514], [8000, 65535, 400]], np.uint16)
    assert to_8_bits(image_of(counts)).tolist() == [[0, 1, 2], [31, 255, 2]]


def test_answer_carries_header_boxes_scores_and_classes():
    found = Detections(
        np.array([[1, 2, 5, 12], [3, 3, 4, 4]], np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([1, 0]),
        ('person', 'car'),
        5_000_000_000,
        'optical',
        (2, 3),
    )
    again = to_detections(
        to_message(image_of(np.zeros((2, 3), np.uint16)), found), ('person', 'car')
    )
    np.testing.assert_allclose(again.boxes_xyxy_px, found.boxes_xyxy_px)
    np.testing.assert_allclose(again.scores, found.scores)
    assert again.labels.tolist() == [1, 0]
    assert (again.stamp_ns, again.frame_id) == (5_000_000_000, 'optical')


def test_scene_is_14_bits_with_contrast_repeatable_and_moving():
    first = thermal_counts(0, (512, 640))
    assert first.shape == (512, 640)
    assert first.dtype == np.uint16
    assert first.max() < 2**14
    assert np.ptp(first) > 800
    np.testing.assert_array_equal(first, thermal_counts(0, (512, 640)))
    assert (first != thermal_counts(1, (512, 640))).mean() > 0.5
    assert thermal_counts(3, (64, 96)).shape == (64, 96)
