"""What the benchmark measured, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from thermal_perception.cli.benchmark.report import median_ratio
from thermal_perception.cli.benchmark.side_by_side import SideBySide, timing_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.cli.benchmark.report import BenchmarkResult, NodeResult
    from thermal_perception.cli.benchmark.turn import Fates

BUDGET_MS = 6.0
"""All but the network, median, from callback entry to the return of `publish()`."""
MIN_RATE_RATIO = 0.9
MIN_AGE_FACTOR = 4.0
MIN_AGE_FACTOR_PLAIN = 1.3
"""On a CPU without matrix units (AMX) and no GPU, where the network takes most of any age."""
_SUMS = {
    'total': ('callback to publish() returned', ''),
    'overhead': ('the same without the network', 'bold'),
    'age': ('stamp to publish() returned', ''),
}


def network_table(result: BenchmarkResult) -> Table:
    """Return the time of the network alone, with the ratio of alternating turns."""
    first = result.networks[0]
    table = Table('network alone', 'median ms', 'p99 ms', f'{first.label} by this')
    for column in table.columns[1:]:
        column.justify = 'right'
    for network in result.networks:
        speedup = median_ratio(first.medians_ms, network.medians_ms)
        timing = network.timing
        numbers = f'{timing.median_ms:.2f}', f'{timing.p99_ms:.2f}', f'{speedup:.2f}'
        table.add_row(network.label, *numbers)
    return table


def stage_table(result: BenchmarkResult) -> Table:
    """Return the stages of one frame."""
    nodes = result.nodes
    sheet = SideBySide(
        'stage, ms',
        f'{result.size[1]}x{result.size[0]} mono16, one frame at a time, median and p99',
        [node.label for node in nodes],
    )
    for name in nodes[0].stages:
        label, style = _SUMS.get(name, (name, ''))
        sheet.timings(label, [node.stages[name] for node in nodes], style=style)
    sheet.table.add_section()
    sheet.table.add_row('transport, beside it', timing_text(result.transport))
    return sheet.table


def rate_table(result: BenchmarkResult) -> Table:
    """Return what the nodes do at full input rate, side by side."""
    nodes = result.nodes
    sheet = SideBySide(
        f'at {result.input_hz:.3g} Hz',
        f'full input rate, {len(nodes[0].turns)} turns each, ages as median and p99',
        [node.label for node in nodes],
    )
    rates_hz = [node.rates_hz for node in nodes]
    sheet.numbers('answers a second', [float(np.median(r)) for r in rates_hz], turns=rates_hz)
    sheet.numbers('by the network alone', [node.rate_ratio for node in nodes], '.3f')
    published = [age for node in nodes if (age := node.published_age) is not None]
    if len(published) == len(nodes):
        sheet.timings('age when published, ms', published)
    ages_ms = [[turn.age.median_ms for turn in node.turns] for node in nodes]
    sheet.timings('age on arrival, ms', [node.age for node in nodes], turns=ages_ms)
    sheet.numbers('processor cores', [node.cores for node in nodes], '.2f')
    sheet.numbers('most memory, MiB', [node.peak_mib for node in nodes], '.0f')
    sheet.table.add_section()
    _add_fates(sheet, [node.fates for node in nodes])
    return sheet.table


def verdict_table(result: BenchmarkResult) -> Table:
    """Return each budget with what was measured."""
    table = Table('budget', 'wanted', 'measured', '')
    for node in result.nodes:
        name = f'{node.label}: ' if len(result.nodes) > 1 else ''
        for budget, wanted, measured, good in _verdicts(result, node):
            verdict = '[green]met' if good else '[red]missed'
            table.add_row(f'{name}{budget}', wanted, measured, verdict)
    return table


def _verdicts(result: BenchmarkResult, node: NodeResult) -> list[tuple[str, str, str, bool]]:
    overhead_ms = node.overhead.median_ms
    rows = [
        (
            'all but the network, median',
            f'<= {BUDGET_MS:g} ms',
            f'{overhead_ms:.2f} ms',
            overhead_ms <= BUDGET_MS,
        ),
        (
            f'rate of the node by rate of the network, {len(node.turns)} runs',
            f'>= {MIN_RATE_RATIO:g}',
            f'{node.rate_ratio:.3f}',
            node.rate_ratio >= MIN_RATE_RATIO,
        ),
    ]
    if node.naive_age is not None and node.age_factor is not None:
        plain = not (result.machine.get('amx') or result.machine.get('gpu'))
        wanted = MIN_AGE_FACTOR_PLAIN if plain else MIN_AGE_FACTOR
        ages = f'{node.naive_age.p99_ms:.0f} / {node.age.p99_ms:.0f} ms'
        rows.append(
            (
                f'p99 age at {result.input_hz:.3g} Hz, straightforward node by ours',
                f'>= {wanted:g}',
                f'{ages} = {node.age_factor:.1f}',
                node.age_factor >= wanted,
            )
        )
    return rows


def _add_fates(sheet: SideBySide, fates: Sequence[Fates]) -> None:
    """Add where the images ended, a row for each cause."""
    sheet.texts('images sent', [str(each.sent) for each in fates])
    sheet.texts('answered', [str(each.answered) for each in fates])
    for cause in sorted({cause for each in fates for cause in each.causes}):
        sheet.texts(f'given up: {cause}', [str(each.causes.get(cause, 0)) for each in fates])
    sheet.texts('lost on the way', [str(each.lost) for each in fates])
