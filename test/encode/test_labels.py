from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from thermal_perception.encode import (
    to_classification,
    to_header,
    to_label_info,
    to_palette,
)
from thermal_perception.types import FusionWeights


def test_label_info_numbers_the_classes_from_zero():
    message = to_label_info(('person', 'car'), 0.5, stamp_ns=2_000_000_003)
    assert [(c.class_id, c.class_name) for c in message.class_map] == [(0, 'person'), (1, 'car')]
    assert message.threshold == 0.5
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (2, 3)


def test_palette_has_the_colour_of_an_id_in_its_column():
    message = to_palette(('background', 'fire_extinguisher', 'backpack', 'hand_drill',
                          'rescue_randy'), stamp_ns=2_000_000_003)
    assert (message.encoding, message.height, message.width) == ('rgb8', 1, 5)
    colours = np.frombuffer(message.data, np.uint8).reshape(-1, 3)
    labels = np.array([[0, 1], [4, 3]])
    assert colours[labels].tolist() == [
        [[0, 0, 0], [255, 0, 0]], [[255, 255, 255], [0, 0, 255]]
    ]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (2, 3)


def test_fusion_weights_are_named_by_quantity_and_stride():
    weights = FusionWeights(
        (8, 16),
        alpha_hat=np.array([0.25, 0.75], np.float32),
        alpha=np.array([0.5, 0.5], np.float32),
        prior=np.array([0.125, 0.875], np.float32),
        logits=np.array([-1.0, 2.0], np.float32),
        beta_norm=1.5,
    )
    message = to_classification(weights, stamp_ns=7, frame_id='boson')
    values = {h.class_id: h.score for h in message.results}
    entropy = values.pop('entropy')
    assert values == {
        'alpha_hat_8': 0.25, 'alpha_hat_16': 0.75, 'alpha_8': 0.5, 'alpha_16': 0.5,
        'prior_8': 0.125, 'prior_16': 0.875, 'logit_8': -1.0, 'logit_16': 2.0,
        'dominant_stride': 16.0, 'beta_norm': 1.5,
    }
    # -(1/4 ln 1/4 + 3/4 ln 3/4) = ln 4 - 3/4 ln 3
    assert entropy == pytest.approx(1.3862944 - 0.75 * 1.0986123)
    assert (message.header.stamp.nanosec, message.header.frame_id) == (7, 'boson')


def test_stamp_is_split_into_seconds_and_nanoseconds():
    header = to_header(1_999_999_999, 'f')
    assert (header.stamp.sec, header.stamp.nanosec) == (1, 999_999_999)
