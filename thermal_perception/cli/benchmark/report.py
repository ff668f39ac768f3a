"""What the benchmark measured, as numbers for scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.cli.benchmark.turn import Fates, Timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermal_perception.cli.benchmark.load import Overload, Sweep
    from thermal_perception.cli.benchmark.turn import Turn


@dataclass(frozen=True)
class NetworkResult:
    """The network alone, run one way.

    Attributes:
        name: of the backend.
        precision: of the network's inner values.
        calls_ms: milliseconds of each call, by turn.
    """

    name: str
    precision: str
    calls_ms: Sequence[Sequence[float]]

    @property
    def label(self) -> str:
        """Backend and precision, for people."""
        return f'{self.name} {self.precision}'

    @property
    def timing(self) -> Timing:
        """Summary of all calls."""
        return Timing.of(list(chain.from_iterable(self.calls_ms)))

    @property
    def medians_ms(self) -> list[float]:
        """Of each turn."""
        return [Timing.of(calls).median_ms for calls in self.calls_ms]


@dataclass(frozen=True)
class NodeResult:
    """A node, its network run one way.

    Attributes:
        network: the same network alone.
        stages_ms: milliseconds per frame by stage, one frame at a time.
        bare_hz: rate of the network alone in each run at full input rate.
        turns: of the node, in the same runs.
        naive: of the straightforward node; empty if it was not run.
        fates: of the images of `turns`.
        peak_mib: most memory that the node had resident.
        sweep: of input rates; None if it was not asked for.
        overload: twice the images that the node can answer; None if it was not asked for.
    """

    network: NetworkResult
    stages_ms: Mapping[str, Sequence[float]]
    bare_hz: Sequence[float]
    turns: Sequence[Turn]
    naive: Sequence[Turn] = ()
    fates: Fates = field(default_factory=Fates)
    peak_mib: float = 0.0
    sweep: Sweep | None = None
    overload: Overload | None = None

    @property
    def label(self) -> str:
        """Backend and precision, for people."""
        return self.network.label

    @property
    def stages(self) -> dict[str, Timing]:
        """Summary by stage."""
        return {name: Timing.of(values) for name, values in self.stages_ms.items()}

    @property
    def overhead(self) -> Timing:
        """Per frame, from callback entry to the return of `publish()`, without the network.

        The node measures it; the thread's hand-over of the frame is in it.
        """
        return Timing.of(self.stages_ms['overhead'])

    @property
    def rates_hz(self) -> list[float]:
        """Answers per second in each run."""
        return [turn.answers.rate_hz for turn in self.turns]

    @property
    def rate_ratio(self) -> float:
        """Median over the runs of node rate by network rate."""
        return median_ratio(self.rates_hz, self.bare_hz)

    @property
    def age(self) -> Timing:
        """Of the answers when they arrive, at full input rate."""
        return _age(self.turns)

    @property
    def published_age(self) -> Timing | None:
        """Of the answers when `publish()` returns, at full input rate; None if it is not known."""
        ages_ms = [age for turn in self.turns for age in turn.answers.stages_ms.get('age', ())]
        return Timing.of(ages_ms) if ages_ms else None

    @property
    def cores(self) -> float:
        """Processor cores that the node kept busy at full input rate, median of the runs."""
        return float(np.median([turn.cores for turn in self.turns]))

    @property
    def naive_age(self) -> Timing | None:
        """Of the straightforward node's answers when they arrive."""
        return _age(self.naive) if self.naive else None

    @property
    def age_factor(self) -> float | None:
        """How many times older the straightforward node's answers are, at p99."""
        return self.naive_age.p99_ms / self.age.p99_ms if self.naive_age else None

    def to_json(self) -> dict[str, Any]:
        """Return what was measured at full input rate."""
        published = self.published_age
        return {
            **self.overhead.to_json('overhead_'),
            'rate_ratio': self.rate_ratio,
            'rate_hz': float(np.median(self.rates_hz)),
            'bare_rate_hz': float(np.median(self.bare_hz)),
            'runs': [
                {'bare_hz': bare_hz, 'node_hz': node_hz}
                for bare_hz, node_hz in zip(self.bare_hz, self.rates_hz)
            ],
            **self.age.to_json('age_'),
            **(published.to_json('published_age_') if published else {}),
            'answers': sum(len(turn.answers) for turn in self.turns),
            'frames': self.fates.to_json(),
            'cores': self.cores,
            'peak_memory_mib': self.peak_mib,
        }

    def naive_to_json(self) -> dict[str, Any]:
        """Return what was measured of the straightforward node."""
        return {
            **_age(self.naive).to_json('age_'),
            'rate_hz': float(np.median([turn.answers.rate_hz for turn in self.naive])),
            'answers': sum(len(turn.answers) for turn in self.naive),
            'age_factor': self.age_factor,
            'cores': float(np.median([turn.cores for turn in self.naive])),
        }


@dataclass(frozen=True)
class BenchmarkResult:
    """Everything measured.

    Attributes:
        machine: what it ran on.
        model: name and fingerprint of the weights.
        output: what the network and the nodes were asked for.
        input_hz: full input rate.
        size: (height, width) of the images, pixels.
        networks: alone, in alternating turns; those of the nodes first, in their order.
        transport: publisher to subscriber, one image.
        transport_lost: fraction of images that did not arrive.
        nodes: side by side; the first is what the others are compared with.
    """

    machine: Mapping[str, Any]
    model: Mapping[str, Any]
    output: str
    input_hz: float
    size: tuple[int, int]
    networks: Sequence[NetworkResult]
    transport: Timing
    transport_lost: float
    nodes: Sequence[NodeResult]

    def to_json(self) -> dict[str, Any]:
        """Return the content of the JSON file; what is of the first node stands by itself, too."""
        backends = [self._network_to_json(network) for network in self.networks]
        for backend, node in zip(backends, self.nodes):
            backend['stages'] = {name: t.to_json() for name, t in node.stages.items()}
            backend['node'] = node.to_json()
            if node.naive:
                backend['naive'] = node.naive_to_json()
            if node.sweep:
                backend['sweep'] = node.sweep.to_json()
            if node.overload:
                backend['overload'] = node.overload.to_json()
        first = {key: backends[0][key] for key in _OF_A_NODE if key in backends[0]}
        return {
            'machine': dict(self.machine),
            'model': dict(self.model),
            'output': self.output,
            'input_hz': self.input_hz,
            'size': list(self.size),
            'backends': backends,
            **first,
            'transport': {**self.transport.to_json(), 'lost': self.transport_lost},
        }

    def _network_to_json(self, network: NetworkResult) -> dict[str, Any]:
        speedup = median_ratio(self.networks[0].medians_ms, network.medians_ms)
        return {
            'name': network.name,
            'precision': network.precision,
            **network.timing.to_json(),
            'times_as_fast_as_first': speedup,
        }


_OF_A_NODE = ('stages', 'node', 'naive', 'sweep', 'overload')


def median_ratio(values: Sequence[float], by: Sequence[float]) -> float:
    """Return the median of the quotients of what was measured turn by turn."""
    return float(np.median([value / other for value, other in zip(values, by)]))


def _age(turns: Sequence[Turn]) -> Timing:
    return Timing.of([age for turn in turns for age in turn.answers.ages_ms])
