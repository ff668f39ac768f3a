"""A small ROS graph in one process: the node under test, a driver that feeds it, real DDS."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
import gc
from pathlib import Path
import threading
import time

import numpy as np
import pytest

from thermal_perception.types import (
    Detections,
    FrameSet,
    FusedImage,
    FusionWeights,
    Perception,
    SegmentationMask,
)

try:
    from diagnostic_msgs.msg import DiagnosticArray
    from rcl_interfaces.srv import SetParameters
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection2DArray

    from thermal_perception.encode import to_image
    from thermal_perception.nodes.e2e_mfd import E2eMfdNode
    from thermal_perception.nodes.fusion_detr import FusionDetrNode
    from thermal_perception.nodes.perception.perception_node import PerceptionNode
    from thermal_perception.nodes.rgbt_segmentation import RgbtSegmentationNode
except ModuleNotFoundError as error:
    if error.name.startswith('thermal_perception'):
        raise
    Image = FusionDetrNode = None  # the test modules skip and say why

DEADLINE_S = 30.0
S = 1_000_000_000
LEVELS = {b'\x00': 'OK', b'\x01': 'WARN', b'\x02': 'ERROR', b'\x03': 'STALE'}


@dataclass(frozen=True)
class FakeInfo:
    """Stands for perceive.ModelInfo."""

    model: str = 'fake'
    class_names: tuple[str, ...] = ('person', 'car')
    fingerprint: str = 'cafe'
    default_score_threshold: float = 0.5
    path: Path = Path('fake.safetensors')


class FakePerceiver:
    """Finds the bright rectangle as `car` with score 0.75, and a faint `person` (0.25) at (4, 3).

    Attributes:
        error: raised by the next calls, if any.
        gate: a call waits here; open unless a test closes it.
    """

    def __init__(self, fingerprint='cafe', class_names=('person', 'car')):
        self.info = FakeInfo(fingerprint=fingerprint, class_names=class_names)
        self.device, self.backend, self.degraded = 'cpu', 'fake fp32', ''
        self.backend_notes = ()
        self.cameras, self.outputs = ('thermal',), frozenset({'detections'})
        self.error = None
        self.gate = threading.Event()
        self.gate.set()
        self.frames = []
        self.warmed = []

    def warm_up(self, size):
        self.warmed.append(size)

    def __call__(self, frames, *, wanted=None):
        frame = frames.thermal
        self.frames.append(frame)
        assert self.gate.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error
        boxes, scores, labels = [], [], []
        image = np.nan_to_num(frame.image.astype(np.float64), posinf=0, neginf=0)
        if image.max() > image.min():
            rows, columns = np.nonzero(image > (image.max() + image.min()) / 2)
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            scores.append(0.75)
            labels.append(1)
        boxes.append((0, 0, 8, 6))
        scores.append(0.25)
        labels.append(0)
        detections = Detections(
            np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels),
            self.info.class_names, frame.stamp_ns, frame.frame_id, frame.size,
        )
        half = np.array([0.25, 0.75], np.float32)
        fusion = FusionWeights((8, 16), half, half, half, half, 2.5)
        stages = {'preprocess': 0.001, 'model': 0.002, 'postprocess': 0.0005}
        return Perception(detections, fusion, stages)


class FakePairPerceiver(FakePerceiver):
    """Finds the same in the leading image; the fused image is the mean of both in 8 bits.

    Attributes:
        sets: what it was given.
        wanted: what it was asked for.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.cameras = ('thermal', 'rgb')
        self.outputs = frozenset({'detections', 'fused_image'})
        self.sets, self.wanted = [], []

    def __call__(self, frames, *, wanted=None):
        self.sets.append(frames)
        self.wanted.append(set(wanted))
        grey = [f.image if f.image.ndim == 2 else f.image.mean(axis=2)
                for f in (frames.thermal, frames.rgb) if f is not None]
        perception = super().__call__(
            FrameSet(thermal=replace(frames.leader, image=np.asarray(grey[0])))
        )
        fused = None
        if not {'fused_image', 'fused_grey'}.isdisjoint(wanted):
            brightness = np.mean(grey, axis=0).clip(0, 255).astype(np.uint8)
            colour = 'fused_image' in wanted and frames.rgb is not None
            image = np.dstack([brightness // 2, brightness, brightness]) if colour else brightness
            names = tuple(f.modality for f in (frames.thermal, frames.rgb) if f is not None)
            fused = FusedImage(image, names, frames.stamp_ns, frames.frame_id)
        if 'detections' not in wanted:
            empty = Detections.none(self.info.class_names, frames.leader)
            perception = replace(perception, detections=empty)
        return replace(perception, fusion=None, fused=fused)


class FakeSegmenter(FakePairPerceiver):
    """Labels the bright rectangle of the leading image 1, and all else 0."""

    def __init__(self, fingerprint='cafe', class_names=('unlabeled', 'car')):
        super().__init__(fingerprint, class_names)
        self.outputs = frozenset({'detections', 'segmentation'})

    def __call__(self, frames, *, wanted=None):
        perception = super().__call__(frames, wanted=wanted)
        if not wanted:
            return perception
        leader = frames.leader
        grey = leader.image if leader.image.ndim == 2 else leader.image.mean(axis=2)
        labels = (grey > (grey.max() + grey.min()) / 2).astype(np.uint8)
        mask = SegmentationMask(labels, self.info.class_names, leader.stamp_ns, leader.frame_id)
        return replace(perception, segmentation=mask)


class Graph:
    """The node under test and a driver node in one executor."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.driver = rclpy.create_node('driver', context=self.context)
        self.executor.add_node(self.driver)
        self.received = defaultdict(list)
        self.nodes = []
        self.perceiver = FakePerceiver()
        self.seen = 0

    def close(self):
        for node in self.nodes:
            node.destroy_node()
        self.driver.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)
        # It is in circles of references, and its threads live until it is found.
        self.driver = self.executor = self.context = None
        self.nodes.clear()
        gc.collect()

    # Nodes

    def start(
        self, node_type=FusionDetrNode, *, load=None, active=True, namespace=None, **parameters
    ):
        """Start the node under test; diagnostics come ten times a second.

        Silence is no fault unless asked for: a machine that stalls must not make one.
        """
        parameters = {'diagnostics_period_s': 0.1, 'input_timeout_s': 60.0, **parameters}
        options = {}
        if issubclass(node_type, PerceptionNode):
            options['load'] = load or (lambda values: self.perceiver)
        node = node_type(
            context=self.context,
            namespace=namespace,
            parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()],
            **options,
        )
        self.nodes.append(node)
        self.executor.add_node(node)
        if active:
            self.until(lambda: node.state == 'active')
        return node

    def publisher(self, message=Image, topic='thermal/image_raw', qos=5):
        """Make a publisher of the driver and wait until the node hears it."""
        publisher = self.driver.create_publisher(message, topic, qos)
        self.until(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def listen(self, message, topic, qos=None, *, wait=True):
        """Collect a topic in `received[topic]`."""
        subscription = self.driver.create_subscription(
            message, topic, self.received[topic].append, qos or QoSProfile(depth=50)
        )
        if wait:
            self.until(lambda: self.driver.count_publishers(subscription.topic_name) > 0)
            self.spin(0.05)
        return self.received[topic]

    # Time

    def until(self, condition, what='', deadline_s=DEADLINE_S):
        """Spin until the condition holds; fail at the deadline."""
        end = time.monotonic() + deadline_s
        while not (result := condition()):
            if time.monotonic() > end:
                pytest.fail(f'deadline passed: {what() if callable(what) else what or condition}')
            self.executor.spin_once(timeout_sec=0.02)
        return result

    def spin(self, seconds):
        """Spin for a while, to see that something does not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def call(self, service_type, name, request):
        """Call a service and wait for its response."""
        client = self.driver.create_client(service_type, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    # Images

    def now_ns(self):
        return self.driver.get_clock().now().nanoseconds

    def image(self, stamp_ns=None, *, box=(20, 10, 40, 30), dtype=np.uint16, size=(48, 64),
              frame_id='thermal_optical', level=3000):
        """Make a thermal image with a bright rectangle on noise that differs by stamp."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        rng = np.random.default_rng(stamp_ns)
        image = rng.integers(0, 100, size).astype(dtype)
        x1, y1, x2, y2 = box
        image[y1:y2, x1:x2] += np.asarray(min(level, 150 if dtype == np.uint8 else level), dtype)
        encoding = {'uint8': 'mono8', 'uint16': 'mono16', 'float32': '32FC1'}[image.dtype.name]
        return to_image(image, encoding, stamp_ns=stamp_ns, frame_id=frame_id)

    def colour(self, stamp_ns=None, *, size=(48, 64), encoding='bgr8', bgr=(10, 60, 200),
               frame_id='rgb_optical'):
        """Make an image of one colour with its column number in red; a corner differs by stamp."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        image = np.full((*size, 3), bgr, np.uint8)
        image[..., 2] = np.arange(size[1])
        image[0, 0] = np.random.default_rng(stamp_ns).integers(0, 256, 3)
        message = to_image(image, 'bgr8', stamp_ns=stamp_ns, frame_id=frame_id)
        message.encoding = encoding
        return message

    # Diagnostics

    def watch_diagnostics(self):
        self.listen(DiagnosticArray, '/diagnostics')

    def status(self, name):
        """Return the latest (level, message, values) of a status, None before it came.

        The name may begin with that of the node: `camera_0/fusion_detr: perception`.
        """
        for message in reversed(self.received['/diagnostics']):
            for status in message.status:
                if f': {status.name}'.endswith(f': {name}'):
                    values = {v.key: v.value for v in status.values}
                    return LEVELS[status.level], status.message, values
        return None

    def value(self, name, key):
        """Return the latest value of a status as text, None before it came."""
        status = self.status(name)
        return status[2].get(key) if status else None

    def saw_status(self, name, level, text=''):
        """Tell whether a status of this level came whose message holds the text.

        What came since the status asked for before counts too: a fault is over soon.
        """
        for index, message in enumerate(self.received['/diagnostics'][self.seen :]):
            for status in message.status:
                found = (status.name.split(': ')[1], LEVELS[status.level])
                if found == (name, level) and text in status.message:
                    self.seen += index + 1
                    return True
        return False

    def until_status(self, name, level, text=''):
        """Wait for a status, see `saw_status`."""
        self.until(
            lambda: self.saw_status(name, level, text),
            lambda: f'{name} {level} {text!r}, last {self.status(name)}',
        )


@pytest.fixture
def graph(ros_domain):
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture
def running(graph):
    """A graph whose node is active and heard: detections arrive in `graph.received`."""
    graph.node = graph.start()
    graph.detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    graph.images = graph.publisher()
    return graph


class PairRig:
    """A node of two cameras in a graph, and publishers for both cameras.

    Attributes:
        name: of the node.
        answers: its main output: boxes of e2e_mfd, label images of rgbt_segmentation.
    """

    def __init__(self, graph, name):
        self.graph, self.name = graph, name
        self.node_type, fake, self._answers = {
            'e2e_mfd': (E2eMfdNode, FakePairPerceiver, (Detection2DArray, 'detections')),
            'rgbt_segmentation': (RgbtSegmentationNode, FakeSegmenter, (Image, 'segmentation')),
        }[name]
        graph.perceiver = self.perceiver = fake()

    def start(self, *, thermal=True, rgb=True, **parameters):
        """Start the node; waiting and silence are no fault unless asked for.

        Only images of equal stamps are a pair, however fast they come.
        """
        patient = {'max_wait_s': DEADLINE_S, 'modality_timeout_s': 2 * DEADLINE_S,
                   'max_offset_s': 1e-6}
        self.node = self.graph.start(self.node_type, **{**patient, **parameters})
        self.answers = self.listen(*self._answers)
        if thermal:
            self.thermal = self.graph.publisher(topic='thermal/image_raw')
        if rgb:
            self.rgb = self.graph.publisher(topic='rgb/image_raw')
        return self

    def listen(self, message, output, qos=None):
        """Collect an output of the node."""
        return self.graph.listen(message, f'/{self.name}/{output}', qos)

    def deafen(self, output):
        """Stop to listen to an output, and wait until the node knows."""
        topic = f'/{self.name}/{output}'
        for subscription in list(self.graph.driver.subscriptions):
            if subscription.topic_name == topic:
                self.graph.driver.destroy_subscription(subscription)
        (publisher,) = (p for p in self.node.publishers if p.topic_name == topic)
        self.graph.until(lambda: not publisher.get_subscription_count())

    def set_parameter(self, name, value):
        """Change a parameter of the node by its service."""
        change = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[change])
        service = f'/{self.name}/set_parameters'
        assert self.graph.call(SetParameters, service, request).results[0].successful

    def send(self, stamp_ns=None, *, rgb=True, **options):
        """Publish a thermal image, and an RGB image of the same moment; return the stamp."""
        stamp_ns = self.graph.now_ns() if stamp_ns is None else stamp_ns
        self.thermal.publish(self.graph.image(stamp_ns, **options))
        if rgb:
            self.rgb.publish(self.graph.colour(stamp_ns))
        return stamp_ns

    def answer(self, stamp_ns):
        """Wait for the frames of a stamp to have been answered, and return them."""
        sent = (stamp_ns // S, stamp_ns % S)
        self.graph.until(
            lambda: any((d.header.stamp.sec, d.header.stamp.nanosec) == sent
                        for d in self.answers),
            f'answer to {stamp_ns}',
        )
        return next(frames for frames in self.perceiver.sets if frames.stamp_ns == stamp_ns)


@pytest.fixture
def pair_rig(graph):
    """A function that makes the rig of a node with two cameras by its name, not started yet."""
    return partial(PairRig, graph)


@pytest.fixture
def rig(pair_rig, request):
    """The rig of the node e2e_mfd, unless a test is parametrised with another."""
    return pair_rig(getattr(request, 'param', 'e2e_mfd'))


@pytest.fixture
def fake_perceiver():
    return FakePerceiver
