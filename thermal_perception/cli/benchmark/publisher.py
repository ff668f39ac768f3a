"""Camera drivers for the benchmark: images and camera_info, for one node after another."""

from __future__ import annotations

import argparse
from array import array
from contextlib import suppress
from itertools import count, cycle
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli.benchmark.scene import colour_image, FRAME_ID, thermal_counts
from thermal_perception.cli.pacer import Pacer
from thermal_perception.cli.processes import die_with_parent
from thermal_perception.cli.ros import executor_of, message, qos, ros_node, spin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rclpy.node import Node

TURN = '/benchmark/turn'
"""Topic that names whom the camera publishes for, std_msgs/String."""
NOBODY = 'nobody'

_DIFFERENT_IMAGES = 16


def main() -> None:
    """Publish until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rate', type=float, help='frames per second; default: one per turn')
    parser.add_argument('--size', type=int, nargs=2, required=True, help='height and width')
    parser.add_argument('--cameras', nargs='+', default=['thermal'], help='of thermal, rgb')
    parser.add_argument('--for', nargs='+', required=True, dest='names', help='namespaces')
    options = parser.parse_args()
    die_with_parent()
    with suppress(KeyboardInterrupt), ros_node('benchmark_camera') as node:
        camera = Camera(node, tuple(options.size), options.names, options.cameras)
        executor = executor_of(node)
        if options.rate is None:
            camera.on_turn = camera.publish
            spin(executor)
        pacer = Pacer(0, 1.0, 0.0, lambda _: None)
        for number in count():
            pacer.wait_until(round(number * 1e9 / options.rate))
            executor.spin_once(timeout_sec=0)
            camera.publish()


class Camera:
    """Cameras whose images go to one of several namespaces, as `TURN` tells.

    The thermal camera sends mono16, the other one bgr8 of the same size and stamp.

    Attributes:
        on_turn: called after each message on `TURN`.
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
        self._turn = NOBODY
        self.on_turn: Callable[[], None] = lambda: None
        node.create_subscription(
            message('std_msgs/msg/String'), TURN, self._take_turn, qos(100, reliable=True)
        )

    def publish(self) -> None:
        """Publish a moment, stamped now, for whose turn it is: images and their camera_info."""
        images, info = next(self._images), self._info
        sec, nanosec = divmod(time.time_ns(), 1_000_000_000)
        for header in (*(image.header for image in images), info.header):
            header.stamp.sec, header.stamp.nanosec, header.frame_id = sec, nanosec, FRAME_ID
        for image, (publisher, infos) in zip(images, self._publishers[self._turn]):
            publisher.publish(image)
            infos.publish(info)

    def _take_turn(self, turn: Any) -> None:
        self._turn = turn.data
        self.on_turn()


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
