"""The small steps around the network, timed one by one at 640x512.

    python -m pytest benchmarks/micro                   # a table
    python -m pytest benchmarks/micro --ratios check    # and is one much slower than it was?

Each group has a reference, so that times can be told as multiples of it on any machine.
"""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from rclpy.serialization import serialize_message

from thermal_perception.decode.image import decode_image
from thermal_perception.encode import DetectionEncoder, serialize_detections, to_image
from thermal_perception.encode.overlay import draw_overlay
from thermal_perception.geometry.transforms import compose, from_xyz_rpy, transform_points
from thermal_perception.postprocess.detections import top_detections
from thermal_perception.preprocess import make_thermal_transform
from thermal_perception.synchronise import Pairing, PairingConfig
from thermal_perception.types import Detections

HEIGHT, WIDTH = 512, 640
PERIOD_NS = 33_000_000
RNG = np.random.default_rng(0)
COUNTS = RNG.normal(5000, 800, (HEIGHT, WIDTH)).astype(np.uint16)
COLOUR = RNG.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def image_message(image: np.ndarray, encoding: str) -> SimpleNamespace:
    """Return what rclpy hands over."""
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2), frame_id='camera'),
        height=HEIGHT,
        width=WIDTH,
        encoding=encoding,
        is_bigendian=0,
        step=image[0].nbytes,
        data=array.array('B', image.tobytes()),
    )


def boxes(count: int) -> Detections:
    """Return that many boxes."""
    corners = RNG.uniform(0, 400, (count, 2))
    return Detections(
        np.hstack((corners, corners + 50)).astype(np.float32),
        np.sort(RNG.random(count).astype(np.float32))[::-1],
        RNG.integers(0, 3, count),
        ('person', 'car', 'bicycle'),
        1,
        'camera',
        (HEIGHT, WIDTH),
    )


@pytest.mark.benchmark(group='array')
def test_reference_array(benchmark):
    """A pass over an image."""
    image, out = COUNTS.astype(np.float32), np.empty(COUNTS.shape, np.float32)
    benchmark(np.multiply, image, 2.0, out=out)


@pytest.mark.benchmark(group='objects')
def test_reference_objects(benchmark):
    """A few small objects."""
    benchmark(lambda: [{'index': index, 'name': str(index)} for index in range(100)])


@pytest.mark.benchmark(group='array')
@pytest.mark.parametrize(
    ('image', 'encoding', 'modality'),
    [(COUNTS, 'mono16', 'thermal'), (COLOUR, 'bgr8', 'rgb'), (COLOUR, 'rgb8', 'rgb')],
    ids=['mono16', 'bgr8', 'rgb8'],
)
def test_decode(benchmark, image, encoding, modality):
    """An image message to a frame."""
    message = image_message(image, encoding)
    frame = benchmark(decode_image, message, modality=modality)
    assert frame.image.shape[:2] == (HEIGHT, WIDTH)


@pytest.mark.benchmark(group='array')
@pytest.mark.parametrize('name', ['percentile', 'fullscale'])
def test_thermal_transform(benchmark, name):
    """16-bit counts to 0..1."""
    transform = make_thermal_transform(name, **({'bits': 14} if name == 'fullscale' else {}))
    out = np.empty(COUNTS.shape, np.float32)
    benchmark(transform, COUNTS, out=out)
    assert 0 <= out.min() < out.max() <= 1


@pytest.mark.benchmark(group='objects')
def test_pairing(benchmark):
    """A hundred pairs of two cameras."""

    def pair() -> int:
        pairing: Pairing[int] = Pairing(PairingConfig())
        pairs = 0
        for index in range(100):
            now = index * PERIOD_NS
            pairs += len(pairing.push('rgb', now, index, now))
            pairs += len(pairing.push('thermal', now, index, now))
        return pairs

    assert benchmark(pair) == 100


@pytest.mark.benchmark(group='objects')
@pytest.mark.parametrize('count', [100, 300])
def test_detections_message(benchmark, count):
    """Boxes to a message whose parts are used again."""
    encode, found = DetectionEncoder(), boxes(count)
    message = benchmark(encode, found)
    assert len(message.detections) == count


@pytest.mark.benchmark(group='objects')
@pytest.mark.parametrize('count', [100, 300])
def test_detections_message_serialized(benchmark, count):
    """The same, and what rclpy and the middleware do with it when it is published."""
    encode, found = DetectionEncoder(), boxes(count)
    written = benchmark(lambda: serialize_message(encode(found)))
    assert len(written) > 400 * count


@pytest.mark.benchmark(group='objects')
@pytest.mark.parametrize('count', [100, 300])
def test_detections_bytes(benchmark, count):
    """Boxes to the bytes of that message, as the nodes publish them."""
    written = benchmark(serialize_detections, boxes(count))
    assert len(written) > 400 * count


@pytest.mark.benchmark(group='array')
def test_image_message(benchmark):
    """A colour image to a message."""
    message = benchmark(to_image, COLOUR, 'bgr8', stamp_ns=1, frame_id='camera')
    assert message.step == 3 * WIDTH


@pytest.mark.benchmark(group='array')
def test_overlay(benchmark):
    """Twenty boxes on a thermal image."""
    drawn = benchmark(draw_overlay, COUNTS, boxes(20))
    assert drawn.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.benchmark(group='objects')
def test_ranking(benchmark):
    """300 queries to the best 100 boxes."""
    logits = torch.from_numpy(RNG.normal(size=(300, 4)))
    centres = RNG.uniform(0.2, 0.8, (300, 2))
    cxcywh = torch.from_numpy(np.hstack((centres, RNG.uniform(0.05, 0.2, (300, 2)))))
    found = benchmark(
        top_detections,
        logits,
        cxcywh,
        activation='sigmoid',
        source_size=(HEIGHT, WIDTH),
        class_names=('a', 'b', 'c', 'd'),
    )
    assert len(found) == 100


@pytest.mark.benchmark(group='objects')
def test_transforms(benchmark):
    """A chain of three poses, and a thousand points through it."""
    poses = [from_xyz_rpy((1.0, 2.0, 3.0), (0.1, 0.2, yaw)) for yaw in (0.3, 0.6, 0.9)]
    points = RNG.normal(size=(1000, 3))
    moved = benchmark(lambda: transform_points(compose(*poses), points))
    assert moved.shape == (1000, 3)
