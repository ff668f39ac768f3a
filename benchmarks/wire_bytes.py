"""How many bytes a feature message takes on the way from the roadside to a vehicle, measured.

    python benchmarks/wire_bytes.py --checkpoint FILE

Images of a simulated crossing are made into messages as `emiff_infrastructure` makes them, at
every level of the checkpoint, and published to a process in another network namespace. Fast DDS
has UDP only; the cable between the two is theirs alone (`private_network.py`), and the kernel's
counters of its interface, read before and after every message, tell what went over it: Ethernet
frames with all headers and fragments. Before anything else they must show plain UDP datagrams of
known size to the byte; the first line is a message of 10,000 random bytes; no message is believed
that took less than its own data, and all must arrive.

`float32` is what papers call average bytes (AB): the numbers of the tensor, four bytes each. What
DDS says every few seconds stands in the last lines: without messages, and what messages add to it.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
import json
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any, get_args, TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
import numpy as np
from private_network import (
    at_far_end,
    await_cable,
    await_true,
    check_meter,
    cost,
    enter,
    lay_cable,
    read_meter,
    Traffic,
)

from thermal_perception.cli.processes import Children, die_with_parent
from thermal_perception.cli.ros import (
    executor_of,
    message,
    qos,
    ros_node,
    spin,
    use_dds_profile,
)
from thermal_perception.encode import to_compressed_image
from thermal_perception.geometry import Camera, invert
from thermal_perception.models.emiff.config import CompressionLevel
from thermal_perception.nodes.base.dds import CHOICE_VARIABLE
from thermal_perception.perceive.cooperative import RoadsidePerceiver
from thermal_perception.simulation import render, Scene
from thermal_perception.simulation.intersection import pole_camera
from thermal_perception.types import InfrastructureFeatures
from thermal_perception.v2x import Codec, EncodedMessage, FeatureKind, pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TOPIC = 'infra/features'
RATE_HZ = 10.0
PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <library_settings>
    <intraprocess_delivery>OFF</intraprocess_delivery>
  </library_settings>
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="udp_only" is_default_profile="true">
      <rtps>
        <userTransports><transport_id>udp</transport_id></userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


@dataclass(frozen=True)
class Row:
    """A kind of message: bytes of one, the mean of those of several moments.

    Attributes:
        level: of the compression, for example `256x`; `random` for bytes without a tensor.
        numbers: on the way.
        codec: of the message.
        signed: whether it is.
        float32: what the numbers of the tensor would take in float32.
        tensor: what they take as they are sent, uncompressed.
        data: of the message's field `data`.
        wire: on the cable.
        packets: on the cable.
    """

    level: str
    numbers: str
    codec: str
    signed: bool
    float32: int
    tensor: int
    data: float
    wire: float
    packets: float

    @property
    def overhead(self) -> float:
        """What comes on top of the message's data."""
        return self.wire - self.data

    @property
    def mbit_per_s(self) -> float:
        """At the usual rate."""
        return 8e-6 * RATE_HZ * self.wire


class Meter:
    """Publishes messages to a subscriber at the far end and reads what they take."""

    def __init__(self, publisher: Any, repeats: int) -> None:
        self._publisher = publisher
        self._repeats = repeats
        self.sent = Counts()
        self.wire_bytes = 0

    def __call__(self, encoded: EncodedMessage) -> Traffic:
        """Return what a message takes.

        Raises:
            ValueError: if that is less than its data.
        """
        msg = to_compressed_image(
            encoded.data, encoded.format, stamp_ns=encoded.stamp_ns, frame_id=encoded.frame_id
        )
        traffic = cost(partial(self._publisher.publish, msg), self._repeats)
        self.sent.add(len(encoded.data), self._repeats)
        self.wire_bytes += self._repeats * traffic.sent_bytes
        if traffic.sent_bytes < len(encoded.data):
            raise ValueError(
                f'found {traffic.sent_bytes} bytes on the cable, expected more than the '
                f'{len(encoded.data)} of the message: it went another way'
            )
        return traffic


