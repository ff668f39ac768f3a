"""What a radio link does to messages, in numbers worked out by hand."""

from __future__ import annotations

import pytest

from thermal_perception.errors import ConfigError
from thermal_perception.v2x.link import Link, LinkConfig


def arrivals(config, count=200, every_s=0.1, size=1000):
    link = Link(config)
    return [link.send(size, number * every_s) for number in range(count)]


def test_a_fast_link_only_delays():
    assert arrivals(LinkConfig(delay_s=0.03), 3) == pytest.approx([0.03, 0.13, 0.23])


def test_messages_leave_one_after_another():
    link = Link(LinkConfig(delay_s=0.5, bytes_per_s=1000, queue_bytes=10_000))
    assert link.send(2000, 10.0) == pytest.approx(12.5)
    assert link.send(1000, 10.5) == pytest.approx(13.5)  # waits until 12
    assert link.send(1000, 20.0) == pytest.approx(21.5)


def test_what_the_queue_cannot_hold_is_dropped_and_takes_no_air_time():
    link = Link(LinkConfig(delay_s=0.0, bytes_per_s=1000, queue_bytes=2500))
    assert link.send(2000, 0.0) == pytest.approx(2.0)
    assert link.send(1000, 0.0) == 'queue full'
    assert link.send(1000, 0.5) == pytest.approx(3.0)  # 1500 bytes still wait
    assert link.send(2501, 9.0) == 'queue full'


def test_a_lost_message_has_taken_its_air_time():
    link = Link(LinkConfig(delay_s=0.0, loss=1.0, bytes_per_s=1000, queue_bytes=5000))
    assert link.send(3000, 0.0) == 'lost'
    assert link.send(3000, 0.0) == 'queue full'


def test_the_share_that_is_lost_is_that_of_the_configuration():
    lost = arrivals(LinkConfig(loss=0.3), 4000).count('lost')
    assert lost / 4000 == pytest.approx(0.3, abs=0.03)


def test_jitter_is_spread_evenly_over_its_range():
    delays = [t - 0.1 * n for n, t in enumerate(arrivals(LinkConfig(jitter_s=0.2), 4000))]
    assert 0.02 <= min(delays) < 0.021
    assert 0.219 < max(delays) < 0.22 + 1e-9
    assert sum(delays) / 4000 == pytest.approx(0.12, abs=0.005)


def test_messages_that_are_held_back_come_behind_others():
    config = LinkConfig(held=0.25, held_s=0.15)
    times = arrivals(config, 400)
    late = [n for n, t in enumerate(times) if t == pytest.approx(0.1 * n + 0.17)]
    assert len(late) / 400 == pytest.approx(0.25, abs=0.06)
    assert any(times[n] > times[n + 1] for n in late[:-1])


def test_what_happens_to_a_message_does_not_depend_on_the_others():
    fates = [
        [a == 'lost' for a in arrivals(LinkConfig(loss=0.5, **more), 100)]
        for more in ({}, {'jitter_s': 0.3}, {'bytes_per_s': 1e6}, {'held': 0.4})
    ]
    assert fates[0] == fates[1] == fates[2] == fates[3]
    other = [a == 'lost' for a in arrivals(LinkConfig(loss=0.5, seed=1), 100)]
    assert other != fates[0]


@pytest.mark.parametrize(
    'wrong',
    [{'loss': 1.1}, {'held': -0.1}, {'delay_s': -1.0}, {'bytes_per_s': float('inf')}],
)
def test_a_link_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=f'{next(iter(wrong))}: found .* expected'):
        LinkConfig(**wrong)
