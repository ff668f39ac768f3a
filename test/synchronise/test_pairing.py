from __future__ import annotations

from collections import Counter
import dataclasses
from typing import Any

from hypothesis import given, settings
import hypothesis.strategies as st
import pytest

from thermal_perception.errors import ConfigError, SynchroniseError
from thermal_perception.synchronise.pairing import Pair, Pairing, PairingConfig

MS = 1_000_000
S = 1_000_000_000


def pairing(**config: float) -> Pairing[str]:
    """20 ms apart at most, 100 ms of waiting, unless the test says otherwise."""
    return Pairing(PairingConfig(**config))  # type: ignore[arg-type]


def names(pairs: list[Pair[str]]) -> list[tuple[str, str | None]]:
    return [(p.thermal, p.rgb) for p in pairs]


def test_thermal_with_rgb_of_the_same_stamp_is_paired_at_once():
    p = pairing()
    assert p.push('rgb', 5 * S, 'rgb', 0) == []
    assert p.push('thermal', 5 * S, 'thermal', 0) == [Pair('thermal', 'rgb', 5 * S, 0)]
    assert p.counts == {'thermal': {'paired': 1}, 'rgb': {'paired': 1}}


def test_thermal_waits_for_an_rgb_that_cannot_be_beaten():
    p = pairing()
    p.push('rgb', 90 * MS, 'before', 0)
    assert p.push('thermal', 100 * MS, 'thermal', 0) == []  # a nearer one may come
    pairs = p.push('rgb', 105 * MS, 'after', 10 * MS)
    assert pairs == [Pair('thermal', 'after', 100 * MS, 5 * MS)]


def test_thermal_between_two_rgb_takes_the_nearer_and_the_earlier_on_a_tie():
    p = pairing()
    for stamp, name in ((90, 'a'), (110, 'b'), (122, 'c')):
        p.push('rgb', stamp * MS, name, 0)
    assert names(p.push('thermal', 100 * MS, 'on a tie', 0)) == [('on a tie', 'a')]
    assert names(p.push('thermal', 117 * MS, 'nearer', 0)) == [('nearer', 'c')]


def test_time_offset_is_subtracted_from_rgb_stamps():
    p = pairing(time_offset_s=1.5)
    p.push('rgb', 11_503 * MS, 'rgb', 0)
    assert p.push('thermal', 10_000 * MS, 'thermal', 0) == [
        Pair('thermal', 'rgb', 10_000 * MS, 3 * MS)
    ]


@pytest.mark.parametrize(('offset_ns', 'rgb'), [(20 * MS, 'rgb'), (20 * MS + 1, None)])
def test_rgb_is_taken_up_to_max_offset_and_not_beyond(offset_ns, rgb):
    p = pairing(max_offset_s=0.02)
    p.push('rgb', S + offset_ns, 'rgb', 0)
    assert names(p.push('thermal', S, 'thermal', 0)) == [('thermal', rgb)]


def test_thermal_alone_comes_out_degraded_when_its_wait_is_over():
    p = pairing(max_wait_s=0.1)
    assert p.push('thermal', S, 'thermal', 7 * MS) == []
    assert p.next_deadline_ns == 107 * MS
    assert p.poll(107 * MS - 1) == []
    assert p.poll(107 * MS) == [Pair('thermal', None, S, None)]
    assert p.counts['thermal'] == {'degraded': 1}
    assert p.next_deadline_ns is None


def test_thermal_takes_the_rgb_it_has_when_its_wait_is_over():
    p = pairing()
    p.push('rgb', 990 * MS, 'rgb', 0)
    p.push('thermal', S, 'thermal', 0)
    assert p.poll(100 * MS) == [Pair('thermal', 'rgb', S, -10 * MS)]


def test_rgb_after_the_decision_is_late_and_the_next_one_is_used():
    p = pairing()
    p.push('thermal', S, 'first', 0)
    p.poll(100 * MS)
    p.push('rgb', S - 20 * MS, 'too late', 101 * MS)
    p.push('rgb', S + 33 * MS, 'second', 101 * MS)
    assert names(p.push('thermal', S + 33 * MS, 'second', 101 * MS)) == [('second', 'second')]
    assert p.counts['rgb'] == {'late': 1, 'paired': 1}


