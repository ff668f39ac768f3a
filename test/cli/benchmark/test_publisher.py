"""The cameras of the benchmark: whom they publish for, and what."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from thermal_perception.cli.benchmark.publisher import Camera
from thermal_perception.cli.benchmark.scene import colour_image, thermal_counts

SIZE = (6, 8)


class Graph:
    """Stands for a ROS node: keeps what is published, by topic."""

    def __init__(self):
        self.sent = []

    def create_publisher(self, kind, topic, quality):
        return SimpleNamespace(publish=lambda message: self.sent.append((topic, message)))

    def create_subscription(self, kind, topic, callback, quality):
        self.give_turn = lambda name: callback(SimpleNamespace(data=name))


def test_both_cameras_publish_the_same_moment_for_the_node_whose_turn_it_is():
    graph = Graph()
    camera = Camera(graph, SIZE, ['left', 'right'], ['thermal', 'rgb'])
    graph.give_turn('right')
    camera.publish()
    sent = dict(graph.sent)
    assert set(sent) == {f'/right/{c}/{t}' for c in ('thermal', 'rgb')
                         for t in ('image_raw', 'camera_info')}
    assert len({(m.header.stamp.sec, m.header.stamp.nanosec) for m in sent.values()}) == 1
    thermal, rgb = sent['/right/thermal/image_raw'], sent['/right/rgb/image_raw']
    assert_array_equal(np.frombuffer(thermal.data, '<u2').reshape(SIZE), thermal_counts(0, SIZE))
    assert_array_equal(np.frombuffer(rgb.data, np.uint8).reshape(*SIZE, 3), colour_image(0, SIZE))
    assert (thermal.encoding, thermal.step, rgb.encoding, rgb.step) == ('mono16', 16, 'bgr8', 24)


def test_a_node_of_one_camera_gets_no_colour_images():
    graph = Graph()
    camera = Camera(graph, SIZE, ['left'])
    graph.give_turn('left')
    camera.publish()
    assert {topic for topic, _ in graph.sent} == {
        '/left/thermal/image_raw', '/left/thermal/camera_info'
    }
