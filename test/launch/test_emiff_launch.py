"""`emiff.launch.py`: both sides, started together, hear each other's topics."""

from __future__ import annotations

from pathlib import Path
import tempfile
import time
import unittest

import pytest

# Not `launch`: without ROS the folder of our launch files would pass for it.
pytest.importorskip('launch_testing', reason='launch is not installed: PyPI has none')

from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tiny import emiff
from vision_msgs.msg import Detection3DArray

from launch import LaunchDescription
from thermal_perception.encode import to_camera_info, to_image
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.resources import share_path

# Processes import torch, which takes long on a busy machine.
DEADLINE_S = 120.0
SIZE = (64, 96)
SETTINGS = emiff(compression=[{'c': 4, 's': 0}])


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    weights = Path(tempfile.mkdtemp()) / 'random.safetensors'
    preprocess = {'resize_to': list(SIZE), 'pad_multiple': 32}
    save_random(weights, CheckpointInfo('tiny', 'emiff', SETTINGS, preprocess, ('car',)))
    included = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share_path('launch', 'emiff.launch.py'))),
        launch_arguments={
            'role': 'both', 'checkpoint': str(weights), 'image': '/car/image_raw',
            'infra_image': '/pole/image_raw', 'features': '/radio',
        }.items(),
    )  # fmt: skip
    return LaunchDescription([included, launch_testing.actions.ReadyToTest()])


class TestLaunchedNodes(unittest.TestCase):
    def test_images_become_features_and_boxes(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node('drivers', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        features, boxes = [], []
        node.create_subscription(CompressedImage, '/radio', features.append, 10)
        node.create_subscription(
            Detection3DArray, '/emiff_vehicle/detections_3d', boxes.append, 10
        )
        cameras = [
            (node.create_publisher(Image, f'/{name}/image_raw', 5),
             node.create_publisher(CameraInfo, f'/{name}/camera_info', 5))
            for name in ('car', 'pole')
        ]  # fmt: skip
        K = np.array([[60.0, 0, 47.5], [0, 60, 31.5], [0, 0, 1]])
        end = time.monotonic() + DEADLINE_S
        while not (features and boxes) and time.monotonic() < end:
            stamp_ns = node.get_clock().now().nanoseconds
            image = np.random.default_rng(stamp_ns).integers(0, 255, (*SIZE, 3), np.uint8)
            for images, infos in cameras:
                infos.publish(to_camera_info(K, SIZE, stamp_ns=stamp_ns, frame_id='camera'))
                images.publish(to_image(image, 'bgr8', stamp_ns=stamp_ns, frame_id='camera'))
            executor.spin_once(timeout_sec=0.05)
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
        self.assertTrue(features, 'no feature message came')
        self.assertTrue(boxes, 'no boxes came')
        self.assertTrue(features[0].format.startswith('thermal_perception/emiff; v=1'))
        self.assertEqual(boxes[0].header.frame_id, 'base_link')


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_nodes_end_cleanly_when_launch_ends(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
