"""Node simulated_cameras over DDS: pictures, truth, and faults on request."""

from __future__ import annotations

import functools

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, Detection3DArray
import yaml

from thermal_perception.decode import decode_image, stamp_ns_of
from thermal_perception.nodes.parameters.parameter_set import parameter_fields, ros_value
from thermal_perception.nodes.parameters.simulated_cameras import SimulatedCamerasParameters
from thermal_perception.nodes.simulated_cameras import SimulatedCamerasNode
from thermal_perception.resources import share_path
from thermal_perception.simulation import default_rig, render, Scene, ThermalSensor

RATE_HZ = 20.0
SMALL = {
    'thermal_size': [96, 128], 'rgb_size': [72, 128], 'rate_hz': RATE_HZ, 'seed': 3, 'start_s': 2.0
}


scene_of = functools.cache(Scene)


@pytest.fixture(autouse=True)
def one_world(monkeypatch):
    """Lay the world out once for all tests; it takes a second."""
    monkeypatch.setattr('thermal_perception.nodes.simulated_cameras.Scene', scene_of)


@pytest.fixture
def cameras(graph):
    def start(**parameters):
        graph.node = graph.start(SimulatedCamerasNode, **{**SMALL, **parameters})
        return graph

    return start


def stamps(messages):
    return [stamp_ns_of(m.header) for m in messages]


def expected(number, bits=8):
    """What image `number` must show."""
    scene = scene_of('road', 'night', 3)
    rig = default_rig(
        'road', thermal_size=(96, 128), rgb_size=(72, 128), pitch_deg=scene.pitch_deg,
        thermal_sensor=ThermalSensor(seed=3),
    )
    time_s = 2.0 + number / RATE_HZ
    return render(scene, time_s, rig.thermal, bits=bits), scene.odometry(time_s), rig


def image_of(message):
    return decode_image(message, modality='thermal').image


@pytest.mark.parametrize(('bits', 'encoding'), [(8, 'mono8'), (16, 'mono16')])
def test_first_picture_shows_the_scene_at_its_start(graph, bits, encoding):
    images = graph.listen(Image, 'thermal/image_raw', wait=False)
    infos = graph.listen(CameraInfo, 'thermal/camera_info', wait=False)
    graph.start(SimulatedCamerasNode, autostart=False, active=False, bits=bits, **SMALL)
    node = graph.nodes[-1]
    node.trigger_configure()
    graph.until(lambda: graph.driver.count_publishers('/thermal/image_raw') == 1)
    graph.spin(0.3)
    node.trigger_activate()
    graph.until(lambda: len(images) >= 2 and infos)
    frame, _, rig = expected(0, bits)
    assert images[0].encoding == encoding
    assert_array_equal(image_of(images[0]), frame.image)
    assert_array_equal(image_of(images[1]), expected(1, bits)[0].image)
    assert images[0].header.frame_id == 'thermal_optical_frame'
    assert infos[0].header == images[0].header
    assert_allclose(np.reshape(infos[0].k, (3, 3)), rig.thermal.K)


def test_stamps_are_now_and_rise_with_the_rate(cameras):
    graph = cameras(publish_rgb=False)
    images = graph.listen(Image, 'thermal/image_raw')
    graph.until(lambda: len(images) >= 6)
    assert abs(graph.now_ns() - stamps(images)[-1]) < 5e9
    intervals = np.diff(stamps(images))
    assert (intervals > 0).all()
    assert np.median(intervals) >= 0.5e9 / RATE_HZ


def test_truth_and_motion_have_the_stamp_of_their_picture(cameras):
    graph = cameras(publish_rgb=False)
    topics = {
        'thermal/image_raw': Image,
        'ground_truth/detections': Detection2DArray,
        'ground_truth/detections_3d': Detection3DArray,
        'ground_truth/segmentation': Image,
        'ground_truth/camera_info': CameraInfo,
        'ego/odometry': Odometry,
    }
    for topic, message in topics.items():
        graph.listen(message, topic)

    def moment():
        common = set.intersection(*(set(stamps(graph.received[t])) for t in topics))
        return min(common, default=None)

    stamp = graph.until(moment)
    by_topic = {
        topic: next(m for m in graph.received[topic] if stamp_ns_of(m.header) == stamp)
        for topic in topics
    }
    image = image_of(by_topic['thermal/image_raw'])
    number = next(n for n in range(1000) if np.array_equal(expected(n)[0].image, image))
    frame, motion, _ = expected(number)
    truth = frame.truth

    detections = by_topic['ground_truth/detections']
    assert detections.header.frame_id == 'thermal_optical_frame'
    found = [
        (d.id, d.results[0].hypothesis.class_id, d.results[0].hypothesis.score, d.bbox.size_x)
        for d in detections.detections
    ]
    widths = truth.detections.boxes_xyxy_px[:, 2] - truth.detections.boxes_xyxy_px[:, 0]
    assert found == [
        (str(track), truth.detections.class_names[label], float(share), float(width))
        for track, label, share, width in zip(
            truth.track_ids, truth.detections.labels, truth.visibility, widths
        )
    ]
    assert found

    boxes = by_topic['ground_truth/detections_3d']
    assert boxes.header.frame_id == 'base_link'
    centres = [
        (d.bbox.center.position.x, d.bbox.center.position.y, d.bbox.center.position.z)
        for d in boxes.detections
    ]
    assert_allclose(centres, truth.boxes_3d.centres_m)
    assert [d.id for d in boxes.detections] == [row[0] for row in found]

    odometry = by_topic['ego/odometry']
    assert (odometry.header.frame_id, odometry.child_frame_id) == ('map', 'base_link')
    position = odometry.pose.pose.position
    assert_allclose((position.x, position.y, position.z), motion.T_world_base[:3, 3])
    assert odometry.twist.twist.linear.x == motion.linear_mps[0]

    labels = by_topic['ground_truth/segmentation']
    assert (labels.encoding, labels.height, labels.width) == ('mono8', 96, 128)
    assert len(set(labels.data)) > 2
    assert by_topic['ground_truth/camera_info'].header == labels.header


