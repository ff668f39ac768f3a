"""How a network runs and what became of its images, as diagnostics tell."""

from __future__ import annotations

from typing import Any, Protocol, TYPE_CHECKING

from thermal_perception.nodes.base.diagnostics import counts_text, Finding, Level

if TYPE_CHECKING:
    from thermal_perception.nodes.base.statistics import EventCounter


class Network(Protocol):
    """A network that runs; see `thermal_perception.perceive`."""

    @property
    def device(self) -> str:
        """Where it runs now."""

    @property
    def backend(self) -> str:
        """Run-time and precision."""

    @property
    def backend_notes(self) -> tuple[str, ...]:
        """What is worth knowing of how it runs."""

    @property
    def degraded(self) -> str:
        """Why it does not run as it was asked to; empty if it does."""


def network_findings(network: Network, events: EventCounter) -> list[Finding]:
    """Return what is wrong: images that failed, and a network that runs otherwise than asked."""
    findings = []
    if failed := _failed(events.recent):
        findings.append(Finding(Level.ERROR, f'images not processed: {counts_text(failed)}'))
    if network.degraded:
        findings.append(Finding(Level.WARN, f'degraded: {network.degraded}'))
    return findings


def network_values(network: Network, events: EventCounter) -> dict[str, Any]:
    """Return how it runs, and how many images failed for which cause."""
    return {
        'device': network.device,
        'backend': network.backend,
        'backend notes': '; '.join(network.backend_notes) or 'none',
        'degraded': network.degraded or 'no',
        **_failed(events.totals),
    }


def _failed(counts: Any) -> dict[str, int]:
    return {cause: count for cause, count in counts.items() if cause.startswith('failed')}
