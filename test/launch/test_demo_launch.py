"""`demo.launch.py`: simulated cameras and the detector, in two processes."""

from __future__ import annotations

from pathlib import Path
import tempfile
import time
import unittest

import pytest

# Not `launch`: without ROS the folder of our launch files would pass for it.
pytest.importorskip('launch_testing', reason='launch is not installed: PyPI has none')

from launch.actions import IncludeLaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
import rclpy
from rclpy.executors import SingleThreadedExecutor
from tiny import lite
from vision_msgs.msg import Detection2DArray

from launch import LaunchDescription
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo

DEADLINE_S = 120.0
CLASS_NAMES = ('person', 'car', 'bicycle', 'other_vehicle')
TINY = lite(CLASS_NAMES)
FOLDER = tempfile.TemporaryDirectory()
CHECKPOINT = Path(FOLDER.name, 'tiny.safetensors')


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    info = CheckpointInfo('tiny', 'fusion_detr', TINY, {}, CLASS_NAMES, None, 0.0)
    save_random(CHECKPOINT, info)
    arguments = {'checkpoint': str(CHECKPOINT), 'device': 'cpu', 'rate_hz': '2.0', 'bits': '16'}
    system = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare('thermal_perception'), 'launch', 'demo.launch.py']),
        launch_arguments=arguments.items(),
    )
    return LaunchDescription([system, launch_testing.actions.ReadyToTest()])


class TestDemo(unittest.TestCase):
    def test_detector_answers_the_moments_the_truth_is_told_of(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node('listener', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        stamps = {'/fusion_detr/detections': set(), '/ground_truth/detections': set()}
        for topic, seen in stamps.items():
            node.create_subscription(
                Detection2DArray,
                topic,
                lambda m, seen=seen: seen.add((m.header.stamp.sec, m.header.stamp.nanosec)),
                10,
            )
        end = time.monotonic() + DEADLINE_S
        while not set.intersection(*stamps.values()) and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
        self.assertTrue(set.intersection(*stamps.values()), f'no common stamp: {stamps}')


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_both_processes_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
