"""Detection messages become arrays, whoever made the message."""

from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.messages import to_boxes_3d, to_detections


def message(*rows):
    """Build a Detection2DArray-shaped message from (cx, cy, w, h, [(class_id, score)]) rows."""
    detections = [
        Message(
            bbox=Message(
                center=Message(position=Message(x=cx, y=cy), theta=0.0), size_x=w, size_y=h
            ),
            results=[Message(hypothesis=Message(class_id=c, score=s)) for c, s in results],
        )
        for cx, cy, w, h, results in rows
    ]
    header = Message(stamp=Message(sec=12, nanosec=34), frame_id='optical')
    return Message(header=header, detections=detections)


def test_centre_and_size_become_corners_with_header_kept():
    found = to_detections(message((50.0, 20.0, 10.0, 8.0, [('car', 0.75)])), ('person', 'car'))
    np.testing.assert_allclose(found.boxes_xyxy_px, [[45, 16, 55, 24]])
    assert found.labels.tolist() == [1]
    assert found.scores.tolist() == [0.75]
    assert (found.stamp_ns, found.frame_id) == (12_000_000_034, 'optical')


def test_best_of_several_hypotheses_counts_and_none_is_left_out():
    rows = [(5, 5, 2, 2, [('car', 0.2), ('person', 0.6)]), (9, 9, 2, 2, [])]
    found = to_detections(message(*rows), ('person', 'car'), image_size=(512, 640))
    assert found.labels.tolist() == [0]
    assert found.image_size == (512, 640)


def test_empty_message_gives_empty_arrays():
    assert to_detections(message(), ('person',)).boxes_xyxy_px.shape == (0, 4)


def test_names_come_from_the_message_when_none_are_given():
    found = to_detections(message((5, 5, 2, 2, [('car', 1.0)]), (5, 5, 2, 2, [('bus', 0.5)])))
    assert found.class_names == ('bus', 'car')
    assert found.labels.tolist() == [1, 0]


def test_unknown_class_is_refused_with_the_known_ones():
    with pytest.raises(DatasetError, match="unknown class 'cat'; expected one of person, car"):
        to_detections(message((5, 5, 2, 2, [('cat', 1.0)])), ('person', 'car'))


def test_3d_boxes_keep_order_heading_and_number():
    def detection(x, yaw, results, name):
        turn = Message(x=0.0, y=0.0, z=np.sin(yaw / 2), w=np.cos(yaw / 2))
        centre = Message(position=Message(x=x, y=2.0, z=0.5), orientation=turn)
        return Message(
            bbox=Message(center=centre, size=Message(x=4.0, y=1.8, z=1.5)),
            results=[Message(hypothesis=Message(class_id=c, score=s)) for c, s in results],
            id=name,
        )

    rows = [
        detection(10.0, -2.5, [('car', 0.4), ('truck', 0.7)], '17'),
        detection(11.0, 0.0, [], '18'),
        detection(12.0, np.pi / 2, [('car', 0.9)], ''),
    ]
    header = Message(stamp=Message(sec=12, nanosec=34), frame_id='base_link')
    found = to_boxes_3d(Message(header=header, detections=rows))
    np.testing.assert_allclose(found.centres_m, [(10, 2, 0.5), (12, 2, 0.5)])
    np.testing.assert_allclose(found.sizes_m, [(4, 1.8, 1.5)] * 2)
    np.testing.assert_allclose(found.yaws_rad, (-2.5, np.pi / 2))
    assert [found.class_names[label] for label in found.labels] == ['truck', 'car']
    np.testing.assert_allclose(found.scores, (0.7, 0.9))
    assert found.track_ids.tolist() == [17, -1]
    assert (found.stamp_ns, found.frame_id) == (12_000_000_034, 'base_link')


def test_a_message_without_3d_boxes_has_empty_ones():
    header = Message(stamp=Message(sec=0, nanosec=1), frame_id='base_link')
    found = to_boxes_3d(Message(header=header, detections=[]))
    assert (found.centres_m.shape, found.sizes_m.shape, len(found)) == ((0, 3), (0, 3), 0)
