"""What the nodes that show a simulated world have in common: time, and pictures ahead of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TYPE_CHECKING, TypeVar

from thermal_perception.nodes.base.diagnostics import Finding, Health, Level
from thermal_perception.nodes.base.managed import ManagedNode
from thermal_perception.nodes.base.statistics import EventCounter, RateMeter
from thermal_perception.nodes.parameters.simulator import SimulatorParameters
from thermal_perception.nodes.simulator.ahead import Ahead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

P = TypeVar('P', bound=SimulatorParameters)
M = TypeVar('M')


class SimulatorNode(ManagedNode[P], ABC, Generic[P, M]):
    """Sends moments of a scene, one by one.

    Moment number n shows the scene at `start_s + n / rate_hz`, whatever the machine can do: on a
    slow one the world moves slowly, but every picture is the same.

    A subclass says what a moment is (`take`, in a thread of its own) and how it is sent (`send`).
    """

    def __init__(self, name: str, declared: type[P], **options: Any) -> None:
        """Declare parameters; see `ManagedNode`."""
        super().__init__(name, declared, **options)
        self._ahead: Ahead[M] | None = None
        self._ticker: Any = None
        self._events = EventCounter(lambda: self.reports)
        self._rate = RateMeter()

    # What a subclass does

    @abstractmethod
    def take(self, time_s: float) -> M:
        """Take the pictures of a time of the scene."""

    @abstractmethod
    def send(self, moment: M, stamp_ns: int) -> None:
        """Publish them."""

    # Life cycle

    def activate(self) -> None:
        """Start to take pictures, and the clock that sends them."""
        self._ahead = Ahead(self._take, self._on_failure)
        period_s = 1.0 / self.settings.values.rate_hz
        self._ticker = self.create_timer(period_s, self._tick, clock=self._steady)

    def deactivate(self) -> None:
        """Stop the clock, then finish the picture in hand."""
        if self._ticker is not None:
            self.destroy_timer(self._ticker)
            self._ticker = None
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    # Diagnostics

    def world_health(
        self, scene: str, findings: Sequence[Finding], values: Mapping[str, Any]
    ) -> Health:
        """Return whether the pictures come as fast as they should, and what else is to tell."""
        recent = self._events.recent
        told = self.state_findings()
        if recent['late']:
            rate_hz = self.settings.values.rate_hz
            told.append(
                Finding(Level.WARN, f'{rate_hz:g} Hz is more than this machine can render')
            )
        if recent['failed']:
            told.append(Finding(Level.ERROR, f'{recent["failed"]} pictures failed'))
        report = {
            'state': self.state,
            'scene': scene,
            'rate [Hz]': self._rate.hz,
            'published': self._events.total('published'),
            'late': self._events.total('late'),
            **values,
        }
        state = self.state if self.enabled else 'disabled by ~/enable'
        return Health('cameras', state, (*told, *findings), report)

    # The renderer's thread

    def _take(self, number: int) -> M:
        values = self.settings.values
        return self.take(values.start_s + number / values.rate_hz)

    def _on_failure(self, number: int, error: Exception) -> bool:
        if not self.context.ok():
            return False  # the process is being ended
        self._events.add('failed')
        self.throttled.error('render', f'picture {number}: {type(error).__name__}: {error}')
        return True

    # The executor's thread

    def _tick(self) -> None:
        """Send the next moment, stamped now."""
        if self._ahead is None or not self.enabled or self._is_over(self._ahead.taken):
            return
        moment = self._ahead.take()
        if moment is None:
            self._events.add('late', int(self._rate.seen))
            return
        self.send(moment, self.get_clock().now().nanoseconds)
        self._events.add('published')
        self._rate.tick()

    def _is_over(self, sent: int) -> bool:
        values = self.settings.values
        if not values.duration_s or sent < values.duration_s * values.rate_hz:
            return False
        self.get_logger().info(f'{values.duration_s:g} s are over')
        self.trigger_deactivate()
        return True
