"""Node rgbt_segmentation with a real network: a bag gives what the model gives offline."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')
pytest.importorskip('torch')

from rosbags.rosbag2 import Writer
from sensor_msgs.msg import Image
from tiny import rgbt
from vision_msgs.msg import Detection2DArray

from thermal_perception.class_sets import MFNET
from thermal_perception.decode import decode_image
from thermal_perception.encode import to_detection2d_array
from thermal_perception.evaluation.bag import open_bag, read_topic, typestore
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.nodes.rgbt_segmentation import load_segmenter, RgbtSegmentationNode
from thermal_perception.perceive import Perceiver
from thermal_perception.types import FrameSet

SIZE = (64, 96)
START_NS, PERIOD_NS = 1_700_000_000_000_000_000, 100_000_000
LEAST_PX = 200
TOPICS = {'thermal': '/thermal/image_raw', 'rgb': '/rgb/image_raw'}


@pytest.fixture
def rig(pair_rig):
    """The node, not started yet."""
    return pair_rig('rgbt_segmentation')


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    info = CheckpointInfo(
        'tiny', 'rgbt_segmentation', rgbt(MFNET.names), {'pad_multiple': 32}, MFNET.names
    )
    save_random(path, info)
    return path


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Return a bag of four moments: 8 and 16 bits in turn, the third without an RGB image."""
    path, rng = tmp_path_factory.mktemp('bag') / 'pairs', np.random.default_rng(0)
    store = typestore()
    types = store.types
    with Writer(path, version=9) as writer:
        connections = {
            camera: writer.add_connection(topic, 'sensor_msgs/msg/Image', typestore=store)
            for camera, topic in TOPICS.items()
        }
        for moment in range(4):
            stamp_ns = START_NS + moment * PERIOD_NS
            grey = rng.integers(0, 256, SIZE, np.uint8)
            heat = grey if moment % 2 else grey.astype(np.uint16) * 60
            colour = rng.integers(0, 256, (*SIZE, 3), np.uint8)
            images = {'thermal': (heat, 'mono8' if moment % 2 else 'mono16')}
            if moment != 2:
                images['rgb'] = (colour, 'bgr8')
            for camera, (image, encoding) in images.items():
                stamp = types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9))
                message = types['sensor_msgs/msg/Image'](
                    types['std_msgs/msg/Header'](stamp, f'{camera}_optical'), *SIZE, encoding, 0,
                    image.strides[0], image.reshape(-1).view(np.uint8),
                )
                raw = store.serialize_cdr(message, 'sensor_msgs/msg/Image')
                writer.write(connections[camera], stamp_ns, raw)
    return path


def frames_of(bag):
    """Return what the bag shows at each moment, read without ROS."""
    with open_bag(bag) as reader:
        found = {
            camera: {frame.stamp_ns: frame for frame in (
                decode_image(message, modality=camera) for message in read_topic(reader, topic)
            )}
            for camera, topic in TOPICS.items()
        }
    return [FrameSet(thermal, found['rgb'].get(stamp_ns))
            for stamp_ns, thermal in found['thermal'].items()]


def test_node_publishes_what_the_network_gives_offline_pixel_by_pixel(
    rig, bag, weights, one_thread_and_seed
):
    rig.graph.start(
        RgbtSegmentationNode, load=load_segmenter, checkpoint=str(weights), device='cpu',
        num_threads=1, score_threshold=0.0, min_area_px=LEAST_PX, warm_up_size=list(SIZE),
        queue='all', max_offset_s=1e-6, max_wait_s=30.0, modality_timeout_s=60.0,
    )
    detections = rig.listen(Detection2DArray, 'detections')
    labels = rig.listen(Image, 'segmentation')
    publishers = {topic: rig.graph.publisher(topic=topic) for topic in TOPICS.values()}
    with open_bag(bag) as reader:
        for connection, _, raw in reader.messages():
            publishers[connection.topic].publish(bytes(raw))
            rig.graph.spin(0.01)
    rig.graph.until(lambda: len(detections) == len(labels) == 4)

    offline = Perceiver.load(weights, device='cpu', min_area_px=LEAST_PX)
    moments = frames_of(bag)
    assert [frames.rgb is None for frames in moments] == [False, False, True, False]
    for frames, boxes, image in zip(moments, detections, labels):
        expected = offline(frames)
        assert (image.encoding, image.header) == ('mono8', boxes.header)
        assert_array_equal(
            np.frombuffer(image.data, np.uint8).reshape(SIZE), expected.segmentation.labels
        )
        assert boxes == to_detection2d_array(expected.detections)
    assert any(boxes.detections for boxes in detections)
    assert len(np.unique([image.data for image in labels])) > 1


def test_weights_that_are_missing_fail_configure_with_their_path(rig, tmp_path):
    node = rig.graph.start(
        RgbtSegmentationNode, load=load_segmenter, active=False,
        checkpoint=str(tmp_path / 'none.safetensors'),
    )
    rig.graph.watch_diagnostics()
    rig.graph.until_status('perception', 'ERROR', 'none.safetensors: no such file')
    assert node.state == 'unconfigured'
