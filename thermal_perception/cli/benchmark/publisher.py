"""A camera driver for the benchmark: mono16 images and its camera_info at a steady rate."""

from __future__ import annotations

import argparse
from array import array
from contextlib import suppress
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli.benchmark.scene import FRAME_ID, thermal_counts
from thermal_perception.cli.pacer import Pacer
from thermal_perception.cli.processes import die_with_parent
from thermal_perception.cli.ros import message, qos, ros_node

if TYPE_CHECKING:
    from rclpy.node import Node

_DIFFERENT_IMAGES = 16


def main() -> None:
    """Publish until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rate', type=float, required=True, help='frames per second')
    parser.add_argument('--size', type=int, nargs=2, required=True, help='height and width')
    options = parser.parse_args()
    die_with_parent()
    with suppress(KeyboardInterrupt), ros_node('benchmark_camera') as node:
        _publish(node, options.rate, tuple(options.size))


def _publish(node: Node, rate_hz: float, size: tuple[int, int]) -> None:
    info = message('sensor_msgs/msg/CameraInfo')(height=size[0], width=size[1])
    messages = [_image(number, size) for number in range(_DIFFERENT_IMAGES)]
    # Drivers offer reliable delivery: best-effort and reliable subscribers can both connect.
    driver = qos(5, reliable=True)
    images = node.create_publisher(type(messages[0]), '/thermal/image_raw', driver)
    infos = node.create_publisher(type(info), '/thermal/camera_info', driver)
    pacer = Pacer(0, 1.0, 0.0, lambda _: None)
    number = 0
    while True:
        pacer.wait_until(round(number * 1e9 / rate_hz))
        image = messages[number % len(messages)]
        sec, nanosec = divmod(time.time_ns(), 1_000_000_000)
        for header in (image.header, info.header):
            header.stamp.sec, header.stamp.nanosec, header.frame_id = sec, nanosec, FRAME_ID
        images.publish(image)
        infos.publish(info)
        number += 1


def _image(number: int, size: tuple[int, int]) -> Any:
    image = message('sensor_msgs/msg/Image')(encoding='mono16', step=2 * size[1])
    image.height, image.width = size
    image.data = array('B', thermal_counts(number, size).astype('<u2').tobytes())
    return image


if __name__ == '__main__':
    main()
