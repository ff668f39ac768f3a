"""Node simulated_crossing over DDS: two cameras, odometry and truth of the same moment."""

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
from vision_msgs.msg import Detection3DArray
import yaml

from thermal_perception.decode import decode_image, stamp_ns_of
from thermal_perception.geometry import from_xyz_quat
from thermal_perception.nodes.parameters.parameter_set import parameter_fields, ros_value
from thermal_perception.nodes.parameters.simulated_crossing import SimulatedCrossingParameters
from thermal_perception.nodes.simulated_crossing import SimulatedCrossingNode
from thermal_perception.resources import share_path
from thermal_perception.simulation import default_rig, render, Scene
from thermal_perception.simulation.intersection import pole_camera
from thermal_perception.simulation.shared_truth import vehicles_seen

RATE_HZ = 10.0
SIZE = (72, 128)
SMALL = {'size': list(SIZE), 'rate_hz': RATE_HZ, 'seed': 3, 'start_s': 2.0}
TOPICS = {
    'rgb/image_raw': Image,
    'rgb/camera_info': CameraInfo,
    'infra/image_raw': Image,
    'infra/camera_info': CameraInfo,
    'ego/odometry': Odometry,
    'ground_truth/detections_3d': Detection3DArray,
}

scene_of = functools.cache(Scene)


@pytest.fixture(autouse=True)
def one_world(monkeypatch):
    """Lay the world out once for all tests; it takes a second."""
    monkeypatch.setattr('thermal_perception.nodes.simulated_crossing.Scene', scene_of)


@pytest.fixture
def crossing(graph):
    """Return a function that starts the node before which all its topics are heard."""

    def start(**parameters):
        for topic, message in TOPICS.items():
            graph.listen(message, topic, wait=False)
        node = graph.start(
            SimulatedCrossingNode, autostart=False, active=False, **{**SMALL, **parameters}
        )
        node.trigger_configure()
        graph.until(lambda: all(graph.driver.count_publishers(f'/{t}') == 1 for t in TOPICS))
        graph.spin(0.3)
        node.trigger_activate()
        graph.node = node
        return graph

    return start


def stamps(messages):
    return [stamp_ns_of(m.header) for m in messages]


def test_first_moment_is_the_same_on_all_topics(crossing):
    graph = crossing()
    graph.until(lambda: all(graph.received[topic] for topic in TOPICS))
    first = {topic: graph.received[topic][0] for topic in TOPICS}
    assert len({stamp_ns_of(m.header) for m in first.values()}) == 1

    scene = scene_of('intersection', 'day', 3)
    ego, pole = default_rig('intersection', rgb_size=SIZE).rgb, pole_camera(3, size=SIZE)
    for name, camera in (('rgb', ego), ('infra', pole)):
        image = decode_image(first[f'{name}/image_raw'], modality='rgb').image
        assert_array_equal(image, render(scene, 2.0, camera, with_truth=False).image)
        info = first[f'{name}/camera_info']
        assert_allclose(np.reshape(info.k, (3, 3)), camera.K)
        assert info.header.frame_id == camera.frame_id
    truth = vehicles_seen(scene, 2.0, (ego, pole))
    detections = first['ground_truth/detections_3d'].detections
    assert [int(d.id) for d in detections] == truth.track_ids.tolist()
    assert_allclose([d.bbox.center.position.x for d in detections], truth.centres_m[:, 0])
    position = first['ego/odometry'].pose.pose.position
    assert_allclose((position.x, position.y), scene.pose(2.0)[:2, 3])


def test_roadside_images_may_be_older_and_say_so(crossing):
    graph = crossing(infra_lead_s=0.25)
    graph.until(lambda: graph.received['infra/image_raw'] and graph.received['rgb/image_raw'])
    infra, ego = graph.received['infra/image_raw'][0], graph.received['rgb/image_raw'][0]
    assert stamps([ego])[0] - stamps([infra])[0] == 250_000_000
    scene = scene_of('intersection', 'day', 3)
    expected = render(scene, 1.75, pole_camera(3, size=SIZE), with_truth=False).image
    assert_array_equal(decode_image(infra, modality='rgb').image, expected)


def test_odometry_errs_about_the_vehicle_while_it_is_asked_to(crossing):
    graph = crossing(pose_noise_m=3.0, pose_noise_deg=20.0)
    graph.until(lambda: len(graph.received['ego/odometry']) >= 4)
    scene = scene_of('intersection', 'day', 3)
    errors = []
    for number, message in enumerate(graph.received['ego/odometry'][:4]):
        position, turn = message.pose.pose.position, message.pose.pose.orientation
        T = from_xyz_quat((position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w))
        error = np.linalg.inv(scene.pose(2.0 + number / RATE_HZ)) @ T
        errors.append((*error[:2, 3], np.arctan2(error[1, 0], error[0, 0])))
        assert abs(error[2, 3]) < 1e-9
    assert 0.3 < np.abs(np.array(errors)[:, :2]).mean() < 8.0
    assert 0.02 < np.abs(np.array(errors)[:, 2]).mean() < 1.0
    graph.node.set_parameters(
        [Parameter('pose_noise_m', value=0.0), Parameter('pose_noise_deg', value=0.0)]
    )
    count = len(graph.received['ego/odometry'])
    graph.until(lambda: len(graph.received['ego/odometry']) >= count + 2)
    position = graph.received['ego/odometry'][-1].pose.pose.position
    assert_allclose(position.y, scene.pose(9.0)[1, 3])  # it drives straight on


def test_the_pole_says_where_it_is(crossing):
    graph = crossing()
    graph.watch_diagnostics()
    text = graph.until(lambda: graph.value('cameras', 'T_world_camera'))
    T = from_xyz_quat([float(x) for x in text.split(', ')])
    assert_allclose(T, pole_camera(3, size=SIZE).T_world_camera, atol=1e-5)


def test_it_ends_after_its_duration_and_gives_everything_back(crossing):
    graph = crossing(duration_s=0.3)
    graph.until(lambda: graph.node.state == 'inactive')
    assert len(set(stamps(graph.received['rgb/image_raw']))) <= 3
    graph.node.trigger_cleanup()
    assert graph.node.state == 'unconfigured'
    graph.until(lambda: graph.driver.count_publishers('/rgb/image_raw') == 0)


def test_yaml_file_of_the_node_lists_every_parameter_with_its_default():
    content = yaml.safe_load(share_path('config', 'simulated_crossing.yaml').read_text())
    declared = {
        f.name: ros_value(f.default) for f in parameter_fields(SimulatedCrossingParameters)
    }
    assert content['/**']['ros__parameters'] == declared