def test_labels_of_pixels_are_not_computed_without_a_listener(cameras):
    graph = cameras(publish_rgb=False)
    graph.listen(Image, 'thermal/image_raw')
    graph.until(lambda: graph.received['thermal/image_raw'])
    moment = graph.until(lambda: graph.node._ahead.take())
    assert moment.thermal.truth.segmentation is None


def test_colour_camera_has_its_own_frame_size_and_the_same_stamp(cameras):
    graph = cameras()
    thermal = graph.listen(Image, 'thermal/image_raw')
    rgb = graph.listen(Image, 'rgb/image_raw')
    infos = graph.listen(CameraInfo, 'rgb/camera_info')
    graph.until(lambda: set(stamps(rgb)) & set(stamps(thermal)) & set(stamps(infos)))
    assert rgb[0].encoding == 'bgr8'
    assert (rgb[0].height, rgb[0].width) == (72, 128)
    assert rgb[0].header.frame_id == infos[0].header.frame_id == 'rgb_optical_frame'


def set_fault(graph, **faults):
    for name, value in faults.items():
        assert graph.node.set_parameters([Parameter(name, value=value)])[0].successful


def next_stamps(graph, topic, n):
    graph.received[topic].clear()
    return stamps(graph.until(lambda: (m := graph.received[topic]) and len(m) >= n and m))


def test_rgb_and_thermal_fall_silent_on_request_and_come_back(cameras):
    graph = cameras()
    thermal = graph.listen(Image, 'thermal/image_raw')
    rgb = graph.listen(Image, 'rgb/image_raw')
    for silent, other, fault in ((rgb, thermal, 'drop_rgb'), (thermal, rgb, 'drop_thermal')):
        graph.until(lambda silent=silent: silent)
        set_fault(graph, **{fault: True})
        for _ in range(2):  # what was on its way comes first
            other.clear()
            graph.until(lambda other=other: len(other) >= 2)
            silent.clear()
        graph.until(lambda other=other: len(other) >= 4)
        assert silent == []
        set_fault(graph, **{fault: False})
        graph.until(lambda silent=silent: silent)


def test_thermal_freezes_on_request_under_new_stamps(cameras):
    graph = cameras(publish_rgb=False)
    images = graph.listen(Image, 'thermal/image_raw')
    graph.until(lambda: len(images) >= 2)
    assert bytes(images[0].data) != bytes(images[1].data)
    set_fault(graph, freeze_thermal=True)
    images.clear()
    graph.until(lambda: len(images) >= 3)  # what was on its way comes first
    images.clear()
    graph.until(lambda: len(images) >= 3)
    assert len({bytes(image.data) for image in images}) == 1
    assert len(set(stamps(images))) == len(images)


def test_clock_of_the_colour_camera_is_off_on_request(cameras):
    graph = cameras(time_offset_s=0.5)
    thermal = graph.listen(Image, 'thermal/image_raw')
    rgb = graph.listen(Image, 'rgb/image_raw')
    graph.until(lambda: thermal and {s + 500_000_000 for s in stamps(thermal)} & set(stamps(rgb)))


def test_images_come_out_of_order_on_request(cameras):
    graph = cameras(publish_rgb=False, out_of_order=1.0)
    graph.listen(Image, 'thermal/image_raw')
    found = next_stamps(graph, 'thermal/image_raw', 4)
    assert (np.diff(found) < 0).any()


def test_diagnostics_tell_rate_and_faults(cameras):
    graph = cameras(publish_rgb=False)
    graph.watch_diagnostics()
    graph.until(lambda: int(graph.value('cameras', 'published') or 0) > 3)
    assert graph.value('cameras', 'scene') == 'road, night, seed 3'
    set_fault(graph, drop_thermal=True, jitter_s=0.01)
    graph.until_status('cameras', 'WARN', 'faults on request: drop_thermal, jitter_s')


def test_node_becomes_inactive_when_its_duration_is_over(graph):
    images = graph.listen(Image, 'thermal/image_raw', wait=False)
    node = graph.start(
        SimulatedCamerasNode, active=False, autostart=False, duration_s=0.5, publish_rgb=False,
        **SMALL,
    )
    node.trigger_configure()
    graph.until(lambda: graph.driver.count_publishers('/thermal/image_raw') == 1)
    graph.spin(0.3)
    node.trigger_activate()
    graph.until(lambda: node.state == 'inactive')
    graph.until(lambda: len(images) >= 10)
    graph.spin(0.2)
    assert len(images) == 10  # half a second at 20 Hz


def test_size_that_is_none_fails_with_the_reason(graph):
    node = graph.start(SimulatedCamerasNode, active=False, thermal_size=[96])
    graph.watch_diagnostics()
    graph.until_status('cameras', 'ERROR', 'thermal_size: found [96], expected [height, width]')
    assert node.state == 'unconfigured'


def test_yaml_file_of_the_node_lists_every_parameter_with_its_default():
    content = yaml.safe_load(share_path('config', 'simulated_cameras.yaml').read_text())
    declared = {f.name: ros_value(f.default) for f in parameter_fields(SimulatedCamerasParameters)}
    assert content['/**']['ros__parameters'] == declared