def test_one_rgb_serves_two_thermal_and_counts_once():
    p = pairing()
    p.push('rgb', S, 'rgb', 0)
    p.push('rgb', S + 33 * MS, 'next', 0)
    p.push('thermal', S, 'first', 0)
    assert names(p.push('thermal', S + 16 * MS, 'second', 0)) == [('second', 'rgb')]
    assert p.counts['rgb'] == {'paired': 1}


def test_thermal_does_not_wait_while_rgb_is_silent_and_waits_again_when_it_is_back():
    p = pairing(rgb_timeout_s=0.5, max_wait_s=0.1)
    p.push('thermal', S, 'a', 0)
    assert names(p.push('thermal', 2 * S, 'b', 450 * MS)) == [('a', None)]
    assert not p.rgb_silent(450 * MS)
    assert names(p.poll(500 * MS)) == [('b', None)]  # silent for 0.5 s: 50 ms before its deadline
    assert p.rgb_silent(510 * MS)
    assert names(p.push('thermal', 3 * S, 'c', 510 * MS)) == [('c', None)]
    p.push('rgb', 3 * S + 900 * MS, 'rgb', 520 * MS)
    assert p.push('thermal', 4 * S, 'd', 530 * MS) == []


def test_next_deadline_is_that_of_the_silence_when_it_comes_first():
    p = pairing(rgb_timeout_s=0.05, max_wait_s=0.1)
    p.push('thermal', S, 'a', 10 * MS)
    assert p.next_deadline_ns == 60 * MS
    assert names(p.poll(60 * MS)) == [('a', None)]


def test_known_rgb_period_saves_waiting_for_the_next_rgb():
    p = pairing(rgb_min_period_s=0.03)
    p.push('rgb', 90 * MS, 'rgb', 0)
    assert names(p.push('thermal', 105 * MS, 'thermal', 0)) == [('thermal', 'rgb')]
    assert p.push('thermal', 106 * MS, 'nearer to the next', 0) == []


def test_thermal_of_the_same_or_an_earlier_stamp_is_dropped_and_counted():
    p = pairing()
    p.push('thermal', S, 'a', 0)
    p.push('thermal', S, 'again', 0)
    p.push('thermal', S - 1, 'before', 0)
    assert names(p.poll(S)) == [('a', None)]
    assert p.counts['thermal'] == {'duplicate': 1, 'late': 1, 'degraded': 1}


def test_rgb_of_the_same_stamp_is_dropped_and_an_earlier_one_sorted_in():
    p = pairing()
    for stamp, name in ((1010, 'b'), (1010, 'again'), (998, 'a')):
        p.push('rgb', stamp * MS, name, 0)
    assert names(p.push('thermal', S, 'thermal', 0)) == [('thermal', 'a')]
    assert p.counts['rgb'] == {'duplicate': 1, 'paired': 1}


def test_rgb_that_no_thermal_can_choose_any_more_is_expired():
    p = pairing()
    for stamp in (900, 950, 999, 1100):
        p.push('rgb', stamp * MS, f'{stamp}', 0)
    p.push('thermal', S, 'thermal', 0)
    assert p.counts['rgb'] == {'expired': 2, 'paired': 1}
    assert p.undecided == {'thermal': 0, 'rgb': 1}


def test_memory_of_rgb_is_bounded_when_thermal_stops():
    p = pairing(capacity=4)
    for i in range(100):
        p.push('rgb', i * 33 * MS, f'{i}', i * 33 * MS)
    assert p.undecided == {'thermal': 0, 'rgb': 4}
    assert p.counts['rgb'] == {'replaced': 96}


def test_memory_of_thermal_is_bounded_by_deciding_the_oldest():
    p = pairing(capacity=2)
    out = [names(p.push('thermal', S + i, f'{i}', 0)) for i in range(4)]
    assert out == [[], [], [('0', None)], [('1', None)]]


