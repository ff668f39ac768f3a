"""`fusion_detr.launch.py` with its arguments: namespace, name, topics and weights."""

from __future__ import annotations

from pathlib import Path
import tempfile
import time
import unittest

import pytest

# Not `launch`: without ROS the folder of our launch files would pass for it.
pytest.importorskip('launch_testing', reason='launch is not installed: PyPI has none')

from diagnostic_msgs.msg import DiagnosticArray
from launch.actions import IncludeLaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from tiny import lite
from vision_msgs.msg import Detection2DArray

from launch import LaunchDescription
from thermal_perception.encode import to_image
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo

# Processes import torch, which takes long on a busy machine.
DEADLINE_S = 120.0
CLASS_NAMES = ('person', 'car')
TINY = lite(CLASS_NAMES)
FOLDER = tempfile.TemporaryDirectory()
CHECKPOINT = Path(FOLDER.name, 'tiny.safetensors')


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    info = CheckpointInfo('tiny', 'fusion_detr', TINY, {}, CLASS_NAMES, None, 0.0)
    save_random(CHECKPOINT, info)
    arguments = {
        'namespace': 'front',
        'name': 'detector',
        'thermal_image': '/boson/image_raw',
        'checkpoint': str(CHECKPOINT),
        'device': 'cpu',
        'log_level': 'warn',
    }
    system = IncludeLaunchDescription(
        PathJoinSubstitution(
            [FindPackageShare('thermal_perception'), 'launch', 'fusion_detr.launch.py']
        ),
        launch_arguments=arguments.items(),
    )
    return LaunchDescription([system, launch_testing.actions.ReadyToTest()])


class TestLaunchedNode(unittest.TestCase):
    def setUp(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('driver', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def tearDown(self):
        self.node.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)

    def until(self, condition, what):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), end, f'deadline passed: {what}')
            self.executor.spin_once(timeout_sec=0.05)

    def test_image_of_the_remapped_driver_is_answered_in_the_namespace(self):
        answers = []
        self.node.create_subscription(
            Detection2DArray, '/front/detector/detections', answers.append, 10
        )
        images = self.node.create_publisher(Image, '/boson/image_raw', 5)
        picture = np.random.default_rng(0).integers(0, 2**14, (64, 96), np.uint16)
        sent_ns = []

        def answered():  # the first are lost while the processes find each other
            sent_ns.append(self.node.get_clock().now().nanoseconds)
            images.publish(
                to_image(picture, 'mono16', stamp_ns=sent_ns[-1], frame_id='boson_optical')
            )
            return answers

        self.until(answered, 'an answer')
        self.assertEqual(answers[0].header.frame_id, 'boson_optical')
        stamp = answers[0].header.stamp
        self.assertIn(stamp.sec * 10**9 + stamp.nanosec, sent_ns)
        self.assertEqual(len(answers[0].detections), 12)

    def test_camera_info_of_the_remapped_driver_is_heard_with_the_overlay(self):
        self.node.create_subscription(Image, '/front/detector/overlay', lambda _: None, 1)
        self.until(lambda: self.node.count_subscribers('/boson/camera_info'), 'the node listens')

    def test_diagnostics_name_the_node_and_its_weights(self):
        seen = {}

        def take(message):
            seen.update({s.name: {v.key: v.value for v in s.values} for s in message.status})

        self.node.create_subscription(DiagnosticArray, '/diagnostics', take, 10)
        name = 'front/detector: perception'
        self.until(lambda: seen.get(name, {}).get('state') == 'active', 'diagnostics')
        self.assertEqual(seen[name]['checkpoint'], str(CHECKPOINT))
        self.assertEqual(seen[name]['model'], 'tiny')


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_node_ends_cleanly_when_launch_ends(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
