"""The demo's ROS node: answers and truth of either kind reach what counts them."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

import rclpy
from sensor_msgs.msg import Image

from thermal_perception.cli.demo.label_state import LabelState
from thermal_perception.cli.demo.listener import Listener
from thermal_perception.cli.demo.recorder import PictureRecorder
from thermal_perception.cli.node_kinds import NODE_KINDS
from thermal_perception.encode import to_image
from thermal_perception.simulation import SEMANTIC_NAMES

DEADLINE_S = 30.0


@pytest.fixture
def driver(ros_domain):
    """A node in a context of its own."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('driver', context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_label_images_meet_the_simulators_and_the_overlay_is_recorded(driver, tmp_path):
    car = SEMANTIC_NAMES.index('car')
    images = {
        '/rgbt_segmentation/segmentation': np.full((48, 64), 1, np.uint8),
        '/ground_truth/segmentation': np.full((48, 64), car, np.uint8),
        '/rgbt_segmentation/overlay': np.full((48, 64, 3), 90, np.uint8),
    }
    recorder = PictureRecorder(tmp_path, 'overlay', rate_hz=10.0, picture_every_s=1.0)
    state = LabelState(('unlabeled', 'car'))
    kind = NODE_KINDS['rgbt_segmentation']
    with Listener(kind, state, {'overlay': recorder}) as listener:
        publishers = {topic: driver.create_publisher(Image, topic, 10) for topic in images}
        end = time.monotonic() + DEADLINE_S
        while not (listener.look(lambda seen, _: seen.scored) and recorder.video_frames):
            assert time.monotonic() < end, 'nothing was received'
            stamp_ns = time.time_ns()
            for topic, image in images.items():
                encoding = 'bgr8' if image.ndim == 3 else 'mono8'
                publishers[topic].publish(
                    to_image(image, encoding, stamp_ns=stamp_ns, frame_id='optical')
                )
            time.sleep(0.02)  # the pace of a camera
    assert state.now_by_class == {'car': 1.0}
    assert state.scores == {'mIoU': 1.0, 'IoU of car': 1.0}
    assert (tmp_path / 'overlay.mp4').is_file()
