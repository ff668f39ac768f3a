"""`fusion_detr.launch.py cameras:=2`: one process, a node below a namespace for each camera."""

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
TOPICS = ('/left/image_raw', '/rear/image_raw')
FOLDER = tempfile.TemporaryDirectory()
CHECKPOINT = Path(FOLDER.name, 'tiny.safetensors')


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    info = CheckpointInfo('tiny', 'fusion_detr', lite(CLASS_NAMES), {}, CLASS_NAMES, None, 0.0)
    save_random(CHECKPOINT, info)
    arguments = {
        'namespace': 'front',
        'name': 'detector',
        'cameras': '2',
        'thermal_image': ','.join(TOPICS),
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


class TestLaunchedNodes(unittest.TestCase):
    def test_image_of_each_driver_is_answered_by_its_node_with_the_weights_that_were_given(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node('driver', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        answers, weights = ([], []), {}
        for i, received in enumerate(answers):
            topic = f'/front/camera_{i}/detector/detections'
            node.create_subscription(Detection2DArray, topic, received.append, 10)

        def take(message):
            for status in message.status:
                values = {v.key: v.value for v in status.values}
                weights[status.name] = values.get('checkpoint')

        node.create_subscription(DiagnosticArray, '/diagnostics', take, 10)
        images = [node.create_publisher(Image, topic, 5) for topic in TOPICS]
        picture = np.random.default_rng(0).integers(0, 2**14, (64, 96), np.uint16)
        names = [f'front/camera_{i}/detector: perception' for i in range(2)]
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end and not (all(answers) and all(map(weights.get, names))):
            stamp_ns = node.get_clock().now().nanoseconds
            for topic, publisher in zip(TOPICS, images):
                publisher.publish(to_image(picture, 'mono16', stamp_ns=stamp_ns, frame_id=topic))
            executor.spin_once(timeout_sec=0.05)
        frame_ids = [{message.header.frame_id for message in received} for received in answers]
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
        self.assertEqual(frame_ids, [{topic} for topic in TOPICS])
        self.assertEqual([weights.get(name) for name in names], [str(CHECKPOINT)] * 2)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_process_ends_cleanly_when_launch_ends(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
