"""Nodes of several cameras in one process, over DDS: each as if alone, around one network."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')
pytest.importorskip('torch')

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from thermal_perception.errors import PreprocessError
from thermal_perception.nodes.perception.shared_networks import SharedNetworks
from thermal_perception.perceive.batches import Batches

CAMERAS = 3


class Rig:
    """Nodes of three cameras that share a fake network; each listened to and fed.

    Attributes:
        network: the first one that was loaded.
        loaded: all of them.
        refused: frame_id of the camera whose images cannot be prepared.
    """

    def __init__(self, graph, fake_perceiver):
        self.graph, self.fake, self.loaded, self.refused = graph, fake_perceiver, [], None
        self.networks = SharedNetworks(CAMERAS, self._load)
        self.nodes = [
            graph.start(load=self.networks, namespace=f'/camera_{i}', device='cpu')
            for i in range(CAMERAS)
        ]
        self.detections = [
            graph.listen(Detection2DArray, f'/camera_{i}/fusion_detr/detections')
            for i in range(CAMERAS)
        ]
        self.images = [
            graph.publisher(topic=f'/camera_{i}/thermal/image_raw') for i in range(CAMERAS)
        ]
        graph.watch_diagnostics()

    @property
    def network(self):
        return self.loaded[0]

    def _load(self, parameters):
        network = self.fake(f'cafe{len(self.loaded)}')
        network.calls = []
        network.batches = Batches((0.5, 0.6, 0.7), frozenset({'k'}))
        network.warm_up_batches = lambda size, most: network.warmed.append((size, most))

        def prepare(frames, *, wanted=None):
            if frames.leader.frame_id == self.refused:
                raise PreprocessError('found an image of no use')
            return SimpleNamespace(kind='k', frames=frames, wanted=wanted)

        def run(together):
            network.calls.append([ready.frames.leader.frame_id for ready in together])
            return [network(ready.frames, wanted=ready.wanted) for ready in together]

        network.prepare, network.run = prepare, run
        self.loaded.append(network)
        return network

    def send(self, camera):
        """Publish an image of a camera and return its header."""
        message = self.graph.image(box=(20, 10, 30 + 5 * camera, 30), frame_id=f'thermal_{camera}')
        self.images[camera].publish(message)
        return message.header

    def answer(self, camera, header):
        """Wait for the boxes of an image."""
        found = lambda: [d for d in self.detections[camera] if d.header == header]  # noqa: E731
        return self.graph.until(found, f'answer of camera {camera}')[0]

    def status(self, camera):
        """Return level, text and values of a camera's status `perception`."""
        return self.graph.status(f'camera_{camera}/fusion_detr: perception') or ('', '', {})

    def call(self, camera, service, name, request):
        return self.graph.call(service, f'/camera_{camera}/fusion_detr/{name}', request)

    def change_state(self, camera, label):
        request = ChangeState.Request()
        request.transition.label = label
        assert self.call(camera, ChangeState, 'change_state', request).success


@pytest.fixture
def rig(graph, fake_perceiver):
    rig = Rig(graph, fake_perceiver)
    yield rig
    for network in rig.loaded:
        network.gate.set()
    for node in rig.nodes:
        node.trigger_shutdown()
    assert rig.networks.close()


def test_each_camera_is_answered_on_its_own_topic_by_the_one_network(rig):
    for camera in range(CAMERAS):
        (found,) = rig.answer(camera, rig.send(camera)).detections
        assert found.bbox.size_x == 10 + 5 * camera
    assert [len(messages) for messages in rig.detections] == [1] * CAMERAS
    assert len(rig.loaded) == 1
    assert rig.network.warmed == [((512, 640), CAMERAS)]


def test_images_that_wait_go_together_and_the_diagnostics_tell(rig):
    rig.network.gate.clear()
    headers = [rig.send(0)]
    rig.graph.until(lambda: rig.network.calls)
    headers += [rig.send(1), rig.send(2)]
    rig.graph.until(lambda: len(rig.networks._thread._waiting) == 3)
    rig.network.gate.set()
    for camera, header in enumerate(headers):
        rig.answer(camera, header)
    assert rig.network.calls[0] == ['thermal_0']
    assert sorted(rig.network.calls[1]) == ['thermal_1', 'thermal_2']
    for camera in range(CAMERAS):
        # The network counts a call before its answers are published.
        level, _, values = rig.graph.until(
            lambda camera=camera: (
                (s := rig.status(camera))[2].get('calls by batch size') == '1: 1, 2: 1'
                and s[2].get('processed') == '1'
                and s
            )
        )
        assert level == 'OK'
        assert float(values['latency bound [ms]']) == pytest.approx(1750)  # 2 x 0.525 + 0.7 s
        assert 'wait median [ms]' in values
        assert 'shared by 3 cameras, up to 3 together' in values['backend notes']


def test_camera_whose_images_cannot_be_prepared_fails_alone(rig):
    rig.refused = 'thermal_1'
    rig.send(1)
    rig.graph.until(lambda: rig.status(1)[2].get('failed preprocess') == '1')
    assert rig.status(1)[0] == 'ERROR'
    rig.answer(0, rig.send(0))
    rig.graph.until(lambda: rig.status(0)[2].get('processed') == '1')
    assert rig.status(0)[0] == 'OK'
    assert 'failed preprocess' not in rig.status(0)[2]


def test_camera_that_is_stopped_leaves_the_others_at_work_and_comes_back(rig):
    for label in ('deactivate', 'cleanup'):
        rig.change_state(1, label)
        rig.answer(0, rig.send(0))
        rig.answer(2, rig.send(2))
    for label in ('configure', 'activate'):
        rig.change_state(1, label)
    rig.graph.until(lambda: rig.images[1].get_subscription_count() > 0)
    rig.answer(1, rig.send(1))
    assert len(rig.loaded) == 1


def test_reload_gives_another_network_to_the_camera_that_asks(rig, tmp_path):
    path = tmp_path / 'new.safetensors'
    path.write_bytes(b'new')
    change = Parameter('checkpoint', value=str(path)).to_parameter_msg()
    for camera, fingerprints in ((1, 'cafe0 -> cafe1'), (2, 'cafe0 -> cafe1')):
        rig.call(
            camera, SetParameters, 'set_parameters', SetParameters.Request(parameters=[change])
        )
        response = rig.call(camera, Trigger, 'reload_model', Trigger.Request())
        assert (response.success, response.message) == (True, fingerprints)
    for camera in range(CAMERAS):  # one after the other
        rig.answer(camera, rig.send(camera))
    first, second = rig.loaded
    assert first.calls == [['thermal_0']]
    assert second.calls == [['thermal_1'], ['thermal_2']]
    rig.graph.until(lambda: rig.status(1)[2].get('fingerprint') == 'cafe1')
    assert rig.status(0)[2]['fingerprint'] == 'cafe0'
