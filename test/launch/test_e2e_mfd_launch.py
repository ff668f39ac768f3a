"""`e2e_mfd.launch.py` with its arguments: both cameras remapped, namespace and weights."""

from __future__ import annotations

import time
import unittest

import pytest

# Not `launch`: without ROS the folder of our launch files would pass for it.
pytest.importorskip('launch_testing', reason='launch is not installed: PyPI has none')

import launch_testing.asserts
import launch_testing.markers
import numpy as np
from pair_launch import in_namespace_front, RGB, THERMAL
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from tiny import e2e_mfd

from thermal_perception.encode import to_image

# Processes import torch, which takes long on a busy machine.
DEADLINE_S = 120.0
CLASS_NAMES = ('person', 'car')


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    return in_namespace_front('e2e_mfd', e2e_mfd(CLASS_NAMES), CLASS_NAMES)


class TestLaunchedNode(unittest.TestCase):
    def test_pair_of_the_remapped_drivers_becomes_a_coloured_image_in_the_namespace(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node('drivers', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        pictures = []
        node.create_subscription(Image, '/front/e2e_mfd/fused_image', pictures.append, 10)
        thermal = node.create_publisher(Image, THERMAL, 5)
        rgb = node.create_publisher(Image, RGB, 5)
        grey = np.random.default_rng(0).integers(0, 2**14, (64, 96), np.uint16)
        blue = np.full((64, 96, 3), (200, 40, 40), np.uint8)

        def is_blue(message):
            pixels = np.frombuffer(message.data, np.uint8).reshape(64, 96, 3).astype(int)
            return (pixels[..., 0] - pixels[..., 2]).mean() > 10

        end = time.monotonic() + DEADLINE_S
        while not any(map(is_blue, pictures)) and time.monotonic() < end:
            stamp_ns = node.get_clock().now().nanoseconds
            thermal.publish(to_image(grey, 'mono16', stamp_ns=stamp_ns, frame_id='boson'))
            rgb.publish(to_image(blue, 'bgr8', stamp_ns=stamp_ns, frame_id='camera'))
            executor.spin_once(timeout_sec=0.05)
        frame_ids = {picture.header.frame_id for picture in pictures}
        found = any(map(is_blue, pictures))
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
        self.assertTrue(found, f'{len(pictures)} pictures, none with the colours of the camera')
        self.assertEqual(frame_ids, {'boson'})


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_node_ends_cleanly_when_launch_ends(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
