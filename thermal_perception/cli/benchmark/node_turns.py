"""Turns of a node, beside a camera that publishes for one at a time."""

from __future__ import annotations

from bisect import bisect_left
import time
from typing import TYPE_CHECKING

from thermal_perception.cli.benchmark.process_use import peak_mib, ProcessUse
from thermal_perception.cli.benchmark.publisher import NOBODY, sent_to
from thermal_perception.cli.benchmark.turn import given_up, SETTLE, Turn
from thermal_perception.errors import ThermalPerceptionError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from thermal_perception.cli.benchmark.listener import Arrivals, BenchmarkListener
    from thermal_perception.cli.processes import Child

LIMIT_S = 180.0
"""Time to start, or to begin to answer."""

# Without an answer for so long, a frame is lost.
_LOST_S = 10.0
_MEETING_S = 1.0
# So many times the network's time without an answer, and there will be none.
_SILENCE = 3
# The first frames after another's turn find cold caches.
_COLD = 2


class NodeTurns:
    """Has the camera publish for a node, and tells what came of it."""

    def __init__(
        self,
        node: Child,
        camera: Child,
        listener: BenchmarkListener,
        answers: Arrivals,
        watch: Callable[[], None],
        call_ms: float,
    ) -> None:
        """Wait until the node answers, and then until it rests.

        Args:
            node: the process; its name is also that of the node.
            camera: the process that publishes.
            listener: tells the camera whose turn it is.
            answers: where the listener notes what this node answers.
            watch: called now and then; raises to give up.
            call_ms: time that the network takes.
        """
        self._node, self._camera, self._listener = node, camera, listener
        self._answers, self._watch, self._call_s = answers, watch, call_ms * 1e-3
        self._listener.wait_until(lambda: listener.hears(node.name), LIMIT_S, watch)
        # Until camera and node have met, frames are lost; then it may have several.
        self._give_until_answered(0, _MEETING_S)
        self._rest()

    @property
    def peak_mib(self) -> float:
        """The most memory that the node had resident, MiB."""
        return peak_mib(self._node.process.pid)

    def given_up(self) -> Counter[str]:
        """Return how many images the node says it has given up so far, by cause."""
        statuses = self._listener.diagnostics_of(self._node.name, _LOST_S, self._watch)
        if not statuses:
            raise ThermalPerceptionError(f'{self._node.name}: no diagnostics for {_LOST_S:g} s')
        return given_up(statuses)

    def one_by_one(self, frames: int) -> Arrivals:
        """Give the node each frame when it has answered the one before."""
        wanted = _COLD + frames
        self._answers.clear()
        for answered in range(wanted):
            self._give_until_answered(answered, _LOST_S)
        # The times of the last answer follow it.
        stages_ms = self._answers.stages_ms
        self._listener.wait_until(lambda: len(stages_ms['total']) >= wanted, _LOST_S, self._watch)
        return self._answers.part(_COLD)

    def take(self, frames: int, rate_hz: float) -> Turn:
        """Let the camera publish until so many answers can be measured."""
        wanted = SETTLE + frames

        def arrive() -> None:
            give_up = time.monotonic() + LIMIT_S + 5 * wanted * self._call_s
            while not self._listener.wait_for(self._answers, wanted, _LOST_S, self._watch):
                if time.monotonic() > give_up:
                    raise self._no_answer(wanted)
                self._listener.give_turn(self._node.name, rate_hz)

        sent_ns, cores = self._publish(rate_hz, arrive)
        return Turn(sent_ns, self._answers.part(SETTLE, wanted), len(self._answers), cores)

    def take_for(self, seconds: float, rate_hz: float) -> Turn:
        """Let the camera publish for so long; answers to the first frames are not measured."""

        def pass_time() -> None:
            self._listener.wait_until(lambda: False, seconds, self._watch)

        sent_ns, cores = self._publish(rate_hz, pass_time)
        first = bisect_left(self._answers.stamps_ns, sent_ns[min(SETTLE, len(sent_ns) - 1)])
        if first == len(self._answers):
            raise self._no_answer(first + 1)
        return Turn(sent_ns, self._answers.part(first), len(self._answers), cores)

    def _publish(self, rate_hz: float, until: Callable[[], None]) -> tuple[list[int], float]:
        """Let the camera publish, then wait until the node rests.

        Returns:
            Stamps of what was sent, and the processor cores that the node kept busy meanwhile.
        """
        listener, name, pid = self._listener, self._node.name, self._node.process.pid
        self._answers.clear()
        started_ns, before = time.time_ns(), ProcessUse.of(pid)
        listener.give_turn(name, rate_hz)
        until()
        cores = ProcessUse.of(pid).cores_since(before)
        listener.give_turn(NOBODY)
        self._rest()
        stamps_ns = sent_to(name, self._camera.lines)
        return stamps_ns[bisect_left(stamps_ns, started_ns) :], cores

    def _give_until_answered(self, before: int, lost_s: float) -> None:
        """Give the node a frame, and another after each `lost_s` without a new answer."""
        give_up, name = time.monotonic() + LIMIT_S, self._node.name
        self._listener.give_turn(name)
        while not self._listener.wait_for(self._answers, before + 1, lost_s, self._watch):
            if time.monotonic() > give_up:
                raise self._no_answer(before + 1)
            self._listener.give_turn(name)

    def _rest(self) -> None:
        """Wait until no more answers come."""
        rest_s = max(0.5, _SILENCE * self._call_s)
        answers = self._answers
        while self._listener.wait_for(answers, len(answers) + 1, rest_s, self._watch):
            pass

    def _no_answer(self, expected: int) -> ThermalPerceptionError:
        """End the node; the error says where its threads were."""
        self._node.dump()
        return ThermalPerceptionError(
            f'{self._node.name} answered {len(self._answers)} frames, expected {expected}; '
            f'its log:\n{self._node.last_words(lines=80)}'
        )
