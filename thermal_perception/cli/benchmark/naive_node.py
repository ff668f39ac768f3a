"""The straightforward node that we compare ours with.

It does what many published nodes do: copy the image to 8 bits as cv_bridge does, synchronise with
`ApproximateTimeSynchronizer` and a queue of 10, and run the model inside the callback. The model
and its weights are ours, so that only the way of feeding it differs.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.cli.processes import die_with_parent
from thermal_perception.cli.ros import executor_of, message, ros_node, spin
from thermal_perception.evaluation.image_files import thermal_frame
from thermal_perception.perceive import Perceiver
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rclpy.node import Node

    from thermal_perception.types import Detections

_QUEUE = 10
_SLOP_S = 0.05


def main() -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--name', default='naive')
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--device', required=True)
    parser.add_argument('--backend', default='torch')
    parser.add_argument('--precision', default='auto')
    options = parser.parse_args()
    die_with_parent()
    perceiver = Perceiver.load(
        options.checkpoint,
        device=options.device,
        backend=options.backend,
        precision=options.precision,
    )
    with suppress(KeyboardInterrupt), ros_node(options.name) as node:
        synchronizer = synchronise(node, perceiver)
        spin(executor_of(node))
        del synchronizer  # it had to live until here


def synchronise(node: Node, perceiver: Perceiver) -> Any:
    """Subscribe to image and camera_info in step, and answer each pair from the callback."""
    filters, name = import_module('message_filters'), node.get_name()
    answers = message('vision_msgs/msg/Detection2DArray')
    publisher = node.create_publisher(answers, f'/{name}/detections', _QUEUE)
    threshold = perceiver.info.default_score_threshold

    def on_pair(image: Any, _: Any) -> None:
        found = perceiver(FrameSet(thermal=thermal_frame(to_8_bits(image)))).detections
        publisher.publish(to_message(image, found.above(threshold)))

    inputs = [
        filters.Subscriber(node, message(f'sensor_msgs/msg/{kind}'), topic, qos_profile=_QUEUE)
        for kind, topic in (
            ('Image', f'/{name}/thermal/image_raw'),
            ('CameraInfo', f'/{name}/thermal/camera_info'),
        )
    ]
    synchronizer = filters.ApproximateTimeSynchronizer(inputs, _QUEUE, _SLOP_S)
    synchronizer.registerCallback(on_pair)
    return synchronizer


def to_8_bits(image: Any) -> NDArray[np.uint8]:
    """Convert as `cv_bridge` converts mono16 to mono8: a copy, divided by 257."""
    counts = np.frombuffer(image.data, np.uint16).reshape(image.height, image.width).copy()
    return np.rint(counts / 257).astype(np.uint8)


def to_message(image: Any, found: Detections) -> Any:
    """Build the answer one field after the other."""
    detection_type = message('vision_msgs/msg/Detection2D')
    result_type = message('vision_msgs/msg/ObjectHypothesisWithPose')
    answer = message('vision_msgs/msg/Detection2DArray')(header=image.header)
    for box, score, label in zip(found.boxes_xyxy_px, found.scores, found.labels):
        detection = detection_type(header=image.header)
        detection.bbox.center.position.x = float(box[0] + box[2]) / 2
        detection.bbox.center.position.y = float(box[1] + box[3]) / 2
        detection.bbox.size_x = float(box[2] - box[0])
        detection.bbox.size_y = float(box[3] - box[1])
        result = result_type()
        result.hypothesis.class_id = found.class_names[label]
        result.hypothesis.score = float(score)
        detection.results.append(result)
        answer.detections.append(detection)
    return answer


if __name__ == '__main__':
    main()
