from __future__ import annotations

import numpy as np
import pytest

from thermal_perception.errors import ConfigError
from thermal_perception.synchronise.guard import FreezeDetector, StampGuard

S = 1_000_000_000
T0 = 1_700_000_000 * S


def judge(guard: StampGuard, *stamps_ns: int) -> list[str]:
    return [guard.check(stamp) for stamp in stamps_ns]


def test_rising_stamps_are_ok():
    assert judge(StampGuard(), T0, T0 + 1, T0 + 5 * S) == ['ok', 'ok', 'ok']


@pytest.mark.parametrize('stamp_ns', [0, -1])
def test_stamp_of_zero_or_less_is_named(stamp_ns):
    assert StampGuard().check(stamp_ns, now_ns=T0) == 'zero_stamp'


@pytest.mark.parametrize(
    ('ahead_ns', 'verdict'),
    [
        pytest.param(S, 'ok', id='at the limit'),
        pytest.param(S + 1, 'future', id='beyond the limit'),
        pytest.param(-3600 * S, 'ok', id='long ago, as in a replay'),
    ],
)
def test_stamp_ahead_of_the_clock_is_future_beyond_the_limit(ahead_ns, verdict):
    assert StampGuard(max_future_s=1.0).check(T0 + ahead_ns, now_ns=T0) == verdict


@pytest.mark.parametrize('now_ns', [None, 0])
def test_future_is_not_checked_when_the_clock_has_not_started(now_ns):
    assert StampGuard().check(T0, now_ns=now_ns) == 'ok'


def test_future_is_not_checked_when_switched_off():
    assert StampGuard(max_future_s=None).check(T0 + 10**18, now_ns=T0) == 'ok'


def test_future_stamp_does_not_make_the_next_one_out_of_order():
    guard = StampGuard()
    assert guard.check(T0 + 9 * S, now_ns=T0) == 'future'
    assert guard.check(T0 + 1, now_ns=T0 + 1) == 'ok'


def test_equal_stamp_is_a_duplicate_however_often():
    assert judge(StampGuard(), *[T0] * 8) == ['ok'] + ['duplicate'] * 7


def test_earlier_stamp_is_out_of_order_and_forgotten():
    assert judge(StampGuard(), T0, T0 - 1, T0 + 1) == ['ok', 'out_of_order', 'ok']


def test_stamp_far_back_is_a_jump_and_the_stream_goes_on_from_there():
    verdicts = judge(StampGuard(jump_back_s=1.0), T0, T0 - S, T0 - S + 1, T0 - S)
    assert verdicts == ['ok', 'jump_back', 'ok', 'out_of_order']


def test_loop_of_a_short_bag_is_a_jump_after_a_few_frames():
    loop = [T0 + i * 100_000_000 for i in range(8)]  # 0.7 s, shorter than jump_back_s
    verdicts = judge(StampGuard(jump_back_s=1.0, restart_after=3), *loop, *loop)
    assert verdicts == ['ok'] * 8 + ['out_of_order'] * 2 + ['jump_back'] + ['ok'] * 5


def test_single_stragglers_never_add_up_to_a_jump():
    guard = StampGuard(restart_after=2)
    for i in range(1, 20):
        assert guard.check(T0 + 2 * i) == 'ok'
        assert guard.check(T0 + 2 * i - 1) == 'out_of_order'


def test_reset_forgets_the_stream_and_keeps_the_counts():
    guard = StampGuard()
    judge(guard, T0, T0)
    guard.reset()
    assert guard.check(T0) == 'ok'
    assert guard.counts == {'ok': 2, 'duplicate': 1}


@pytest.mark.parametrize(
    ('limits', 'text'),
    [
        pytest.param({'max_future_s': -1.0}, 'max_future_s -1.0', id='future'),
        pytest.param({'jump_back_s': -0.5}, 'jump_back_s -0.5', id='jump'),
        pytest.param({'jump_back_s': float('nan')}, 'jump_back_s nan', id='not a number'),
        pytest.param({'restart_after': 0}, 'restart_after 0', id='restart'),
    ],
)
def test_guard_with_impossible_limit_is_refused(limits, text):
    with pytest.raises(ConfigError, match=text):
        StampGuard(**limits)


def noisy(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 60000, (512, 640)).astype(np.uint16)


def test_stream_is_frozen_at_the_nth_equal_frame_and_thaws_at_the_first_other():
    detector = FreezeDetector(n_frames=3)
    frames = [noisy(0), noisy(1), noisy(1), noisy(1), noisy(1), noisy(2)]
    assert [detector.update(f) for f in frames] == [False, False, False, True, True, False]
    assert detector.equal_frames == 1


def test_change_of_a_single_pixel_between_the_probes_is_not_a_freeze():
    detector = FreezeDetector(n_frames=2)
    detector.update(noisy(0))
    other = noisy(0)
    other[1, 1] ^= 1
    assert detector.update(other) is False


@pytest.mark.parametrize(
    'make',
    [
        pytest.param(bytes, id='bytes'),
        pytest.param(bytearray, id='bytearray'),
        pytest.param(memoryview, id='memoryview'),
        pytest.param(lambda b: np.frombuffer(b, np.uint8).reshape(10, 20, 3), id='colour'),
        pytest.param(lambda b: np.frombuffer(b, np.uint8)[:0], id='empty'),
    ],
)
def test_equal_data_of_any_kind_is_a_freeze(make):
    detector = FreezeDetector(n_frames=2)
    data = bytes(range(200)) * 3
    assert [detector.update(make(data)), detector.update(make(bytes(data)))] == [False, True]


def test_equal_bytes_of_other_shape_or_type_are_not_a_freeze():
    detector = FreezeDetector(n_frames=2)
    zeros = np.zeros((4, 6), np.uint8)
    assert detector.update(zeros) is False
    assert detector.update(zeros.reshape(6, 4)) is False
    assert detector.update(zeros.view(np.uint16)) is False


def test_equal_float_frames_with_nan_are_a_freeze():
    detector = FreezeDetector(n_frames=2)
    frames = [np.array([[1.0, np.nan]], np.float32) for _ in range(2)]
    assert [detector.update(f) for f in frames] == [False, True]


def test_reset_forgets_the_last_frame():
    detector = FreezeDetector(n_frames=2)
    detector.update(noisy(0))
    detector.reset()
    assert detector.equal_frames == 0
    assert detector.update(noisy(0)) is False


def test_detector_of_single_frames_is_refused():
    with pytest.raises(ConfigError, match='n_frames 1, expected at least 2'):
        FreezeDetector(1)
