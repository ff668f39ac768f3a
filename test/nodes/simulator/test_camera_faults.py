from __future__ import annotations

from thermal_perception.nodes.simulator.camera_faults import FaultyStream

S = 1_000_000_000


def test_stamp_without_faults_is_the_true_one():
    assert FaultyStream(0).stamp(5 * S, offset_s=0.0, jitter_s=0.0) == 5 * S


def test_offset_moves_every_stamp_by_the_same():
    stream = FaultyStream(0)
    stamps = [stream.stamp(n * S, offset_s=0.25, jitter_s=0.0) for n in range(3)]
    assert stamps == [S // 4, S + S // 4, 2 * S + S // 4]


def test_jitter_stays_within_its_limits_and_varies():
    stream = FaultyStream(0)
    errors = {stream.stamp(S, offset_s=0.0, jitter_s=0.01) - S for _ in range(100)}
    assert len(errors) > 90
    assert max(errors) <= S // 100
    assert min(errors) >= -S // 100
    assert min(errors) < 0 < max(errors)


def test_jitter_is_the_same_for_the_same_seed():
    first, second = FaultyStream(3), FaultyStream(3)
    for n in range(5):
        assert first.stamp(n, offset_s=0, jitter_s=1) == second.stamp(n, offset_s=0, jitter_s=1)


def test_items_out_of_order_come_after_their_successor():
    stream = FaultyStream(0)
    sent = [stream.order(n, out_of_order=1.0) for n in range(6)]
    assert sent == [[], [1, 0], [], [3, 2], [], [5, 4]]


def test_items_stay_in_order_without_the_fault():
    stream = FaultyStream(0)
    assert [stream.order(n, out_of_order=0.0) for n in range(3)] == [[0], [1], [2]]


def test_held_item_is_sent_when_the_fault_is_switched_off():
    stream = FaultyStream(0)
    assert stream.order('a', out_of_order=1.0) == []
    assert stream.order('b', out_of_order=0.0) == ['b', 'a']