def test_jump_back_of_both_streams_restarts_the_pairing():
    p = pairing(max_wait_s=10.0)
    for lap in range(3):
        for i in range(60):
            stamp, now = (100 + i * 50) * MS, (lap * 60 + i) * 50 * MS
            p.push('rgb', stamp, 'rgb', now)
            assert names(p.push('thermal', stamp, f'{lap} {i}', now)) == [(f'{lap} {i}', 'rgb')]
    assert p.counts['thermal'] == {'paired': 180}
    assert p.restarts > 0


def test_jump_back_seen_first_by_rgb_keeps_its_new_items():
    p = pairing()
    p.push('rgb', 10 * S, 'old', 0)
    p.push('thermal', 10 * S + 5 * MS, 'waiting', 0)
    assert names(p.push('rgb', 1 * S, 'new', 0)) == [('waiting', 'old')]
    assert names(p.push('thermal', 1 * S, 'thermal', 0)) == [('thermal', 'new')]


def test_jump_back_seen_first_by_thermal_does_not_pair_with_the_old_time_line():
    p = pairing()
    p.push('rgb', 10 * S, 'old', 0)
    p.push('thermal', 10 * S, 'old', 0)
    assert p.push('thermal', 1 * S, 'new', 0) == []
    assert names(p.push('rgb', 1 * S, 'rgb', 1)) == [('new', 'rgb')]
    assert p.restarts == 1  # the RGB stream was forgotten along with the thermal one


def test_clock_of_arrival_that_goes_back_blocks_nothing():
    p = pairing()
    p.push('thermal', S, 'a', 1000 * S)
    assert names(p.poll(5)) == [('a', None)]
    p.push('thermal', S + 1, 'b', 5)
    assert names(p.poll(5 + 100 * MS)) == [('b', None)]


def test_flush_decides_all_that_waits():
    p = pairing()
    p.push('rgb', S - MS, 'rgb', 0)
    p.push('thermal', S, 'a', 0)
    p.push('thermal', S + 50 * MS, 'b', 0)
    assert names(p.flush()) == [('a', 'rgb'), ('b', None)]
    assert p.undecided['thermal'] == 0


def test_offset_between_the_streams_is_measured_beyond_what_is_configured():
    p = pairing(time_offset_s=0.1)
    for i in range(20):
        p.push('thermal', i * 40 * MS, 'thermal', i)
        p.push('rgb', i * 40 * MS + 112 * MS, 'rgb', i)
    assert p.offset is not None
    assert p.offset.offset_s == pytest.approx(0.112)
    assert p.offset.drift_s_per_s == pytest.approx(0.0)


def test_burst_of_ten_thousand_messages_keeps_its_pace():
    p = pairing(capacity=1000, max_wait_s=1000.0)
    out = []
    for i in range(10_000):
        out += p.push('thermal', i * 2, f'{i}', 0)
    for i in range(10_000):
        out += p.push('rgb', i * 2, f'{i}', 0)
    assert names(out[:9000]) == [(f'{i}', None) for i in range(9000)]
    assert names(out[9000:]) == [(f'{i}', f'{i}') for i in range(9000, 10_000)]


def test_unknown_modality_is_refused():
    with pytest.raises(SynchroniseError, match="found modality 'lidar', expected thermal or rgb"):
        pairing().push('lidar', 1, 'scan', 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('config', 'text'),
    [
        pytest.param({'max_offset_s': -0.1}, 'max_offset_s: found -0.1', id='offset'),
        pytest.param({'max_wait_s': float('inf')}, 'max_wait_s: found inf', id='endless wait'),
        pytest.param({'jump_back_s': float('nan')}, 'jump_back_s: found nan', id='no number'),
        pytest.param({'time_offset_s': float('nan')}, 'time_offset_s: found nan', id='constant'),
        pytest.param({'capacity': 0}, 'capacity: found 0, expected at least 1', id='no memory'),
    ],
)
def test_impossible_configuration_is_refused(config, text):
    with pytest.raises(ConfigError, match=text):
        PairingConfig(**config)


