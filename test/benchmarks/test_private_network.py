"""What the meter of the cable reads, and what a datagram takes, counted by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
TABLE = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo:    5784      17    0    0    0     0          0         0     5784      17    0    0    0
  near:    4252      10    1    2    3     4          5         6    17742      59    0    0    0
"""


@pytest.fixture
def network(monkeypatch):
    """Return the module; benchmarks are scripts, not a package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module('private_network')


def test_counters_are_those_of_the_interface(network):
    found = network.parse_counters(TABLE, 'near')
    assert found == network.Traffic(17742, 59, 4252, 10)


def test_unknown_interface_is_named(network):
    with pytest.raises(ValueError, match="no interface 'far'"):
        network.parse_counters(TABLE, 'far')


def test_traffic_since_is_what_has_come_to_it(network):
    before, now = network.Traffic(100, 2, 50, 1), network.Traffic(1442, 3, 50, 1)
    assert now.since(before) == network.Traffic(1342, 1, 0, 0)


def test_median_leaves_out_what_is_in_few_samples(network):
    plain, with_announcement = network.Traffic(1342, 1, 0, 0), network.Traffic(1928, 2, 586, 1)
    assert network.median([plain, with_announcement, plain, plain]) == plain


@pytest.mark.parametrize(
    ('payload', 'mtu', 'expected'),
    [
        pytest.param(0, 1500, 14 + 20 + 8, id='headers alone'),
        pytest.param(1472, 1500, 14 + 1500, id='the largest in one packet'),
        pytest.param(1473, 1500, 14 + 1500 + 14 + 20 + 1, id='one byte too many'),
        # 6 x 1480 and 1128 bytes, each behind 34 bytes of headers
        pytest.param(10_000, 1500, 10_008 + 7 * 34, id='seven fragments'),
        # an IP packet of 1400 bytes has room for 1380, of which 1376 are a multiple of eight
        pytest.param(1_400, 1400, 1_408 + 2 * 34, id='fragments end at multiples of eight'),
    ],
)
def test_datagram_takes_its_bytes_and_headers_of_each_fragment(network, payload, mtu, expected):
    assert network.datagram_bytes(payload, mtu) == expected
