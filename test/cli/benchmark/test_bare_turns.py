"""Turns of a loop that prints numbers: it runs in its turn only."""

from __future__ import annotations

from pathlib import Path
import sys
import time

import pytest

from thermal_perception.cli.benchmark.bare_turns import BareTurns
from thermal_perception.cli.processes import Children
from thermal_perception.errors import ThermalPerceptionError

LOOP = """
import time
print('{"name": "torch", "precision": "fp32", "device": "cpu"}', flush=True)
while True:
    time.sleep(0.005)
    print(20.0, flush=True)
"""


@pytest.fixture
def children(tmp_path):
    with Children({}, tmp_path) as children:
        yield children


def test_turn_gives_the_times_printed_in_it_and_tells_what_ran(children):
    turns = BareTurns(children.start('loop', [sys.executable, '-c', LOOP]), children.check, 30.0)
    assert (turns.name, turns.precision) == ('torch', 'fp32')
    assert turns.take(4) == [20.0] * 4
    assert turns.take(8) == [20.0] * 8


def test_loop_rests_between_its_turns(children):
    loop = children.start('loop', [sys.executable, '-c', LOOP])
    turns = BareTurns(loop, children.check, 30.0)
    turns.take(1)
    state = Path(f'/proc/{loop.process.pid}/stat')
    deadline = time.monotonic() + 10.0
    while state.read_text().rpartition(')')[2].split()[0] != 'T':  # stopped
        assert time.monotonic() < deadline


def test_loop_that_hangs_is_given_up(children):
    command = [sys.executable, '-c', 'import time; print("{}", flush=True); time.sleep(60)']
    with pytest.raises(ThermalPerceptionError, match='0 calls within 0 s, expected 0'):
        BareTurns(children.start('loop', command), children.check, 0.3)


def test_paused_child_ends_with_the_others(tmp_path):
    with Children({}, tmp_path) as children:
        BareTurns(children.start('loop', [sys.executable, '-c', LOOP]), children.check, 30.0)
        started = time.monotonic()
        assert children.stop() == []
        assert time.monotonic() - started < 30.0  # the time after which it would be killed
