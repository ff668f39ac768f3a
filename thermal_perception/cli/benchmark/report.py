"""What the benchmark measured, as numbers for scripts and tables for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TYPE_CHECKING

import numpy as np
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUDGET_MS = 6.0
"""All but the network, median, from callback entry to the return of `publish()`."""
MIN_RATE_RATIO = 0.9
MIN_AGE_FACTOR = 4.0
MIN_AGE_FACTOR_PLAIN = 1.3
"""On a CPU without matrix units (AMX) and no GPU, where the network takes most of any age."""
_SUMS = {
    'total': ('callback entry to publish() returned', ''),
    'overhead': ('the same without the network', 'bold'),
    'age': ('stamp to publish() returned', ''),
}


@dataclass(frozen=True)
class Timing:
    """Median and 99th percentile of many values, milliseconds."""

    median_ms: float
    p99_ms: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> Timing:
        """Summarise at least one value."""
        median, p99 = np.percentile(np.asarray(values_ms, np.float64), (50, 99))
        return cls(float(median), float(p99))

    def to_json(self) -> dict[str, float]:
        """Return the values by name."""
        return {'median_ms': self.median_ms, 'p99_ms': self.p99_ms}


@dataclass(frozen=True)
class Rates:
    """One pair of runs at full input rate, frames per second: the network alone, the node."""

    bare_hz: float
    node_hz: float

    @property
    def ratio(self) -> float:
        """How much of the network's rate the node keeps."""
        return self.node_hz / self.bare_hz


@dataclass(frozen=True)
class BenchmarkResult:
    """Everything measured.

    Attributes:
        machine: what it ran on.
        model: name and fingerprint of the weights.
        output: what the network and the nodes were asked for.
        input_hz: full input rate.
        size: (height, width) of the images, pixels.
        backends: by (name, precision), time of one network call.
        stages_ms: milliseconds per frame by stage, one frame at a time.
        transport: publisher to subscriber, one image.
        transport_lost: fraction of images that did not arrive.
        rates: alternating runs at full input rate.
        ages_ms: stamp to answer at full input rate, our node.
        naive_ages_ms: the same for the straightforward node; empty if it was not run.
    """

    machine: Mapping[str, Any]
    model: Mapping[str, Any]
    output: str
    input_hz: float
    size: tuple[int, int]
    backends: Mapping[tuple[str, str], Timing]
    stages_ms: Mapping[str, Sequence[float]]
    transport: Timing
    transport_lost: float
    rates: Sequence[Rates]
    ages_ms: Sequence[float]
    naive_ages_ms: Sequence[float] = field(default=())
    naive_hz: float = 0.0

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
    def rate_ratio(self) -> float:
        """Median over the runs of node rate by network rate."""
        return float(np.median([rates.ratio for rates in self.rates]))

    @property
    def age_factor(self) -> float | None:
        """How many times older the straightforward node's answers are, at p99."""
        if not self.naive_ages_ms:
            return None
        return Timing.of(self.naive_ages_ms).p99_ms / Timing.of(self.ages_ms).p99_ms

    def to_json(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        age = Timing.of(self.ages_ms)
        values: dict[str, Any] = {
            'machine': dict(self.machine),
            'model': dict(self.model),
            'output': self.output,
            'input_hz': self.input_hz,
            'size': list(self.size),
            'backends': [
                {'name': name, 'precision': precision, **timing.to_json()}
                for (name, precision), timing in self.backends.items()
            ],
            'stages': {name: timing.to_json() for name, timing in self.stages.items()},
            'transport': {**self.transport.to_json(), 'lost': self.transport_lost},
            'node': {
                'overhead_median_ms': self.overhead.median_ms,
                'overhead_p99_ms': self.overhead.p99_ms,
                'rate_ratio': self.rate_ratio,
                'rate_hz': float(np.median([r.node_hz for r in self.rates])),
                'bare_rate_hz': float(np.median([r.bare_hz for r in self.rates])),
                'runs': [{'bare_hz': r.bare_hz, 'node_hz': r.node_hz} for r in self.rates],
                'age_median_ms': age.median_ms,
                'age_p99_ms': age.p99_ms,
                'answers': len(self.ages_ms),
            },
        }
        if self.naive_ages_ms:
            naive = Timing.of(self.naive_ages_ms)
            values['naive'] = {
                'age_median_ms': naive.median_ms,
                'age_p99_ms': naive.p99_ms,
                'rate_hz': self.naive_hz,
                'answers': len(self.naive_ages_ms),
                'age_factor': self.age_factor,
            }
        return values


def stage_table(result: BenchmarkResult) -> Table:
    """Return the stages of one frame, milliseconds."""
    table = Table(
        'stage',
        title=f'{result.size[1]}x{result.size[0]} mono16, one frame at a time',
        title_justify='left',
    )
    table.add_column('median ms', justify='right')
    table.add_column('p99 ms', justify='right')
    for name, timing in result.stages.items():
        label, style = _SUMS.get(name, (name, ''))
        table.add_row(label, *_cells(timing), style=style)
    table.add_section()
    table.add_row('transport, beside it', *_cells(result.transport))
    for (name, precision), timing in result.backends.items():
        table.add_row(f'network alone, {name} {precision}', *_cells(timing))
    return table


def verdict_table(result: BenchmarkResult) -> Table:
    """Return each budget with what was measured."""
    table = Table('budget', 'wanted', 'measured', '')
    rows = [
        (
            'all but the network, median',
            f'<= {BUDGET_MS:g} ms',
            f'{result.overhead.median_ms:.2f} ms',
            result.overhead.median_ms <= BUDGET_MS,
        ),
        (
            f'rate of the node by rate of the network, {len(result.rates)} runs',
            f'>= {MIN_RATE_RATIO:g}',
            f'{result.rate_ratio:.3f}',
            result.rate_ratio >= MIN_RATE_RATIO,
        ),
    ]
    if result.age_factor is not None:
        plain = not (result.machine.get('amx') or result.machine.get('gpu'))
        wanted_factor = MIN_AGE_FACTOR_PLAIN if plain else MIN_AGE_FACTOR
        ours, naive = Timing.of(result.ages_ms), Timing.of(result.naive_ages_ms)
        rows.append(
            (
                f'p99 age at {result.input_hz:g} Hz, straightforward node by ours',
                f'>= {wanted_factor:g}',
                f'{naive.p99_ms:.0f} / {ours.p99_ms:.0f} ms = {result.age_factor:.1f}',
                result.age_factor >= wanted_factor,
            )
        )
    for name, wanted, measured, good in rows:
        table.add_row(name, wanted, measured, '[green]met' if good else '[red]missed')
    return table


def _cells(timing: Timing) -> tuple[str, str]:
    return f'{timing.median_ms:.2f}', f'{timing.p99_ms:.2f}'
