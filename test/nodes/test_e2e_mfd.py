"""Node e2e_mfd over DDS: two cameras in, fused image and boxes out."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

import cv2
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger
from vision_msgs.msg import Classification

from thermal_perception.encode import to_compressed_image

MS = 1_000_000


def pixels(message):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)


# Pairs


def test_images_of_one_moment_reach_the_model_together(rig):
    rig.start()
    thermal, rgb = rig.graph.image(), rig.graph.colour()
    rgb.header.stamp = thermal.header.stamp
    rig.thermal.publish(thermal)
    rig.rgb.publish(rgb)
    (answer,) = rig.graph.until(lambda: rig.answers)
    assert answer.header == thermal.header
    assert answer.detections[0].results[0].hypothesis.class_id == 'car'
    (frames,) = rig.perceiver.sets
    assert_array_equal(frames.thermal.image, np.frombuffer(thermal.data, '<u2').reshape(48, 64))
    assert_array_equal(frames.rgb.image, pixels(rgb))
    assert frames.rgb.frame_id == 'rgb_optical'


def test_nearest_rgb_image_after_the_time_offset_is_taken(rig):
    rig.start(time_offset_s=0.5, max_offset_s=0.02)
    base = rig.graph.now_ns() - 10**9
    for offset_ms in (485, 510, 540):
        rig.rgb.publish(rig.graph.colour(base + offset_ms * MS))
    rig.graph.until(lambda: rig.node.inputs.rgb.camera.received == 3)
    rig.thermal.publish(rig.graph.image(base))
    assert rig.answer(base).rgb.stamp_ns == base + 510 * MS


def test_thermal_image_without_counterpart_waits_no_longer_than_it_may(rig):
    rig.start(max_wait_s=0.5)
    rig.answer(rig.send())
    assert rig.answer(rig.send(rgb=False)).rgb is None
    rig.graph.watch_diagnostics()
    wait_ms = rig.node._pipeline.stages.summary['pair'].p99_ms
    assert 450 <= wait_ms < 2000  # between two values, the lesser near zero
    rig.graph.until(lambda: rig.graph.value('synchronisation', 'thermal degraded') == '1')
    assert rig.graph.value('synchronisation', 'thermal paired') == '1'
    assert rig.graph.value('synchronisation', 'rgb paired') == '1'


def test_rgb_image_serves_two_thermal_images_and_is_decoded_once(rig, monkeypatch):
    rig.start(max_offset_s=0.02, queue='all')
    base = rig.graph.now_ns()
    rig.rgb.publish(rig.graph.colour(base + 5 * MS))
    rig.graph.until(lambda: rig.node.inputs.rgb.camera.received == 1)
    rig.thermal.publish(rig.graph.image(base))
    rig.thermal.publish(rig.graph.image(base + 5 * MS))
    first, second = rig.answer(base), rig.answer(base + 5 * MS)
    assert first.rgb is second.rgb
    assert rig.node.inputs.rgb.decoded.total('decoded') == 1


def test_compressed_rgb_image_is_decoded_only_when_it_is_paired(rig):
    rig.start(rgb=False, rgb_image_transport='compressed', max_offset_s=0.001)
    rgb = rig.graph.publisher(CompressedImage, '/rgb/image_raw/compressed')
    image = np.full((48, 64, 3), (10, 60, 200), np.uint8)
    data = cv2.imencode('.png', image)[1].ravel()
    base = rig.graph.now_ns()
    for stamp_ns in (base - 50 * MS, base):
        rgb.publish(
            to_compressed_image(data, 'bgr8; png compressed ', stamp_ns=stamp_ns, frame_id='c')
        )
    rig.graph.until(lambda: rig.node.inputs.rgb.camera.received == 2)
    rig.thermal.publish(rig.graph.image(base))
    assert_array_equal(rig.answer(base).rgb.image, image)
    assert rig.node.inputs.rgb.decoded.total('decoded') == 1


def test_newest_moment_is_taken_when_the_model_is_slow(rig):
    rig.start()
    rig.perceiver.gate.clear()
    first = rig.send()
    rig.graph.until(lambda: rig.perceiver.sets)
    later = [rig.send() for _ in range(3)]
    rig.graph.until(lambda: rig.node._pipeline.replaced == 2)
    rig.perceiver.gate.set()
    rig.answer(later[-1])
    assert [s.stamp_ns for s in rig.perceiver.sets] == [first, later[-1]]


# Registration


def camera_info(size, focal_px):
    info = CameraInfo(height=size[0], width=size[1], distortion_model='plumb_bob')
    info.k = [focal_px, 0.0, (size[1] - 1) / 2, 0.0, focal_px, (size[0] - 1) / 2, 0.0, 0.0, 1.0]
    return info


def test_displaced_rgb_camera_is_registered_by_camera_info_and_pose(rig):
    # 80 px * 0.1 m / 2 m = 4 px to the left; both images have their axis in the middle.
    rig.start(
        rgb=False, T_thermal_rgb=[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], registration_depth_m=2.0
    )
    rig.rgb = rig.graph.publisher(topic='rgb/image_raw')
    infos = {
        'thermal': (camera_info((48, 64), 80.0), 'thermal/camera_info'),
        'rgb': (camera_info((60, 80), 80.0), 'rgb/camera_info'),
    }
    for name, (info, topic) in infos.items():
        rig.graph.publisher(CameraInfo, topic).publish(info)
        rig.graph.until(lambda name=name: rig.node.inputs.camera_info(name) is not None)
    for _ in range(2):
        stamp_ns = rig.send(rgb=False)
        rig.rgb.publish(rig.graph.colour(stamp_ns, size=(60, 80)))
        frames = rig.answer(stamp_ns)
    assert frames.rgb.image.shape == (48, 64, 3)
    # thermal column 30 is RGB column 30 + 8 - 4, as the RGB image has 8 more on each side
    assert_array_equal(frames.rgb.image[20, 30], [10, 60, 34])
    rig.graph.watch_diagnostics()
    rig.graph.until(
        lambda: rig.graph.value('synchronisation', 'registration maps built') == '1'
    )
    assert rig.graph.value('synchronisation', 'registration') == 'T_thermal_rgb at 2 m'


def test_homography_registers_without_camera_info(rig):
    rig.start(homography=[1.0, 0.0, 5.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    assert_array_equal(rig.answer(rig.send()).rgb.image[20, 30], [10, 60, 35])
    assert rig.graph.driver.count_subscribers('/rgb/camera_info') == 0


@pytest.mark.parametrize(
    ('parameters', 'text'),
    [
        ({'homography': [1.0] * 8}, 'homography: found 8 numbers, expected 9'),
        ({'homography': [1.0] * 9}, 'expected an invertible'),
        ({'T_thermal_rgb': [1.0, 2.0, 3.0]}, 'expected 7 finite numbers'),
        ({'T_thermal_rgb': [1.0] * 7}, 'quaternion: found length 2'),
    ],
)
def test_impossible_rig_fails_configure_with_the_reason(rig, parameters, text):
    from thermal_perception.nodes.e2e_mfd import E2eMfdNode

    node = rig.graph.start(E2eMfdNode, active=False, **parameters)
    rig.graph.watch_diagnostics()
    rig.graph.until_status('perception', 'ERROR', text)
    assert node.state == 'unconfigured'


# Outputs


def test_fused_image_in_colour_carries_stamp_frame_and_camera_info_of_thermal(rig):
    rig.start()
    fused = rig.graph.listen(Image, '/e2e_mfd/fused_image')
    infos = rig.graph.listen(CameraInfo, '/e2e_mfd/camera_info')
    publisher = rig.graph.publisher(CameraInfo, 'thermal/camera_info')
    publisher.publish(camera_info((48, 64), 321.0))
    rig.graph.until(lambda: rig.node.inputs.thermal_info.latest is not None)
    message = rig.graph.image(dtype=np.uint8)
    rig.thermal.publish(message)
    rig.rgb.publish(rig.graph.colour(message.header.stamp.sec * 10**9
                                     + message.header.stamp.nanosec))
    rig.graph.until(lambda: fused and infos)
    assert fused[0].header == infos[0].header == message.header
    assert infos[0].k[0] == 321.0
    assert (fused[0].encoding, fused[0].height, fused[0].width) == ('bgr8', 48, 64)
    (frames,) = rig.perceiver.sets
    mean = (frames.thermal.image + frames.rgb.image.mean(axis=2)) / 2
    assert_array_equal(pixels(fused[0])[..., 2], mean.astype(np.uint8))
    assert_array_equal(pixels(fused[0])[..., 0], mean.astype(np.uint8) // 2)


def test_fused_image_is_grey_when_asked_and_can_be_changed_while_running(rig):
    rig.start(fused_encoding='mono8')
    fused = rig.graph.listen(Image, '/e2e_mfd/fused_image')
    rig.answer(rig.send())
    rig.graph.until(lambda: fused)
    assert fused[0].encoding == 'mono8'
    assert rig.perceiver.wanted == [{'detections', 'fused_grey'}]
    rig.set_parameter('fused_encoding', 'bgr8')
    rig.answer(rig.send())
    rig.graph.until(lambda: len(fused) == 2)
    assert fused[1].encoding == 'bgr8'


def test_fused_image_of_thermal_alone_keeps_its_encoding(rig):
    rig.start(max_wait_s=0.0)
    fused = rig.graph.listen(Image, '/e2e_mfd/fused_image')
    frames = rig.answer(rig.send(rgb=False, dtype=np.uint8))
    rig.graph.until(lambda: fused)
    assert fused[0].encoding == 'bgr8'
    assert_array_equal(pixels(fused[0])[..., 1], frames.thermal.image)


def test_only_what_somebody_listens_to_is_asked_of_the_model(rig):
    rig.start()
    rig.answer(rig.send())
    assert rig.perceiver.wanted[-1] == {'detections'}
    fused = rig.graph.listen(Image, '/e2e_mfd/fused_image')
    rig.answer(rig.send())
    assert rig.perceiver.wanted[-1] == {'detections', 'fused_image'}
    rig.deafen('detections')
    rig.send()
    rig.graph.until(lambda: len(fused) == 2)
    assert rig.perceiver.wanted[-1] == {'fused_image'}
    rig.set_parameter('publish_fused_image', False)
    rig.send()
    rig.graph.until(lambda: rig.perceiver.wanted[-1] == {'detections'})


@pytest.mark.parametrize('fuse', [False, True])
def test_overlay_is_drawn_on_the_fused_image_where_it_is_made(rig, fuse):
    rig.start()
    overlays = rig.graph.listen(Image, '/e2e_mfd/overlay')
    fused = rig.graph.listen(Image, '/e2e_mfd/fused_image') if fuse else []
    frames = rig.answer(rig.send(dtype=np.uint8))
    rig.graph.until(lambda: overlays and (fused or not fuse))
    base = pixels(fused[0]) if fuse else frames.thermal.image[..., None]
    assert_array_equal(pixels(overlays[0])[44:], np.broadcast_to(base, (48, 64, 3))[44:])


def test_stage_times_tell_pairing_and_registration(rig):
    rig.start(homography=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    times = rig.graph.listen(Classification, '/e2e_mfd/stage_times')
    rig.answer(rig.send())
    (message,) = rig.graph.until(lambda: times)
    stages = {h.class_id: h.score for h in message.results}
    assert {'pair', 'queue', 'decode', 'register', 'preprocess', 'model', 'total'} <= set(stages)
    assert stages['pair'] >= 0
    assert stages['register'] > 0


# Model


def test_reload_swaps_the_model(rig):
    rig.start()
    rig.graph.perceiver = type(rig.perceiver)('beef')
    response = rig.graph.call(Trigger, '/e2e_mfd/reload_model', Trigger.Request())
    assert (response.success, response.message) == (True, 'cafe -> beef')
    rig.send()
    rig.graph.until(lambda: rig.graph.perceiver.sets)