class Counts:
    """Messages and the bytes of their data."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0

    def add(self, size: int, times: int = 1) -> None:
        """Count messages of a size."""
        self.messages += times
        self.bytes += times * size

    def __str__(self) -> str:
        """Return both, for a log."""
        return f'{self.messages} messages, {self.bytes} bytes'


class Since:
    """A moment, and the rate of all traffic from then on."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._before = read_meter()

    def bytes_per_s(self, *, but: int = 0) -> tuple[float, float]:
        """Return what was sent, without the bytes `but`, and what came back."""
        traffic, seconds = read_meter().since(self._before), time.monotonic() - self._started_s
        return (traffic.sent_bytes - but) / seconds, traffic.back_bytes / seconds


# The roadside


def seen_by_the_pole(
    checkpoint: Path, moments: int, seed: int
) -> list[dict[tuple[int, int], InfrastructureFeatures]]:
    """Return the features of images two seconds apart, by level."""
    perceiver = RoadsidePerceiver.load(checkpoint, device='cpu')
    scene, spec = Scene('intersection', 'day', seed), pole_camera(seed)
    assert spec.T_world_camera is not None
    camera = Camera(spec.K, np.zeros(8), spec.size)
    found = []
    for number in range(moments):
        image = render(scene, 1.0 + 2.0 * number, spec, with_truth=False).image
        views = perceiver.at_levels(image, camera, perceiver.levels)
        found.append({
            level: InfrastructureFeatures(
                features=view.features,
                level=level,
                K=camera.K,
                D=camera.D,
                image_size=camera.size,
                resize_factor=view.resize_factor,
                padded_size=view.padded_size,
                T_camera_world=invert(spec.T_world_camera),
                world_frame='map',
                sender_id='infrastructure',
                sequence=number + 1,
                fingerprint=perceiver.fingerprint,
                stamp_ns=time.time_ns(),
                frame_id=spec.frame_id,
            )
            for level, view in views.items()
        })  # fmt: skip
    return found


def random_row(meter: Meter) -> Row:
    """Measure a message of which only the size is known."""
    data = np.random.default_rng(0).bytes(10_000)
    taken = meter(EncodedMessage(time.time_ns(), 'infra_optical_frame', 'random', data))
    return Row('random', '-', 'none', False, 0, 0, len(data), taken.sent_bytes, taken.sent_packets)


def rows(
    meter: Meter, moments: Sequence[Mapping[tuple[int, int], InfrastructureFeatures]]
) -> Iterator[Row]:
    """Measure every kind of message."""
    yield random_row(meter)
    key = Ed25519PrivateKey.generate()
    kinds = product(moments[0], get_args(FeatureKind), get_args(Codec), (False, True))
    for level, numbers, codec, signed in kinds:
        sizes = []
        for moment in moments:
            encoded = pack(moment[level], kind=numbers, codec=codec, key=key if signed else None)
            taken = meter(encoded)
            sizes.append((len(encoded.data), taken.sent_bytes, taken.sent_packets))
        count = moments[0][level].features.size
        yield Row(
            CompressionLevel(*level).name,
            numbers,
            codec,
            signed,
            4 * count,
            np.dtype(numbers).itemsize * count,
            *np.mean(sizes, 0).tolist(),
        )


# Both ends


def listen(*, reliable: bool) -> int:
    """Subscribe at the far end, and write down what came."""
    die_with_parent()
    print('ready', flush=True)
    await_cable()
    received = Counts()

    def count(msg: Any) -> None:
        received.add(len(msg.data))
        print(received, flush=True)

    with ros_node('wire_listener') as node, suppress(KeyboardInterrupt):
        node.create_subscription(
            message('sensor_msgs/msg/CompressedImage'), TOPIC, count, qos(10, reliable=reliable)
        )
        spin(executor_of(node))
    return 0


