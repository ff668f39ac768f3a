"""Recorded bags (rosbag2, mcap or sqlite3) read and scored without ROS."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from thermal_perception.decode import decode_compressed, decode_image
from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import CocoScorer
from thermal_perception.evaluation.messages import to_detections
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rosbags.typesys.store import Typestore

    from thermal_perception.evaluation.coco import DetectionMetrics
    from thermal_perception.types import Detections, Frame, Perception

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
DETECTIONS_TYPE = 'vision_msgs/msg/Detection2DArray'
TRUTH_TOPIC = 'ground_truth/detections'
MIN_VISIBILITY = 0.5
"""Objects that are less visible are ignored: neither required nor false."""

# Field names and types are the published interface of vision_msgs 4.1; rosbags does not carry it.
_VISION_MSGS = {
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose': (
        'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose'
    ),
    'Detection2D': (
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
        'vision_msgs/BoundingBox2D bbox\nstring id'
    ),
    'Detection3D': (
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
        'vision_msgs/BoundingBox3D bbox\nstring id'
    ),
    'Detection2DArray': 'std_msgs/Header header\nvision_msgs/Detection2D[] detections',
    'Detection3DArray': 'std_msgs/Header header\nvision_msgs/Detection3D[] detections',
}


@dataclass(frozen=True)
class BagScore:
    """What scoring a bag gave.

    Attributes:
        metrics: COCO figures over the images that have ground truth.
        images: number of images with ground truth.
        unlabelled: number of images without, which were left out.
        scorer: the detections, images numbered from 1 in the order of their stamps.
    """

    metrics: DetectionMetrics
    images: int
    unlabelled: int
    scorer: CocoScorer


def typestore() -> Typestore:
    """Return the ROS 2 message types of rosbags together with `vision_msgs`."""
    store = get_typestore(Stores.ROS2_KILTED)
    types: dict[str, Any] = {}
    for name, text in _VISION_MSGS.items():
        types.update(get_types_from_msg(text, f'vision_msgs/msg/{name}'))
    store.register(types)
    return store


@contextmanager
def open_bag(path: Path) -> Iterator[AnyReader]:
    """Open a bag folder, or one of its storage files, for reading.

    Raises:
        DatasetError: if the path is no readable bag.
    """
    try:
        reader = AnyReader([path], default_typestore=typestore())
        reader.open()
    except (AnyReaderError, OSError) as error:
        raise DatasetError(f'{path}: is not a readable bag: {error}') from error
    try:
        yield reader
    finally:
        reader.close()


def read_topic(reader: AnyReader, topic: str) -> Iterator[Any]:
    """Yield the messages of a topic in the order they were recorded."""
    connections = [c for c in reader.connections if c.topic == topic]
    for connection, _, raw in reader.messages(connections):
        yield reader.deserialize(raw, connection.msgtype)


def find_topic(
    reader: AnyReader, msgtypes: Sequence[str], *, wanted: str = '', ending: str = ''
) -> str:
    """Choose a topic by name, else the only one of a type.

    Args:
        reader: an open bag.
        msgtypes: message types that will do.
        wanted: full name; empty to search.
        ending: only topics whose name ends so are searched.

    Raises:
        DatasetError: if there is no such topic, or more than one.
    """
    known = {c.topic for c in reader.connections if c.msgtype in msgtypes}
    matching = sorted(t for t in known if (t == wanted if wanted else t.endswith(ending)))
    if len(matching) == 1:
        return matching[0]
    found = ', '.join(sorted(f'{c.topic} ({c.msgtype})' for c in reader.connections)) or 'none'
    expected = wanted or (f'one that ends in {ending}' if ending else 'exactly one')
    raise DatasetError(
        f'topics of type {" or ".join(msgtypes)}: expected {expected}; the bag has {found}'
    )


def read_truth(reader: AnyReader, topic: str, class_names: Sequence[str]) -> dict[int, Detections]:
    """Read ground truth by stamp in nanoseconds; the scores are the visible fractions."""
    messages = (to_detections(m, class_names) for m in read_topic(reader, topic))
    return {truth.stamp_ns: truth for truth in messages}


def read_frames(reader: AnyReader, topic: str) -> Iterator[Frame]:
    """Decode the thermal images of a topic, raw or compressed."""
    for message in read_topic(reader, topic):
        decode = decode_image if hasattr(message, 'encoding') else decode_compressed
        yield decode(message, modality='thermal')


def score_bag(
    path: Path,
    perceive: Callable[[FrameSet], Perception],
    class_names: Sequence[str],
    *,
    image_topic: str = '',
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> BagScore:
    """Run a model over the thermal images of a bag and score it against the bag's truth.

    Args:
        path: the bag.
        perceive: gives the unthresholded detections of one frame.
        class_names: the model's classes.
        image_topic: thermal images; empty if the bag has only one image topic.
        tick: called after each image with the images done and in total.

    Raises:
        DatasetError: if a topic is missing, no image has ground truth, or the truth names a
            class that the model does not know.
    """
    with open_bag(path) as reader:
        truth_topic = find_topic(reader, [DETECTIONS_TYPE], ending=TRUTH_TOPIC)
        images_topic = find_topic(reader, IMAGE_TYPES, wanted=image_topic)
        truth = read_truth(reader, truth_topic, class_names)
        total = sum(c.msgcount for c in reader.connections if c.topic == images_topic)
        found, unlabelled = {}, 0
        for done, frame in enumerate(read_frames(reader, images_topic), start=1):
            if frame.stamp_ns in truth:
                found[frame.stamp_ns] = perceive(FrameSet(thermal=frame)).detections
            else:
                unlabelled += 1
            tick(done, total)
    if not found:
        raise DatasetError(
            f'{path}: none of the {unlabelled} images of {images_topic} has the stamp of a '
            f'message of {truth_topic}'
        )
    kept = {stamp: truth[stamp] for stamp in found}
    scorer = collect_by_stamp(kept, found, class_names)
    return BagScore(scorer.score(), len(found), unlabelled, scorer)


def collect_by_stamp(
    truth: Mapping[int, Detections], found: Mapping[int, Detections], class_names: Sequence[str]
) -> CocoScorer:
    """Join detections with ground truth of the same stamps.

    Args:
        truth: by stamp, scores are visible fractions; hidden objects are ignored.
        found: by stamp, unthresholded; a stamp without an entry counts as empty.
        class_names: the classes of both.
    """
    ids = {stamp: number for number, stamp in enumerate(sorted(truth), start=1)}
    scorer = CocoScorer(_coco_truth(truth, ids, class_names), class_names)
    for stamp, detections in found.items():
        scorer.add(ids[stamp], detections)
    return scorer


def _coco_truth(
    truth: Mapping[int, Detections], ids: Mapping[int, int], class_names: Sequence[str]
) -> dict[str, Any]:
    annotations = []
    for stamp, objects in truth.items():
        corners = objects.boxes_xyxy_px.astype(np.float64)
        boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        annotations += [
            {
                'image_id': ids[stamp],
                'category_id': label,
                'bbox': box,
                'iscrowd': int(visibility < MIN_VISIBILITY),
            }
            for box, label, visibility in zip(
                boxes.tolist(), objects.labels.tolist(), objects.scores.tolist(), strict=True
            )
        ]
    return {
        'images': [{'id': number} for number in ids.values()],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(class_names)],
        'annotations': annotations,
    }