# A slow, obvious reference. Times are small integers (nanoseconds), so that every thermal stamp
# that may still come can be tried one by one.


@dataclasses.dataclass
class Rgb:
    stamp: int
    item: str
    taken: bool = False


class Reference:
    def __init__(self, c: dict[str, int]) -> None:
        self.c = c
        self.waiting: list[tuple[int, int, str]] = []  # stamp, deadline, item
        self.rgb: list[Rgb] = []
        self.newest: dict[str, int] = {}
        self.decided: int | None = None
        self.now: int | None = None
        self.heard = 0
        self.fates: dict[str, Counter[str]] = {'thermal': Counter(), 'rgb': Counter()}

    def nearest(self, stamp: int) -> Rgb | None:
        near = [r for r in self.rgb if abs(r.stamp - stamp) <= self.c['max_offset']]
        return min(near, key=lambda r: (abs(r.stamp - stamp), r.stamp), default=None)

    def choosable(self, rgb: Rgb) -> bool:
        if self.decided is None:
            return True
        to_come = range(self.decided + 1, max(self.decided + 1, rgb.stamp) + 1)
        return any(self.nearest(t) is rgb for t in to_come)

    def drop(self, gone: list[Rgb], fate: str) -> None:
        self.fates['rgb'][fate] += sum(not r.taken for r in gone)
        self.rgb = [r for r in self.rgb if r not in gone]

    def expire(self) -> None:
        self.drop([r for r in self.rgb if not self.choosable(r)], 'expired')

    def decide(self) -> tuple[str, str | None]:
        stamp, _, item = self.waiting.pop(0)
        rgb = self.nearest(stamp)
        self.decided = stamp
        self.fates['thermal']['paired' if rgb else 'degraded'] += 1
        if rgb:
            self.fates['rgb']['paired'] += not rgb.taken
            rgb.taken = True
        self.expire()
        return item, rgb.item if rgb else None

    def ready(self, now: int) -> bool:
        stamp, deadline, _ = self.waiting[0]
        if now >= deadline or now - self.heard >= self.c['rgb_timeout']:
            return True
        if not self.rgb:
            return False
        last = max(r.stamp for r in self.rgb)
        return last >= stamp or last + self.c['rgb_min_period'] - stamp >= stamp - last

    def poll(self, now: int) -> list[tuple[str, str | None]]:
        out = self.advance(now)
        while self.waiting and self.ready(now):
            out.append(self.decide())
        return out

    def push(self, modality: str, stamp: int, item: str, now: int) -> list[tuple[str, str | None]]:
        out = self.advance(now)
        stamp -= self.c['time_offset'] if modality == 'rgb' else 0
        jump = self.c['jump_back']
        back = self.newest.get(modality, stamp) - stamp
        if back > 0 and back >= jump:
            if self.newest.get('thermal', stamp) - stamp >= jump:
                while self.waiting:
                    out.append(self.decide())
                self.newest.pop('thermal', None)
                self.decided = None
            if self.newest.get('rgb', stamp) - stamp >= jump:
                self.drop(list(self.rgb), 'expired')
                self.newest.pop('rgb', None)
        out += getattr(self, f'push_{modality}')(stamp, item, now)
        return out + self.poll(now)

    def advance(self, now: int) -> list[tuple[str, str | None]]:
        out = []
        if self.now is None or now < self.now:
            while self.waiting:
                out.append(self.decide())
            self.heard = now
        self.now = now
        return out

    def push_thermal(self, stamp: int, item: str, now: int) -> list[tuple[str, str | None]]:
        newest = self.newest.get('thermal')
        if newest is not None and stamp <= newest:
            self.fates['thermal']['duplicate' if stamp == newest else 'late'] += 1
            return []
        self.newest['thermal'] = stamp
        self.waiting.append((stamp, now + self.c['max_wait'], item))
        return [self.decide()] if len(self.waiting) > self.c['capacity'] else []

    def push_rgb(self, stamp: int, item: str, now: int) -> list[tuple[str, str | None]]:
        self.heard = now
        self.newest['rgb'] = max(stamp, self.newest.get('rgb', stamp))
        if any(r.stamp == stamp for r in self.rgb):
            self.fates['rgb']['duplicate'] += 1
            return []
        new = Rgb(stamp, item)
        self.rgb.append(new)
        if not self.choosable(new):
            self.rgb.remove(new)
            self.fates['rgb']['late'] += 1
            return []
        self.expire()
        if len(self.rgb) > self.c['capacity']:
            self.drop([min(self.rgb, key=lambda r: r.stamp)], 'replaced')
        return []


