"""A network of two machines that are one: a cable between them, nothing else on it, and a meter.

Each end is a network namespace of Linux; the cable is a veth pair. What a process at one end sends
to the other goes through UDP, IP and Ethernet of the kernel and is cut into packets as for any
interface with that MTU. It needs `unshare` (util-linux), `ip` (iproute2), and a kernel that gives
users namespaces of their own; no root.
"""

from __future__ import annotations

import os
from pathlib import Path
import socket
from statistics import median_low
import subprocess
import sys
import time
from typing import NamedTuple, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEAR, FAR = 'near', 'far'  # names of the interfaces
_ADDRESSES = {NEAR: '10.71.0.1', FAR: '10.71.0.2'}
_INSIDE = 'THERMAL_PERCEPTION_PRIVATE_NETWORK'
_SETTLED_S = 0.1
_LOOK_AGAIN_S = 0.1
_PATIENCE_S = 60.0
_ETHERNET, _IP, _UDP = 14, 20, 8  # bytes of their headers


class Traffic(NamedTuple):
    """What an interface has sent and received: packets, and their bytes from Ethernet's header on.

    The 24 bytes that Ethernet spends besides (preamble, checksum, gap) are not among them.
    """

    sent_bytes: int
    sent_packets: int
    back_bytes: int
    back_packets: int

    def since(self, before: Traffic) -> Traffic:
        """Return what has come to it."""
        return Traffic(*(now - then for now, then in zip(self, before)))


def enter() -> None:
    """Run this program again in a network of its own, unless it is already there."""
    if not os.environ.get(_INSIDE):
        os.environ[_INSIDE] = 'yes'
        command = ['unshare', '--user', '--map-root-user', '--net', sys.executable]
        os.execvp(command[0], [*command, *sys.orig_argv[1:]])


def at_far_end(command: Sequence[str]) -> list[str]:
    """Return the call of a program that calls `await_cable`, at the other end."""
    return ['unshare', '--net', *command]


def lay_cable(far_pid: int, mtu: int) -> None:
    """Connect this end with that of a process, which must have left our namespace."""
    far = ['peer', 'name', FAR, 'mtu', str(mtu), 'netns', str(far_pid)]
    _ip('link', 'add', NEAR, 'mtu', str(mtu), 'type', 'veth', *far)
    _bring_up(NEAR)


def await_cable() -> None:
    """Wait at the far end until the cable is there."""
    await_true(lambda: f'{FAR}:' in Path('/proc/net/dev').read_text(), 'a cable')
    _bring_up(FAR)


def await_true(condition: Callable[[], bool], what: str) -> None:
    """Return when a condition holds; `what` is for the error.

    Raises:
        TimeoutError: if it does not for too long.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f'waited {_PATIENCE_S:.0f} s for {what}')
        time.sleep(_LOOK_AGAIN_S)


def read_meter() -> Traffic:
    """Return what went over the cable so far, as this end sees it."""
    return parse_counters(Path('/proc/net/dev').read_text(), NEAR)


def parse_counters(table: str, interface: str) -> Traffic:
    """Return an interface's line of /proc/net/dev.

    Raises:
        ValueError: if there is none.
    """
    for line in table.splitlines():
        name, _, numbers = line.partition(':')
        if name.strip() == interface:
            received_bytes, received_packets, *_ = counts = list(map(int, numbers.split()))
            return Traffic(counts[8], counts[9], received_bytes, received_packets)
    raise ValueError(f'/proc/net/dev: found no interface {interface!r}')


def cost(send: Callable[[], object], times: int, *, settled_s: float = _SETTLED_S) -> Traffic:
    """Return what `send` puts on the cable, all that answers it within `settled_s` included.

    The median of each number: what DDS says every few seconds to be remembered is in few samples.
    """
    samples = []
    for _ in range(times):
        before = read_meter()
        send()
        time.sleep(settled_s)
        samples.append(read_meter().since(before))
    return median(samples)


def median(samples: Sequence[Traffic]) -> Traffic:
    """Return the median of each number, the lower of two."""
    return Traffic(*map(median_low, zip(*samples)))


def datagram_bytes(payload: int, mtu: int) -> int:
    """Return what a UDP datagram takes: each of its fragments has headers of Ethernet and IP."""
    room = (mtu - _IP) // 8 * 8  # RFC 791: fragments begin at multiples of eight bytes
    return payload + _UDP + -(-(payload + _UDP) // room) * (_IP + _ETHERNET)


def check_meter(mtu: int, *, payload: int = 10_000) -> None:
    """Send plain UDP, whose size is known.

    Raises:
        ValueError: if the meter shows anything else.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        found = cost(lambda: plain.sendto(bytes(payload), (_ADDRESSES[FAR], 9)), 11).sent_bytes
    expected = datagram_bytes(payload, mtu)
    if found != expected:
        raise ValueError(f'meter: found {found} bytes of a datagram, expected {expected}')


def _bring_up(interface: str) -> None:
    _ip('link', 'set', 'lo', 'up')  # without it Fast DDS answers nobody
    _ip('link', 'set', interface, 'addrgenmode', 'none')  # without IPv6, which says hello
    _ip('address', 'add', f'{_ADDRESSES[interface]}/24', 'dev', interface)
    _ip('link', 'set', interface, 'up')
    # Fast DDS passes over an interface whose other end is not up yet, and never looks again.
    await_true(lambda: 'UP' in _ip('-brief', 'link', 'show', interface).split(), 'the other end')


def _ip(*arguments: str) -> str:
    done = subprocess.run(['ip', *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout
