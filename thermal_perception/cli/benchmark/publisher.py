"""Camera drivers for the benchmark: images and camera_info, for one node after another."""

from __future__ import annotations

import argparse
from array import array
from contextlib import suppress
from itertools import cycle
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli.benchmark.scene import colour_image, FRAME_ID, thermal_counts
from thermal_perception.cli.processes import die_with_parent
from thermal_perception.cli.ros import executor_of, message, qos, ros_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rclpy.node import Node

TURN = '/benchmark/turn'
"""Topic, std_msgs/String: whom the camera publishes for and the rate in Hz, `NAME RATE`.

A rate of 0 asks for one image.
"""
NOBODY = 'nobody'

_DIFFERENT_IMAGES = 16
_LOOK_UP_S = 0.5


def main() -> None:
    """Publish until interrupted, and print for whom and with what stamp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', type=int, nargs=2, required=True, help='height and width')
    parser.add_argument('--cameras', nargs='+', default=['thermal'], help='of thermal, rgb')
    parser.add_argument('--for', nargs='+', required=True, dest='names', help='namespaces')
    options = parser.parse_args()
    die_with_parent()
    with suppress(KeyboardInterrupt), ros_node('benchmark_camera') as node:
        camera = Camera(node, tuple(options.size), options.names, options.cameras)
        executor = executor_of(node)
        while True:
            executor.spin_once(timeout_sec=camera.due_in_s)
            camera.publish_if_due()


class Camera:
    """Cameras whose images go to one of several namespaces, as `TURN` tells.

    The thermal camera sends mono16, the other one bgr8 of the same size and stamp.
    """

    def __init__(
        self,
        node: Node,
        size: tuple[int, int],
        names: Sequence[str],
        cameras: Sequence[str] = ('thermal',),
    ) -> None:
        """Open a publisher of images and one of camera_info of each camera, for each name."""
        self._info = message('sensor_msgs/msg/CameraInfo')(height=size[0], width=size[1])
        self._images = cycle(
            [[_image(camera, n, size) for camera in cameras] for n in range(_DIFFERENT_IMAGES)]
        )
        # Drivers offer reliable delivery: best-effort and reliable subscribers can both connect.
        driver = qos(5, reliable=True)
        self._publishers = {
            name: [
                [
                    node.create_publisher(
                        message(f'sensor_msgs/msg/{kind}'), f'/{name}/{camera}/{topic}', driver
                    )
                    for kind, topic in (('Image', 'image_raw'), ('CameraInfo', 'camera_info'))
                ]
                for camera in cameras
            ]
            for name in (*names, NOBODY)
        }
        self._turn, self._period_s, self._due_s = NOBODY, 0.0, 0.0
        node.create_subscription(
            message('std_msgs/msg/String'), TURN, self._take_turn, qos(100, reliable=True)
        )

    @property
    def due_in_s(self) -> float:
        """Seconds until the next image; while there is none, until it is time to look again."""
        return max(0.0, self._due_s - time.monotonic()) if self._period_s else _LOOK_UP_S

    def publish_if_due(self) -> None:
        """Publish if it is time to; what could not be sent in time is left out."""
        now_s = time.monotonic()
        if self._period_s and now_s >= self._due_s:
            self._publish()
            self._due_s += self._period_s
            if self._due_s <= now_s:
                self._due_s = now_s + self._period_s

    def _publish(self) -> None:
        """Publish a moment, stamped now, for whose turn it is: images and their camera_info."""
        images, info = next(self._images), self._info
        sec, nanosec = divmod(stamp_ns := time.time_ns(), 1_000_000_000)
        for header in (*(image.header for image in images), info.header):
            header.stamp.sec, header.stamp.nanosec, header.frame_id = sec, nanosec, FRAME_ID
        for image, (publisher, infos) in zip(images, self._publishers[self._turn]):
            publisher.publish(image)
            infos.publish(info)
        print(self._turn, stamp_ns, flush=True)

    def _take_turn(self, turn: Any) -> None:
        self._turn, rate_hz = turn.data.split()
        self._period_s = 1 / float(rate_hz) if float(rate_hz) else 0.0
        self._due_s = time.monotonic()
        if not self._period_s:
            self._publish()


def sent_to(name: str, lines: Iterable[str]) -> list[int]:
    """Return the stamps of the images sent to `name`, given all lines that the camera printed."""
    words = (line.split() for line in lines)
    return [int(parts[1]) for parts in words if len(parts) == 2 and parts[0] == name]


def _image(camera: str, number: int, size: tuple[int, int]) -> Any:
    if camera == 'thermal':
        encoding, pixels = 'mono16', thermal_counts(number, size).astype('<u2')
    else:
        encoding, pixels = 'bgr8', colour_image(number, size)
    image = message('sensor_msgs/msg/Image')(encoding=encoding, step=pixels[0].nbytes)
    image.height, image.width = size
    image.data = array('B', pixels.tobytes())
    return image


if __name__ == '__main__':
    main()
