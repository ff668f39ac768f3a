"""What the benchmark measured, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from thermal_perception.cli.benchmark.load import ANSWERS_ALL, MAX_GROWTH, OVERLOAD
from thermal_perception.cli.benchmark.report import median_ratio
from thermal_perception.cli.benchmark.side_by_side import SideBySide, timing_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.cli.benchmark.load import Sweep
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


def sweep_table(node: NodeResult) -> Table:
    """Return what became of rising input rates, and where the node saturates."""
    assert node.sweep is not None
    table = Table(
        'input Hz',
        'answered',
        'answers a second',
        'age on arrival, ms',
        'cores',
        title=f'{node.label} {_saturation(node.sweep)}',
        title_justify='left',
    )
    for column in table.columns:
        column.justify = 'right'
    for turn in node.sweep.turns:
        table.add_row(
            f'{turn.input_hz:.1f}',
            f'{turn.share:.1%}',
            f'{turn.answers.rate_hz:.1f}',
            timing_text(turn.age),
            f'{turn.cores:.2f}',
        )
    return table


def _saturation(sweep: Sweep) -> str:
    if sweep.saturation_hz is None:
        return f'is saturated at {sweep.turns[0].input_hz:.1f} Hz already'
    verb = 'saturates' if sweep.saturated else 'does not saturate'
    return f'{verb} at {sweep.saturation_hz:.1f} Hz ({ANSWERS_ALL:.0%} answered)'


def overload_table(result: BenchmarkResult) -> Table:
    """Return what the nodes make of twice the images that they can answer."""
    loads = [(node.label, node.overload) for node in result.nodes if node.overload is not None]
    sheet = SideBySide(
        'overload',
        f'{OVERLOAD:g} times the rate that the node reaches, ages on arrival',
        [label for label, _ in loads],
    )
    overloads = [overload for _, overload in loads]
    turns = [overload.turn for overload in overloads]
    sheet.numbers('images a second', [turn.input_hz for turn in turns])
    sheet.numbers('answers a second', [turn.answers.rate_hz for turn in turns])
    sheet.timings('age, median and p99, ms', [turn.age for turn in turns])
    thirds = [f'{first:.1f} -> {last:.1f}' for first, last in (o.thirds_ms for o in overloads)]
    sheet.texts('first -> last third, ms', thirds)
    sheet.texts('slope, ms a second', [f'{o.slope_ms_per_s:+.2f}' for o in overloads])
    sheet.numbers('processor cores', [turn.cores for turn in turns], '.2f')
    sheet.table.add_section()
    _add_fates(sheet, [overload.fates for overload in overloads])
    return sheet.table


def all_tables(result: BenchmarkResult) -> list[Table]:
    """Return a table for each measurement that was made."""
    tables = [network_table(result), stage_table(result), rate_table(result)]
    tables += [sweep_table(node) for node in result.nodes if node.sweep is not None]
    if any(node.overload is not None for node in result.nodes):
        tables.append(overload_table(result))
    return [*tables, verdict_table(result)]


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
    if node.overload is not None:
        growth = node.overload.growth
        rows.append(
            (
                f'age in the last third by the first, at {OVERLOAD:g} times the rate',
                f'<= {MAX_GROWTH:g}',
                f'{growth:.2f}',
                growth <= MAX_GROWTH,
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
