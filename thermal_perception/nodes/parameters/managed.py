"""Parameters of every node."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.parameter_set import parameter


@dataclass(frozen=True)
class ManagedParameters:
    """Parameters of every node."""

    autostart: bool = parameter(
        True, 'Configure and activate without being asked by a life cycle manager.'
    )
    diagnostics_period_s: float = parameter(
        1.0,
        'Time between two messages on /diagnostics; a fault is told in three of them.',
        unit='s',
        minimum=0.05,
        maximum=60.0,
    )
