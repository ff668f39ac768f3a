"""The cameras of the benchmark: whom they publish for, and what."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from thermal_perception.cli.benchmark.publisher import Camera, sent_to
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
    Camera(graph, SIZE, ['left', 'right'], ['thermal', 'rgb'])
    graph.give_turn('right 0')
    sent = dict(graph.sent)
    assert set(sent) == {
        f'/right/{c}/{t}' for c in ('thermal', 'rgb') for t in ('image_raw', 'camera_info')
    }
    assert len({(m.header.stamp.sec, m.header.stamp.nanosec) for m in sent.values()}) == 1
    thermal, rgb = sent['/right/thermal/image_raw'], sent['/right/rgb/image_raw']
    assert_array_equal(np.frombuffer(thermal.data, '<u2').reshape(SIZE), thermal_counts(0, SIZE))
    assert_array_equal(np.frombuffer(rgb.data, np.uint8).reshape(*SIZE, 3), colour_image(0, SIZE))
    assert (thermal.encoding, thermal.step, rgb.encoding, rgb.step) == ('mono16', 16, 'bgr8', 24)


def test_a_node_of_one_camera_gets_no_colour_images():
    graph = Graph()
    Camera(graph, SIZE, ['left'])
    graph.give_turn('left 0.0')
    assert {topic for topic, _ in graph.sent} == {
        '/left/thermal/image_raw',
        '/left/thermal/camera_info',
    }


def images_of(graph):
    return [topic for topic, _ in graph.sent if topic.endswith('image_raw')]


def test_a_rate_paces_the_images_and_what_was_missed_is_left_out(monkeypatch):
    clock = SimpleNamespace(s=100.0)
    monkeypatch.setattr('time.monotonic', lambda: clock.s)
    graph = Graph()
    camera = Camera(graph, SIZE, ['left'])
    assert camera.due_in_s > 0
    graph.give_turn('left 4')
    counts = []
    for clock.s in (100.0, 100.125, 100.25, 100.375, 101.75, 101.875, 102.0):
        camera.publish_if_due()
        counts.append(len(images_of(graph)))
    assert counts == [1, 1, 2, 2, 3, 3, 4]
    assert camera.due_in_s == 0.25


def test_what_was_sent_is_printed_and_read_by_name(capsys, monkeypatch):
    stamps = iter([7, 8, 9])
    monkeypatch.setattr('time.time_ns', lambda: next(stamps))
    graph = Graph()
    Camera(graph, SIZE, ['left', 'right'])
    for name in ('left', 'right', 'left'):
        graph.give_turn(f'{name} 0')
    lines = ['[WARN] of the middleware', *capsys.readouterr().out.splitlines()]
    assert (sent_to('left', lines), sent_to('right', lines)) == ([7, 9], [8])