CONFIGS = st.fixed_dictionaries(
    {
        'max_offset': st.integers(0, 8),
        'time_offset': st.integers(-5, 5),
        'max_wait': st.integers(0, 20),
        'rgb_timeout': st.integers(0, 30),
        'rgb_min_period': st.integers(0, 10),
        'jump_back': st.integers(0, 40),
        'capacity': st.integers(1, 5),
    }
)
EVENTS = st.lists(
    st.tuples(st.sampled_from(['thermal', 'rgb', 'poll']), st.integers(0, 60), st.integers(-1, 6)),
    max_size=40,
)
RISING_EVENTS = st.lists(
    st.tuples(st.sampled_from(['thermal', 'rgb']), st.integers(0, 9), st.integers(0, 4)),
    max_size=40,
).map(
    lambda steps: [
        (kind, sum(s for _, s, _ in steps[: i + 1]), wait)
        for i, (kind, _, wait) in enumerate(steps)
    ]
)


def from_ns(config: dict[str, int]) -> PairingConfig:
    values: dict[str, Any] = {f'{k}_s': v * 1e-9 for k, v in config.items() if k != 'capacity'}
    return PairingConfig(capacity=config['capacity'], **values)


@settings(max_examples=200, deadline=None)
@given(config=CONFIGS, events=st.one_of(EVENTS, RISING_EVENTS))
def test_pairing_of_any_stamps_equals_the_brute_force_reference(config, events):
    p: Pairing[str] = Pairing(from_ns(config))
    reference = Reference(config)
    pushed: Counter[str] = Counter()
    now = 1000
    for number, (kind, stamp, step) in enumerate(events):
        now += step
        if kind == 'poll':
            got, expected = p.poll(now), reference.poll(now)
        else:
            pushed[kind] += 1
            got = p.push(kind, stamp, f'{number}', now)
            expected = reference.push(kind, stamp, f'{number}', now)
        assert names(got) == expected
        assert {m: Counter(f) for m, f in p.counts.items()} == reference.fates
        for modality in ('thermal', 'rgb'):  # every item has exactly one fate, or none yet
            fates = sum(p.counts[modality].values())
            assert fates + p.undecided[modality] == pushed[modality]
            assert p.undecided[modality] <= config['capacity']
        assert p.next_deadline_ns is None or p.next_deadline_ns > now


@settings(max_examples=200, deadline=None)
@given(
    thermal=st.lists(st.integers(0, 300), min_size=1, max_size=20, unique=True),
    rgb=st.lists(st.integers(0, 300), min_size=1, max_size=20, unique=True),
    max_offset=st.integers(0, 40),
)
def test_ordered_streams_get_the_nearest_rgb_of_the_whole_recording(thermal, rgb, max_offset):
    p: Pairing[int] = Pairing(PairingConfig(max_offset_s=max_offset * 1e-9, max_wait_s=1e-6))
    out = []
    for stamp, modality in sorted([(t, 'thermal') for t in thermal] + [(r, 'rgb') for r in rgb]):
        out += p.push(modality, stamp, stamp, stamp)
    out += p.flush()
    expected = []
    for t in sorted(thermal):
        near = min(rgb, key=lambda r: (abs(r - t), r))
        expected.append((t, near if abs(near - t) <= max_offset else None))
    assert [(pair.thermal, pair.rgb) for pair in out] == expected
