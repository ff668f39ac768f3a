"""Node e2e_mfd with a real network, and with simulated cameras that sit apart."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from tiny import e2e_mfd
from vision_msgs.msg import Detection2DArray

from thermal_perception.geometry import Camera, CameraPair, invert, RgbToThermal, to_xyz_quat
from thermal_perception.nodes.e2e_mfd import E2eMfdNode
from thermal_perception.nodes.perception.perceivers import load_perceiver
from thermal_perception.nodes.simulated_cameras import SimulatedCamerasNode
from thermal_perception.simulation import default_rig

pytest.importorskip('torch')

from thermal_perception.encode import to_detection2d_array, to_encoding
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.perceive import Perceiver

CLASSES = ('person', 'car')


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    save_random(path, CheckpointInfo('tiny', 'e2e_mfd', e2e_mfd(CLASSES), {}, CLASSES))
    return path


@pytest.mark.parametrize('rgb', [True, False], ids=['both cameras', 'thermal alone'])
def test_node_publishes_what_the_network_gives_offline_bit_for_bit(
    rig, weights, rgb, one_thread_and_seed
):
    node = rig.graph.start(
        E2eMfdNode, load=load_perceiver, checkpoint=str(weights), device='cpu', num_threads=1,
        score_threshold=0.0, warm_up_size=[48, 64], queue='all', max_offset_s=1e-6,
        max_wait_s=30.0 if rgb else 0.0,
    )
    detections = rig.graph.listen(Detection2DArray, '/e2e_mfd/detections')
    fused = rig.graph.listen(Image, '/e2e_mfd/fused_image')
    rig.thermal = rig.graph.publisher()
    rig.rgb = rig.graph.publisher(topic='rgb/image_raw')
    seen, read = [], node._pipeline._read
    node._pipeline._read = lambda moment: (r := read(moment), seen.append(r.frames))[0]
    for n in (1, 2):
        rig.send(rgb=rgb, dtype=np.uint8)
        rig.graph.until(lambda n=n: len(detections) == len(fused) == n)
    offline = Perceiver.load(weights, device='cpu', num_threads=1)
    for frames, boxes, image in zip(seen, detections, fused):
        assert (frames.rgb is not None) is rgb
        expected = offline(frames)
        assert len(boxes.detections) > 0
        assert boxes == to_detection2d_array(expected.detections)
        pixels = np.frombuffer(image.data, np.uint8).reshape(48, 64, 3)
        assert_array_equal(pixels, to_encoding(expected.fused.image, 'bgr8'))


def test_simulated_cameras_that_sit_apart_are_paired_and_registered_and_rgb_may_come_and_go(rig):
    sizes = {'thermal_size': (64, 80), 'rgb_size': (90, 160)}
    true_rig = default_rig('road', **sizes)
    rig.start(
        thermal=False, rgb=False, max_wait_s=30.0, modality_timeout_s=1.0,
        T_thermal_rgb=to_xyz_quat(invert(true_rig.T_rgb_thermal)).tolist(),
        registration_depth_m=15.0,
    )
    cameras = rig.graph.start(
        SimulatedCamerasNode, rate_hz=10.0, condition='day', bits=16,
        **{name: list(size) for name, size in sizes.items()},
    )
    rig.graph.watch_diagnostics()
    frames = rig.graph.until(
        lambda: next((s for s in rig.perceiver.sets if s.rgb is not None), None)
    )
    assert frames.rgb.stamp_ns == frames.thermal.stamp_ns
    register = RgbToThermal(T_thermal_rgb=invert(true_rig.T_rgb_thermal), depth_m=15.0)
    pair = CameraPair(
        *(Camera(c.K, np.empty(0), c.size) for c in (true_rig.thermal, true_rig.rgb))
    )
    raw, _, registered = rig.node.inputs._registered._last
    assert raw.size == (90, 160)
    assert_array_equal(registered.image, register(raw.image, (64, 80), pair))
    cameras.set_parameters([Parameter('drop_rgb', value=True)])
    rig.graph.until_status('synchronisation', 'WARN', 'rgb missing: thermal only since')
    cameras.set_parameters([Parameter('drop_rgb', value=False)])
    rig.graph.until_status('synchronisation', 'OK')
    assert rig.graph.value('synchronisation', 'registration maps built') == '1'
