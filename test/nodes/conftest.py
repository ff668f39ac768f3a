"""A small ROS graph in one process: the node under test, a driver that feeds it, real DDS."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
import threading
import time

import numpy as np
import pytest

from thermal_perception.types import Detections, FusionWeights, Perception

try:
    from diagnostic_msgs.msg import DiagnosticArray
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection2DArray

    from thermal_perception.encode import to_image
    from thermal_perception.nodes.fusion_detr import FusionDetrNode
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
        self.cameras = ('thermal',)
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

    # Nodes

    def start(self, node_type=FusionDetrNode, *, load=None, active=True, **parameters):
        """Start the node under test; diagnostics come ten times a second.

        Silence is no fault unless asked for: a machine that stalls must not make one.
        """
        parameters = {'diagnostics_period_s': 0.1, 'input_timeout_s': 60.0, **parameters}
        options = {} if node_type is not FusionDetrNode else {
            'load': load or (lambda values: self.perceiver)
        }
        node = node_type(
            context=self.context,
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

    # Diagnostics

    def watch_diagnostics(self):
        self.listen(DiagnosticArray, '/diagnostics')

    def status(self, name):
        """Return the latest (level, message, values) of a status, None before it came."""
        for message in reversed(self.received['/diagnostics']):
            for status in message.status:
                if status.name.endswith(f': {name}'):
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


@pytest.fixture
def fake_perceiver():
    return FakePerceiver
