"""The demo's arithmetic: rates, ages, matches by stamp, and what the node reports."""

from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest

from thermal_perception.cli.demo.state import BoxState, report_of
from thermal_perception.types import Detections

SECOND_NS = 1_000_000_000


def boxes(stamp_ns, rows=(), names=('person', 'car')):
    """Build detections from (x1, y1, x2, y2, score, label) rows."""
    table = np.asarray(rows, np.float32).reshape(-1, 6)
    return Detections(
        table[:, :4],
        table[:, 4],
        table[:, 5].astype(np.int64),
        names,
        stamp_ns,
        'optical',
        (512, 640),
    )


PERSON = (10, 10, 30, 60, 1.0, 0)
CAR = (100, 10, 180, 60, 1.0, 1)


def test_answer_meets_the_truth_of_its_stamp_whichever_comes_first():
    state = BoxState()
    state.take_truth(boxes(1, [PERSON, CAR]))
    state.take_answer(boxes(1, [PERSON]), 0.0)
    state.take_answer(boxes(2, [PERSON, CAR]), 0.1)
    assert state.scored == 1
    state.take_truth(boxes(2, [PERSON]))
    assert state.scored == 2
    assert (state.matches.found, state.matches.missed, state.matches.false) == (2, 1, 1)


def test_truth_of_a_frame_that_was_not_processed_does_not_count_as_missed():
    state = BoxState()
    for stamp in range(1, 5):
        state.take_truth(boxes(stamp, [PERSON]))
    state.take_answer(boxes(4, [PERSON]), 0.0)
    assert (state.matches.found, state.matches.missed) == (1, 0)


def test_frames_boxes_and_classes_are_counted():
    state = BoxState()
    state.take_answer(boxes(1, [PERSON, CAR]), 0.0)
    state.take_answer(boxes(2, [CAR]), 0.1)
    assert (state.frames, state.boxes) == (2, 3)
    assert state.by_class == {'car': 2, 'person': 1}
    assert state.now_by_class == {'car': 1}


def test_rate_and_age_come_from_arrival_times():
    state = BoxState()
    assert (state.rate_hz, state.age_ms(50)) == (0.0, None)
    for number in range(5):
        state.take_answer(boxes(number * SECOND_NS // 4), number / 4 + 0.05)
    assert state.rate_hz == pytest.approx(4)
    assert state.age_ms(50) == pytest.approx(50)


def test_age_of_recorded_stamps_is_not_known():
    state = BoxState(live=False)
    state.take_answer(boxes(1), 1000.0)
    assert state.age_ms(50) is None


def test_memory_is_bounded_when_counterparts_never_come():
    state = BoxState()
    for stamp in range(2000):
        state.take_truth(boxes(stamp, [PERSON]))
    state.take_answer(boxes(0, [PERSON]), 0.0)
    assert state.scored == 0
    state.take_answer(boxes(1999, [PERSON]), 0.0)
    assert state.scored == 1


def status(level, message, **values):
    pairs = [Message(key=k, value=v) for k, v in values.items()]
    return Message(level=level, message=message, name='x', values=pairs)


def test_report_joins_the_statuses_of_a_node_and_the_worst_speaks():
    report = report_of(
        [
            status(
                b'\x01',
                'stamps: 3 future',
                **{'dropped future': '3', 'replaced': '0'},
            ),
            status(b'\x00', 'active', **{'model median [ms]': '12.5', 'model p99 [ms]': '20.1'}),
        ]
    )
    assert (report.level, report.message) == ('WARN', 'stamps: 3 future')
    assert report.not_processed == {'future': 3}
    assert report.stages_ms == {'model': ('12.5', '20.1')}


def test_same_message_of_two_statuses_is_said_once():
    assert report_of([status(b'\x00', 'active'), status(b'\x00', 'active')]).message == 'active'


def test_error_speaks_louder_than_stale():
    statuses = [status(b'\x03', 'no image'), status(b'\x02', 'failed')]
    assert report_of(statuses).message == 'failed'


def test_diagnostics_without_this_node_change_nothing():
    state = BoxState()
    state.take_report([])
    assert state.node.message == 'no diagnostics yet'
