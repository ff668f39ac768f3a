"""Node `simulated_link`: feature messages in, the same out later, in another order, or not."""

from __future__ import annotations

from typing import Any, NamedTuple, TYPE_CHECKING

from sensor_msgs.msg import CompressedImage

from thermal_perception.nodes.base.diagnostics import Finding, Health, latency_values, Level
from thermal_perception.nodes.base.entry import run_node
from thermal_perception.nodes.base.managed import ManagedNode
from thermal_perception.nodes.base.publishers import make_publisher
from thermal_perception.nodes.base.qos import input_qos, output_qos, overridable
from thermal_perception.nodes.base.statistics import EventCounter, RateMeter, StageTimes
from thermal_perception.nodes.parameters.simulated_link import SimulatedLinkParameters
from thermal_perception.nodes.simulator.deliveries import Deliveries
from thermal_perception.v2x.link import Link, LinkConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINK_FIELDS = ('delay_s', 'jitter_s', 'loss', 'held', 'held_s', 'bytes_per_s', 'queue_bytes')
_FATES = ('received', 'delivered', 'lost', 'queue full', 'cut', 'disabled', 'failed')


class _OnTheWay(NamedTuple):
    data: bytes
    sent_s: float
    cuts: int  # how often the link had been cut when it was sent


class SimulatedLinkNode(ManagedNode[SimulatedLinkParameters]):
    """Stands for the radio between the roadside and a vehicle.

    Messages are handed on as the bytes they came in, so what is counted is what goes over the
    wire, header and all. Times are those of the steady clock.
    """

    def __init__(self, **options: Any) -> None:
        """Declare parameters."""
        super().__init__('simulated_link', SimulatedLinkParameters, **options)
        self._publisher: Any = None
        self._subscription: Any = None
        self._link: Link | None = None
        self._deliveries: Deliveries[_OnTheWay] | None = None
        self._events = EventCounter(lambda: self.reports)
        self._times = StageTimes(1)
        self._rate = RateMeter()
        self._cuts = 0
        self.settings.on_change(self._on_change)

    # Life cycle

    def configure(self) -> None:
        """Make the output."""
        self._times = StageTimes(self.settings.values.latency_window)
        self._publisher = make_publisher(self, CompressedImage, '~/features', output_qos())

    def activate(self) -> None:
        """Set to work, then subscribe."""
        values = self.settings.values
        config = LinkConfig(
            **{name: getattr(values, name) for name in _LINK_FIELDS}, seed=values.seed
        )
        self._link, self._rate = Link(config), RateMeter()
        self._deliveries = Deliveries(self._deliver, self._on_failure)
        self._subscription = self.create_subscription(
            CompressedImage,
            'features',
            self._on_message,
            input_qos(10),
            raw=True,
            qos_overriding_options=overridable(),
        )

    def deactivate(self) -> None:
        """Unsubscribe; what is on the way is lost."""
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._deliveries is not None:
            self._events.add('cut', self._deliveries.close())
            self._deliveries = None

    def cleanup(self) -> None:
        """Give back the publisher."""
        if self._publisher is not None:
            self.destroy_lifecycle_publisher(self._publisher)
            self._publisher = None

    # Diagnostics

    def health(self) -> Sequence[Health]:
        """Return what came, what arrived, and what the link is told to do."""
        values, totals = self.settings.values, self._events.totals
        findings = self.state_findings()
        if values.cut:
            findings.append(Finding(Level.WARN, 'cut on request'))
        if failed := self._events.recent['failed']:
            findings.append(Finding(Level.ERROR, f'{failed} messages could not be delivered'))
        if full := self._events.recent['queue full']:
            findings.append(Finding(Level.WARN, f'{full} messages were too much for the link'))
        state = self.state if self.enabled else 'disabled by ~/enable'
        report = {
            'state': state,
            'output rate [Hz]': self._rate.hz,
            **{name: getattr(values, name) for name in _LINK_FIELDS},
            **{name: totals.get(name, 0) for name in _FATES},
            'bytes received': totals.get('bytes received', 0),
            'bytes delivered': totals.get('bytes delivered', 0),
            **latency_values(self._times.summary),
        }
        return [Health('link', state, tuple(findings), report)]

    # The executor's thread

    def _on_message(self, data: bytes) -> None:
        assert self._link is not None
        assert self._deliveries is not None
        self._events.add('received')
        self._events.add('bytes received', len(data))
        now_s = self._deliveries.now_s()
        arrives = self._link.send(len(data), now_s)  # also when cut: what is drawn stays the same
        if not self.enabled:
            self._events.add('disabled')
        elif self.settings.values.cut:
            self._events.add('cut')
        elif isinstance(arrives, str):
            self._events.add(arrives)
        else:
            self._deliveries.put(_OnTheWay(data, now_s, self._cuts), arrives)

    def _on_change(self, values: SimulatedLinkParameters) -> None:
        self._cuts += values.cut

    # The thread of the deliveries

    def _deliver(self, message: _OnTheWay, now_s: float) -> None:
        """Hand a message on, unless the link was cut while it was on the way."""
        if message.cuts != self._cuts:
            self._events.add('cut')
            return
        self._publisher.publish(message.data)
        self._events.add('delivered')
        self._events.add('bytes delivered', len(message.data))
        self._times.add({'on the way': now_s - message.sent_s})
        self._rate.tick()

    def _on_failure(self, message: _OnTheWay, error: Exception) -> None:
        if self.context.ok():  # else the process is being ended
            self._events.add('failed')
            self.throttled.error('failed', f'{type(error).__name__}: {error}')


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(SimulatedLinkNode, args)
