"""Both nodes of EMIFF over real DDS, with a small network of random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import emiff, emiff_checkpoint

pytest.importorskip('rclpy', reason='rclpy is not installed')

from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from thermal_perception.decode import stamp_ns_of
from thermal_perception.encode import to_camera_info, to_compressed_image, to_image, to_odometry
from thermal_perception.geometry import Camera, compose, from_xyz_quat, invert, to_xyz_quat
from thermal_perception.nodes.emiff_infrastructure import EmiffInfrastructureNode
from thermal_perception.nodes.emiff_vehicle import EmiffVehicleNode
from thermal_perception.nodes.parameters.v2x import (
    EmiffInfrastructureParameters,
    EmiffVehicleParameters,
)
from thermal_perception.nodes.v2x.models import load_roadside, load_vehicle
from thermal_perception.perceive.cooperative import (
    OwnView,
    ReceivedView,
    RoadsidePerceiver,
    VehiclePerceiver,
)
from thermal_perception.v2x import EncodedMessage, pack, unpack

SETTINGS = emiff()
SIZE = (64, 96)
K = np.array([[60.0, 0, 47.5], [0, 60, 31.5], [0, 0, 1]])
# A pole at (16, 0, 5) of the world that looks back along -x, 20 degrees down.
POLE = (16.0, 0.0, 5.0, 0.579228, 0.579228, -0.405580, -0.405580)
S = 1_000_000_000
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module')
def checkpoint():
    with emiff_checkpoint(SETTINGS, SIZE) as checkpoint:
        yield checkpoint


class Link:
    """Vehicle and roadside node in a graph, and publishers for what they hear."""

    def __init__(self, graph, checkpoint):
        self.graph, self.checkpoint = graph, checkpoint
        self.next = checkpoint  # what a node loads

    def vehicle(self, **parameters):
        link = self

        class Vehicle(EmiffVehicleNode):
            def __init__(self, **options):
                super().__init__(load=lambda _: VehiclePerceiver(link.next), **options)

        far = {'max_feature_age_s': 30.0, 'fade_from_s': 30.0, 'max_future_s': 30.0}
        self.node = self.graph.start(Vehicle, **{**far, **parameters})
        self.graph.watch_diagnostics()
        self.boxes = self.graph.listen(Detection3DArray, '/emiff_vehicle/detections_3d')
        self.images = self.graph.publisher(Image, 'rgb/image_raw')
        self.infos = self.graph.publisher(CameraInfo, 'rgb/camera_info')
        self.odometry = self.graph.publisher(Odometry, 'ego/odometry')
        self.features = self.graph.publisher(CompressedImage, 'infra/features')
        return self

    def roadside(self, load=None, **parameters):
        link = self

        class Roadside(EmiffInfrastructureNode):
            def __init__(self, **options):
                loaded = load or (lambda _: RoadsidePerceiver(link.next))
                super().__init__(load=loaded, **options)

        pose = {'T_world_camera': list(POLE), 'sender_id': 'pole_1'}
        self.sender = self.graph.start(Roadside, **{**pose, **parameters})
        self.graph.watch_diagnostics()
        self.sent = self.graph.listen(CompressedImage, '/emiff_infrastructure/features')
        self.images = self.graph.publisher(Image, 'rgb/image_raw')
        self.infos = self.graph.publisher(CameraInfo, 'rgb/camera_info')
        return self

    def look(self, stamp_ns=None, *, info=True, pose=True):
        """Send an image with what belongs to it; return its stamp."""
        stamp_ns = self.graph.now_ns() if stamp_ns is None else stamp_ns
        if info:
            self.infos.publish(to_camera_info(K, SIZE, stamp_ns=stamp_ns, frame_id='rgb'))
        if pose and hasattr(self, 'odometry'):
            self.odometry.publish(odometry(stamp_ns))
        self.graph.spin(0.1)
        self.images.publish(to_image(picture(stamp_ns), 'bgr8', stamp_ns=stamp_ns, frame_id='rgb'))
        return stamp_ns

    def seen(self, stamp_ns):
        """Wait for the boxes of an image."""

        def found():
            return next((b for b in self.boxes if stamp_ns_of(b.header) == stamp_ns), None)

        return self.graph.until(found, f'boxes of {stamp_ns}')

    def send(self, message):
        """Send a feature message to the vehicle."""
        self.features.publish(
            to_compressed_image(
                message.data, message.format, stamp_ns=message.stamp_ns,
                frame_id=message.frame_id,
            )
        )  # fmt: skip

    def message(self, stamp_ns, **changes):
        """Make what the roadside would send of an image; fields of the features are replaced."""
        from thermal_perception.types import InfrastructureFeatures

        roadside = RoadsidePerceiver(self.checkpoint)
        view = roadside(picture(stamp_ns + 1), Camera(K, np.zeros(0), SIZE), (4, 1))
        features = InfrastructureFeatures(
            view.features, (4, 1), K, np.zeros(8), SIZE, view.resize_factor, view.padded_size,
            invert(from_xyz_quat(POLE)), 'map', 'pole_1', 1, 'abcd', stamp_ns, 'pole_optical',
        )  # fmt: skip
        return pack(replace(features, **changes), kind='float16')


@pytest.fixture
def link(graph, checkpoint):
    return Link(graph, checkpoint)


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)


def odometry(stamp_ns, frame='map'):
    return to_odometry(
        to_xyz_quat(np.eye(4)), linear_mps=np.zeros(3), angular_radps=np.zeros(3),
        stamp_ns=stamp_ns, world_frame=frame, base_frame='base_link',
    )  # fmt: skip


def numbers(boxes):
    return np.array(
        [
            (d.bbox.center.position.x, d.bbox.center.position.y, d.bbox.center.position.z,
             d.bbox.size.x, d.bbox.size.y, d.bbox.size.z, d.results[0].hypothesis.score)
            for d in boxes.detections
        ]
    )  # fmt: skip


def offline(checkpoint, stamp_ns, message=None):
    """Return what the network gives without any node, in the base frame."""
    T_base_lidar = from_xyz_quat((0, 0, 1.78, 0, 0, 0, 1))
    T_base_camera = from_xyz_quat((0, 0, 1.5, -0.5, 0.5, -0.5, 0.5))
    T_camera_lidar = compose(invert(T_base_camera), T_base_lidar)
    received = None
    if message is not None:
        f = unpack(message)
        received = ReceivedView(
            f.features, f.level, f.K, f.image_size, f.resize_factor, f.padded_size,
            compose(f.T_camera_world, T_base_lidar),
        )  # fmt: skip
    own = OwnView(picture(stamp_ns), Camera(K, np.zeros(5), SIZE), T_camera_lidar)
    boxes = VehiclePerceiver(checkpoint)(own, received).boxes
    centres = boxes.centres_m + np.array([0, 0, 1.78])
    return np.column_stack((centres, boxes.sizes_m, boxes.scores.astype(np.float64)))


def encoded(message):
    return EncodedMessage(
        stamp_ns_of(message.header), message.header.frame_id, message.format, bytes(message.data)
    )


# The roadside


def test_an_image_becomes_a_feature_message(link):
    link.roadside()
    stamp_ns = link.look()
    link.graph.until(lambda: link.sent, 'features')
    features = unpack(encoded(link.sent[0]))
    assert (features.stamp_ns, features.frame_id) == (stamp_ns, 'rgb')
    assert (features.sender_id, features.world_frame, features.sequence) == ('pole_1', 'map', 1)
    assert (features.level, features.fingerprint) == ((4, 0), 'abcd')
    np.testing.assert_allclose(features.T_camera_world, invert(from_xyz_quat(POLE)), atol=1e-9)
    expected = RoadsidePerceiver(link.checkpoint)(
        picture(stamp_ns), Camera(K, np.zeros(5), SIZE), (4, 0)
    )
    step = expected.features.max((1, 2))[:, None, None] / 255
    assert (np.abs(features.features - expected.features) <= step / 2 + 1e-6).all()
    link.graph.until(
        lambda: link.graph.value('features', 'bytes per frame') == str(len(link.sent[0].data))
    )


def test_a_budget_makes_features_coarser(link):
    link.roadside(max_bytes_per_frame=1400, max_rate_hz=0.0, codec='none')
    link.look()
    link.graph.until(lambda: link.sent, 'features')
    assert unpack(encoded(link.sent[0])).level == (4, 1)
    assert len(link.sent[0].data) <= 1400
    link.graph.until(lambda: link.graph.value('features', 'level') == 'c=4 s=1')


def test_what_is_too_large_at_any_level_is_not_sent(link):
    link.roadside(max_bytes_per_frame=300, max_rate_hz=0.0)
    link.look()
    link.graph.until_status('features', 'WARN', 'even the coarsest is too large')
    assert not link.sent


def test_images_beyond_the_rate_are_not_sent(link):
    link.roadside(max_rate_hz=1.0)
    start = link.graph.now_ns()
    for k in range(4):
        link.look(start + k * S // 10)
    link.graph.until(lambda: link.graph.value('features', 'not sent for the rate') == '3')
    assert len(link.sent) == 1


def test_without_camera_info_nothing_is_sent_and_it_is_said(link):
    link.roadside()
    link.look(info=False)
    link.graph.until_status('rgb input', 'ERROR', 'images, but no rgb/camera_info')
    assert not link.sent


# The vehicle


def test_alone_the_vehicle_sees_what_it_can(link):
    link.vehicle(link_timeout_s=0.1)
    stamp_ns = link.look()
    boxes = link.seen(stamp_ns)
    assert boxes.header.frame_id == 'base_link'
    assert len(boxes.detections) > 3
    assert boxes.detections[0].results[0].hypothesis.class_id == 'car'
    np.testing.assert_array_equal(numbers(boxes), offline(link.checkpoint, stamp_ns))
    link.graph.until_status('v2x', 'WARN', 'vehicle only: no usable features')


def test_with_features_it_sees_as_offline_bit_for_bit_and_alone_again_without(link):
    link.vehicle(max_feature_age_s=2.0, fade_from_s=2.0)
    first = link.graph.now_ns()
    message = link.message(first)
    link.send(message)
    link.graph.until(lambda: link.graph.value('v2x', 'accepted') == '1')
    link.look(first)
    np.testing.assert_array_equal(
        numbers(link.seen(first)), offline(link.checkpoint, first, message)
    )
    link.graph.until(lambda: link.graph.value('v2x', 'sender') == 'pole_1')
    later = first + 3 * S
    link.look(later)
    np.testing.assert_array_equal(numbers(link.seen(later)), offline(link.checkpoint, later))
    link.graph.until(lambda: link.graph.value('v2x', 'too_old') == '1')


def test_both_nodes_together(link):
    link.roadside(max_rate_hz=0.0)
    stamp_ns = link.look()
    link.graph.until(lambda: link.sent, 'features')
    link.vehicle()
    link.send(encoded(link.sent[0]))
    link.graph.until(lambda: link.graph.value('v2x', 'accepted') == '1')
    link.look(stamp_ns + 1)
    np.testing.assert_array_equal(
        numbers(link.seen(stamp_ns + 1)),
        offline(link.checkpoint, stamp_ns + 1, encoded(link.sent[0])),
    )


@pytest.mark.parametrize(
    ('cause', 'changes', 'alter'),
    [
        ('wrong_model', {'fingerprint': 'other'}, None),
        ('wrong_world', {'world_frame': 'odom'}, None),
        ('unknown_level', {'level': (4, 3)}, None),
        ('bad_shape', {'features': np.ones((2, 3, 3), np.float32)}, None),
        ('not_finite', {'features': np.full((2, 8, 12), np.inf, np.float32)}, None),
        ('bad_format', {}, lambda m: m._replace(format='jpeg')),
        ('damaged', {}, lambda m: m._replace(data=m.data[: len(m.data) // 2])),
        ('oversized', {}, lambda m: m._replace(data=bytes(3000))),
    ],
)
def test_a_bad_message_is_counted_and_boxes_go_on(link, cause, changes, alter):
    link.vehicle(max_message_bytes=2500)
    stamp_ns = link.graph.now_ns()
    message = link.message(stamp_ns, **changes)
    link.send(alter(message) if alter else message)
    link.graph.until(lambda: link.graph.value('v2x', cause) == '1', cause)
    link.graph.until_status('v2x', 'WARN', cause)
    link.look(stamp_ns)
    np.testing.assert_array_equal(numbers(link.seen(stamp_ns)), offline(link.checkpoint, stamp_ns))


def test_a_message_that_is_sent_again_is_refused(link):
    link.vehicle()
    message = link.message(link.graph.now_ns())
    link.send(message)
    link.send(message)
    link.graph.until(lambda: link.graph.value('v2x', 'replayed') == '1')


def test_a_pole_a_kilometre_off_is_not_believed(link):
    link.vehicle()
    stamp_ns = link.graph.now_ns()
    T = np.array(invert(from_xyz_quat((1000.0, *POLE[1:]))))
    link.send(link.message(stamp_ns, T_camera_world=T))
    link.graph.until(lambda: link.graph.value('v2x', 'accepted') == '1')
    link.look(stamp_ns)
    np.testing.assert_array_equal(numbers(link.seen(stamp_ns)), offline(link.checkpoint, stamp_ns))
    link.graph.until(lambda: link.graph.value('v2x', 'implausible_pose') == '1')


def test_without_a_pose_of_its_own_the_vehicle_is_alone(link):
    link.vehicle()
    stamp_ns = link.graph.now_ns()
    link.send(link.message(stamp_ns))
    link.odometry.publish(odometry(stamp_ns, frame='odom'))
    link.look(stamp_ns, pose=False)
    np.testing.assert_array_equal(numbers(link.seen(stamp_ns)), offline(link.checkpoint, stamp_ns))
    link.graph.until(lambda: link.graph.value('v2x', 'no_ego_pose') == '1')
    link.graph.until(lambda: link.graph.value('v2x', 'odometry_frame') == '1')


def test_markers_are_drawn_for_those_who_look(link):
    link.vehicle()
    markers = link.graph.listen(MarkerArray, '/emiff_vehicle/markers')
    link.graph.until(lambda: any(p.get_subscription_count() for p in link.node.publishers
                                 if p.topic_name == '/emiff_vehicle/markers'))  # fmt: skip
    stamp_ns = link.look()
    boxes = link.seen(stamp_ns)
    link.graph.until(lambda: markers, 'markers')
    assert len(markers[0].markers) == len(boxes.detections) + 1
    assert markers[0].markers[0].action == 3  # DELETEALL


def reload_model(link, name):
    return link.graph.call(Trigger, f'/{name}/reload_model', Trigger.Request())


def test_another_model_takes_over_in_the_vehicle_and_believes_its_own_kind(link, checkpoint):
    link.vehicle()
    stamp_ns = link.graph.now_ns()
    link.send(link.message(stamp_ns, fingerprint='ef01'))
    link.graph.until(lambda: link.graph.value('v2x', 'wrong_model') == '1')
    link.next = replace(checkpoint, fingerprint='ef01')
    answer = reload_model(link, 'emiff_vehicle')
    assert (answer.success, answer.message) == (True, 'abcd -> ef01')
    stamp_ns = link.graph.now_ns()
    message = link.message(stamp_ns, fingerprint='ef01', sequence=2)
    link.send(message)
    link.graph.until(lambda: link.graph.value('v2x', 'accepted') == '1')
    link.look(stamp_ns)
    found = numbers(link.seen(stamp_ns))
    np.testing.assert_array_equal(found, offline(checkpoint, stamp_ns, message))


def test_the_same_model_anew_does_not_forget_what_it_has_heard(link):
    link.vehicle()
    message = link.message(link.graph.now_ns())
    link.send(message)
    link.graph.until(lambda: link.graph.value('v2x', 'accepted') == '1')
    assert reload_model(link, 'emiff_vehicle').message == 'abcd -> abcd'
    link.send(message)
    link.graph.until(lambda: link.graph.value('v2x', 'replayed') == '1')


def test_another_model_takes_over_at_the_roadside(link, checkpoint):
    link.roadside()
    link.next = replace(checkpoint, fingerprint='ef01')
    assert reload_model(link, 'emiff_infrastructure').message == 'abcd -> ef01'
    link.look()
    link.graph.until(lambda: link.sent, 'features')
    assert unpack(encoded(link.sent[0])).fingerprint == 'ef01'


@pytest.mark.parametrize('side', ['vehicle', 'infrastructure'])
def test_the_old_model_stays_where_another_cannot_be_loaded(link, checkpoint, side):
    (link.vehicle if side == 'vehicle' else link.roadside)()
    info = replace(checkpoint.info, architecture='fusion_detr')
    link.next = replace(checkpoint, info=info)
    answer = reload_model(link, f'emiff_{side}')
    assert not answer.success
    assert answer.message.endswith('expected emiff; the old model stays')
    name = 'perception' if side == 'vehicle' else 'features'
    link.graph.until_status(name, 'ERROR', 'reload failed')
    stamp_ns = link.look()
    if side == 'vehicle':
        link.seen(stamp_ns)
    else:
        link.graph.until(lambda: link.sent, 'features')
    link.next = checkpoint
    assert reload_model(link, f'emiff_{side}').success
    link.graph.until(lambda: link.graph.status(name)[0] != 'ERROR')


def test_both_say_where_their_network_runs(link):
    link.vehicle(device='cpu')
    link.graph.until(lambda: link.graph.value('perception', 'device') == 'cpu')
    assert link.graph.value('perception', 'backend') == 'torch fp32'
    link.roadside(device='cpu')
    link.graph.until(lambda: link.graph.value('features', 'backend') == 'torch fp32')


@pytest.mark.slow
def test_a_compiled_roadside_sends_and_says_what_runs(link, checkpoint):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    link.roadside(
        lambda values: RoadsidePerceiver(
            checkpoint, backend=values.backend, precision=values.precision
        ),
        backend='auto',
        precision='fp32',
    )
    stamp_ns = link.look()
    link.graph.until(lambda: link.sent, 'features')
    expected = RoadsidePerceiver(checkpoint)(
        picture(stamp_ns), Camera(K, np.zeros(5), SIZE), (4, 0)
    )
    sent = unpack(encoded(link.sent[0])).features
    step = expected.features.max((1, 2))[:, None, None] / 255
    assert (np.abs(sent - expected.features) <= step / 2 + 1e-5).all()
    link.graph.until(lambda: link.graph.value('features', 'backend') == 'openvino fp32')
    assert link.graph.value('features', 'backend notes').startswith('auto: ')
    assert link.graph.value('features', 'degraded') == 'no'


@pytest.mark.parametrize('side', ['vehicle', 'infrastructure'])
def test_a_network_that_pytorch_must_run_is_a_degraded_mode(link, side):
    (link.vehicle if side == 'vehicle' else link.roadside)()
    node = link.node if side == 'vehicle' else link.sender
    node._perceiver._backend.problem = 'OpenVINO cannot compile the network: too deep'
    name = 'perception' if side == 'vehicle' else 'features'
    link.graph.until_status(name, 'WARN', 'degraded: OpenVINO cannot compile')
    assert link.graph.value(name, 'backend') == 'torch fp32, torch fp32 in part'


@pytest.mark.parametrize(
    ('load', 'kind', 'parameters'),
    [
        (load_vehicle, VehiclePerceiver, EmiffVehicleParameters),
        (load_roadside, RoadsidePerceiver, EmiffInfrastructureParameters),
    ],
)
def test_the_model_is_loaded_as_the_parameters_say_and_warm(monkeypatch, load, kind, parameters):
    class Perceiver:
        warm = False

        def warm_up(self):
            self.warm = True

    asked = {}

    def loaded(path, **options):
        asked.update(options, path=path)
        return Perceiver()

    monkeypatch.setattr(kind, 'load', loaded)
    values = parameters(
        checkpoint='/x.safetensors', device='cpu', backend='openvino', precision='fp32'
    )
    assert load(values).warm
    assert asked == {
        'path': Path('/x.safetensors'), 'device': 'cpu', 'backend': 'openvino',
        'precision': 'fp32', 'live': True, 'artefact': None,
    }  # fmt: skip


def test_labels_and_threshold_are_told_to_who_comes_late(link):
    link.vehicle()
    infos = link.graph.listen(LabelInfo, '/emiff_vehicle/label_info', LATCHED)
    link.graph.until(lambda: infos)
    assert [(c.class_id, c.class_name) for c in infos[0].class_map] == [(0, 'car')]
    assert infos[0].threshold == 0.0
    link.node.set_parameters([Parameter('score_threshold', value=0.25)])
    link.graph.until(lambda: infos[-1].threshold == 0.25)


def test_wrong_weights_are_refused_with_the_reason(graph):
    node = graph.start(EmiffVehicleNode, active=False, checkpoint='/nowhere/x.safetensors')
    graph.watch_diagnostics()
    graph.until_status('perception', 'ERROR', '/nowhere/x.safetensors: no such file')
    assert node.state == 'unconfigured'
