"""`rgbt_segmentation.launch.py` with its arguments: both cameras, namespace and weights."""

from __future__ import annotations

import time
import unittest

import pytest

# Not `launch`: without ROS the folder of our launch files would pass for it.
pytest.importorskip('launch_testing', reason='launch is not installed: PyPI has none')

from diagnostic_msgs.msg import DiagnosticArray
import launch_testing.asserts
import launch_testing.markers
import numpy as np
from pair_launch import in_namespace_front, RGB, THERMAL
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from tiny import rgbt

from thermal_perception.encode import to_image

# Processes import torch, which takes long on a busy machine.
DEADLINE_S = 120.0
CLASS_NAMES = ('unlabeled', 'person', 'car')


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    return in_namespace_front('rgbt_segmentation', rgbt(CLASS_NAMES), CLASS_NAMES)


class TestLaunchedNode(unittest.TestCase):
    def test_pair_of_the_remapped_drivers_is_labelled_in_the_namespace(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node('drivers', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        maps, pairs = [], []

        def count_pairs(array):
            values = [v for status in array.status for v in status.values]
            pairs.extend(int(v.value) for v in values if v.key == 'thermal paired')

        node.create_subscription(Image, '/front/rgbt_segmentation/segmentation', maps.append, 10)
        node.create_subscription(DiagnosticArray, '/diagnostics', count_pairs, 10)
        thermal = node.create_publisher(Image, THERMAL, 5)
        rgb = node.create_publisher(Image, RGB, 5)
        grey = np.random.default_rng(0).integers(0, 2**14, (64, 96), np.uint16)
        blue = np.full((64, 96, 3), (200, 40, 40), np.uint8)
        stamps = set()

        end = time.monotonic() + DEADLINE_S
        while not (maps and any(pairs)) and time.monotonic() < end:
            stamp_ns = node.get_clock().now().nanoseconds
            stamps.add(stamp_ns)
            thermal.publish(to_image(grey, 'mono16', stamp_ns=stamp_ns, frame_id='boson'))
            rgb.publish(to_image(blue, 'bgr8', stamp_ns=stamp_ns, frame_id='camera'))
            executor.spin_once(timeout_sec=0.05)
        found = {(m.header.frame_id, m.encoding, m.height, m.width) for m in maps}
        labels = {label for m in maps for label in m.data}
        answered = {m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in maps}
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
        self.assertTrue(any(pairs), f'{len(maps)} label images, none of a pair')
        self.assertEqual(found, {('boson', 'mono8', 64, 96)})
        self.assertLessEqual(labels, {0, 1, 2})
        self.assertLessEqual(answered, stamps)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_node_ends_cleanly_when_launch_ends(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