def measure(
    moments: Sequence[Mapping[tuple[int, int], InfrastructureFeatures]],
    options: argparse.Namespace,
    logs: Path,
) -> dict[str, Any]:
    """Print what messages take, and return it with what DDS sends besides, bytes per second."""
    delivery = 'reliable' if options.reliable else 'best_effort'
    with Children(os.environ, logs) as children:
        command = [sys.executable, __file__, '--listen', delivery]
        listener = children.start('listener', at_far_end(command))
        await_true(lambda: listener.last_words(1) == 'ready', 'the listener')
        lay_cable(listener.process.pid, options.mtu)
        check_meter(options.mtu)
        with ros_node('wire_bytes') as node:
            kind = message('sensor_msgs/msg/CompressedImage')
            publisher = node.create_publisher(kind, TOPIC, qos(10, reliable=True))
            await_true(lambda: publisher.get_subscription_count() > 0, 'the subscription')
            time.sleep(3.0)  # both also say more than once that they are there
            since = Since()
            time.sleep(options.idle)
            idle_there, idle_back = since.bytes_per_s()
            meter, since, found = Meter(publisher, options.repeats), Since(), []
            for row in rows(meter, moments):
                found.append(row)
                print(line(row), flush=True)
            there, back = since.bytes_per_s(but=meter.wire_bytes)
            sent = str(meter.sent)
            await_true(lambda: listener.last_words(1) == sent, f'{sent} to arrive')
            children.check()
    return {
        'messages': found,
        'idle_there': idle_there,
        'idle_back': idle_back,
        'more_there': there - idle_there,
        'more_back': back - idle_back,
    }


# Results


def line(row: Row) -> str:
    """Return a row as text."""
    return (
        f'{row.level:>7} {row.numbers:8} {row.codec:5} {"yes" if row.signed else "no":6} '
        f'{row.float32:8d} {row.tensor:7d} {row.data:8.0f} {row.wire:8.0f} {row.overhead:8.0f} '
        f'{row.packets:7.1f} {row.mbit_per_s:7.3f}'
    )


def prepare_dds(folder: Path) -> None:
    """Set this process and its children up for UDP to another machine, and nothing else."""
    profile = folder / 'udp_only.xml'
    profile.write_text(PROFILE, encoding='utf-8')
    for name in (
        'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE',
        'FASTDDS_BUILTIN_TRANSPORTS', 'ROS_DISCOVERY_SERVER', 'ROS_LOCALHOST_ONLY',
        'ROS_STATIC_PEERS',
    ):  # fmt: skip
        os.environ.pop(name, None)
    os.environ['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'SUBNET'
    os.environ[CHOICE_VARIABLE] = str(profile)
    use_dds_profile(os.environ)


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--checkpoint', type=Path)
    parser.add_argument('--reliable', action='store_true', help='emiff_vehicle asks for less')
    parser.add_argument('--moments', type=int, default=4, help='images, two seconds apart')
    parser.add_argument('--repeats', type=int, default=15, help='how often a message is sent')
    parser.add_argument('--idle', type=float, default=30.0, help='seconds without messages')
    parser.add_argument('--seed', type=int, default=20_011, help='of the crossing')
    parser.add_argument('--mtu', type=int, default=1500, help='largest IP packet, bytes')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write this file')
    parser.add_argument('--listen', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen:
        return listen(reliable=options.listen == 'reliable')
    if options.checkpoint is None:
        parser.error('--checkpoint is missing')
    enter()
    moments = seen_by_the_pole(options.checkpoint, options.moments, options.seed)
    print(
        '  level numbers  codec signed  float32  tensor     data     wire overhead packets  Mbit/s'
    )
    with tempfile.TemporaryDirectory() as folder:
        prepare_dds(Path(folder))
        found = measure(moments, options, Path(folder))
    print('bytes per second       there   back')
    for name, title in (('idle', 'without messages'), ('more', 'with messages, more')):
        there, back = found[f'{name}_there'], found[f'{name}_back']
        print(f'{title:20} {there:7.0f} {back:6.0f}')
    if options.json:
        facts = {'mtu': options.mtu, 'reliable': options.reliable, 'rate_hz': RATE_HZ}
        table = [
            asdict(row) | {'overhead': row.overhead, 'mbit_per_s': row.mbit_per_s}
            for row in found['messages']
        ]
        text = json.dumps(facts | found | {'messages': table}, indent=2)
        options.json.write_text(text, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
