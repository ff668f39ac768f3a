"""How a node is: levels, sentences and values for /diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, field
import enum
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thermal_perception.nodes.base.statistics import Latency


class Level(enum.Enum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = DiagnosticStatus.OK
    WARN = DiagnosticStatus.WARN
    ERROR = DiagnosticStatus.ERROR
    STALE = DiagnosticStatus.STALE


_SEVERITY = {Level.OK: 0, Level.WARN: 1, Level.STALE: 2, Level.ERROR: 3}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    text: str


@dataclass(frozen=True)
class Health:
    """One status of a node.

    Attributes:
        name: what it is about, for example `thermal input`.
        summary: message while there are no findings.
        findings: what is wrong, in order of discovery.
        values: everything measured, by name.
    """

    name: str
    summary: str
    findings: tuple[Finding, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """The worst level of the findings."""
        levels = [finding.level for finding in self.findings]
        return max(levels, key=_SEVERITY.__getitem__, default=Level.OK)

    @property
    def message(self) -> str:
        """The findings, worst first; the summary if there are none."""
        ordered = sorted(self.findings, key=lambda f: -_SEVERITY[f.level])
        return '; '.join(finding.text for finding in ordered) or self.summary


def to_status(node: str, hardware_id: str, health: Health) -> DiagnosticStatus:
    """Encode a health; the status is called `node: name` as diagnostic_updater does it."""
    return DiagnosticStatus(
        level=health.level.value,
        name=f'{node}: {health.name}',
        message=health.message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=_text(value)) for key, value in health.values.items()],
    )


def latency_values(stages: Mapping[str, Latency]) -> dict[str, float]:
    """Return stage latencies under `STAGE median [ms]` and `STAGE p99 [ms]`."""
    values = {}
    for stage, latency in stages.items():
        values[f'{stage} median [ms]'] = latency.median_ms
        values[f'{stage} p99 [ms]'] = latency.p99_ms
    return values


def counts_text(counts: Mapping[str, int]) -> str:
    """Return `3 future, 1 duplicate`, most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ', '.join(f'{count} {name}' for name, count in ordered if count)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value:.3f}' if isinstance(value, float) else str(value)
