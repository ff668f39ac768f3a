"""Parameters of the node `simulated_link`."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.managed import ManagedParameters
from thermal_perception.nodes.parameters.parameter_set import parameter


@dataclass(frozen=True)
class SimulatedLinkParameters(ManagedParameters):
    """Parameters of the node `simulated_link`; `ros2 param describe` prints them."""

    delay_s: float = parameter(
        0.02, 'From the end of sending to arrival.', unit='s', minimum=0.0, maximum=60.0
    )
    jitter_s: float = parameter(
        0.0, 'Up to so much is added to the delay.', unit='s', minimum=0.0, maximum=60.0
    )
    loss: float = parameter(
        0.0, 'Probability that a message never arrives.', minimum=0.0, maximum=1.0
    )
    held: float = parameter(
        0.0, 'Probability that a message is held back for held_s, behind others.', minimum=0.0,
        maximum=1.0,
    )  # fmt: skip
    held_s: float = parameter(
        0.15, 'How long such a message is held back.', unit='s', minimum=0.0, maximum=60.0
    )
    bytes_per_s: float = parameter(
        0.0, 'How fast messages leave; 0 at once.', unit='byte/s', minimum=0.0, maximum=1e12
    )
    queue_bytes: int = parameter(
        1_000_000, 'What may wait to leave; more is dropped.', unit='byte', minimum=1,
        maximum=2**40,
    )  # fmt: skip
    seed: int = parameter(0, 'Of what is lost and late.', minimum=0, maximum=2**31 - 1)
    cut: bool = parameter(False, 'The link is down: nothing arrives.', changeable=True)
    latency_window: int = parameter(
        300, 'Messages over which diagnostics report how long they took.', minimum=1,
        maximum=100_000,
    )  # fmt: skip
