"""What the benchmark measured, as a picture. It needs matplotlib, which a robot does not."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from itertools import cycle
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.cli.benchmark.load import OVERLOAD
from thermal_perception.cli.benchmark.tables import BUDGET_MS
from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from thermal_perception.cli.benchmark.load import Sweep
    from thermal_perception.cli.benchmark.report import BenchmarkResult, NodeResult

FORMATS = ('.svg', '.png')
_COLOURS = (
    *('#c8553d', '#28666e', '#e0a458', '#5b4b8a'),
    *('#7c9885', '#444444', '#d98fa5', '#a89f91'),
)
_STYLE: dict[str, Any] = {
    'font.size': 9,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.alpha': 0.25,
    'axes.titlesize': 'medium',
    'axes.titlelocation': 'left',
    'svg.fonttype': 'none',  # text stays text: small files
}
_COLUMNS, _PANEL_IN = 2, (4.4, 3.0)
_NAIVE = '--'
_NOT_BESIDE = ('model', 'total', 'overhead', 'age')


def check_plot(path: Path | None) -> None:
    """Refuse a picture that could not be drawn, before the measurements.

    Raises:
        ConfigError: if matplotlib is not installed, or the name ends in no known format.
    """
    if path is None:
        return
    if path.suffix not in FORMATS:
        raise ConfigError(f'--plot {path}: expected a name that ends in {" or ".join(FORMATS)}')
    if find_spec('matplotlib') is None:
        raise ConfigError('--plot: matplotlib is not installed (pip install matplotlib)')


def draw(result: BenchmarkResult, path: Path) -> None:
    """Draw a panel for each measurement that was made.

    Raises:
        ConfigError: if the file cannot be written.
    """
    panels: list[Callable[[Any, BenchmarkResult], None]] = [_draw_stages, _draw_ages]
    if any(node.sweep for node in result.nodes):
        panels += [_draw_shares, _draw_rates]
    if any(node.overload for node in result.nodes):
        panels.append(_draw_overload)
    rows = -(-len(panels) // _COLUMNS)
    size_in = (_COLUMNS * _PANEL_IN[0], rows * _PANEL_IN[1])
    with import_module('matplotlib').rc_context(_STYLE):
        figure = import_module('matplotlib.figure').Figure(size_in, layout='constrained')
        axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for panel, axis in zip(panels, axes):
            panel(axis, result)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        height, width = result.size
        figure.suptitle(f'{result.model["name"]}, {width}x{height}, {result.machine["cpu"]}')
        figure.legend(*_key(result), frameon=False, loc='outside lower center', ncols=4)
        try:
            figure.savefig(path, dpi=120)
        except OSError as error:
            raise ConfigError(f'--plot {path}: cannot be written: {error.strerror}') from error


def _draw_stages(axis: Any, result: BenchmarkResult) -> None:
    """Stack what a frame costs beside the network."""
    names = [name for name in result.nodes[0].stages if name not in _NOT_BESIDE]
    labels = [node.label for node in result.nodes]
    left = np.zeros(len(labels))
    for name, colour in zip(names, cycle(_COLOURS)):
        values = np.array([node.stages[name].median_ms for node in result.nodes])
        axis.barh(labels, values, left=left, label=name, color=colour, height=0.5)
        left += values
    axis.axvline(BUDGET_MS, color='black', linestyle=':')
    axis.set(title=f'a frame beside its network, ms (budget {BUDGET_MS:g})')
    axis.set_ylim(len(labels) + 0.2, -0.6)  # the first on top, the names below
    axis.legend(ncols=3, frameon=False, loc='lower center', fontsize='small')


def _draw_ages(axis: Any, result: BenchmarkResult) -> None:
    """Draw the part of the answers that are younger than an age."""
    for node, colour in _coloured(result):
        for turns, line in ((node.turns, '-'), (node.naive, _NAIVE)):
            ages_ms = sorted(age for turn in turns for age in turn.answers.ages_ms)
            if ages_ms:
                parts = 100 * np.arange(1, len(ages_ms) + 1) / len(ages_ms)
                axis.step(ages_ms, parts, line, where='post', color=colour)
    axis.set(title=f'answers younger than, %, at {result.input_hz:.3g} Hz')
    axis.set(xlabel='age on arrival, ms', xlim=(0, None), ylim=(0, 102))


def _draw_shares(axis: Any, result: BenchmarkResult) -> None:
    """Draw how much is answered at rising input rates."""
    for sweep, colour in _sweeps(result):
        rates_hz = [turn.input_hz for turn in sweep.turns]
        axis.plot(rates_hz, [100 * turn.share for turn in sweep.turns], 'o-', color=colour)
        if sweep.saturation_hz is not None:
            axis.axvline(sweep.saturation_hz, color=colour, linestyle=':')
    axis.set(title='images answered, % (dotted: saturation)', xlabel='images a second')
    axis.set(xlim=(0, None), ylim=(0, 105))


def _draw_rates(axis: Any, result: BenchmarkResult) -> None:
    """Draw the age of answers at rising input rates."""
    for sweep, colour in _sweeps(result):
        rates_hz = [turn.input_hz for turn in sweep.turns]
        ages = [turn.age for turn in sweep.turns]
        axis.plot(rates_hz, [age.median_ms for age in ages], 'o-', color=colour)
        axis.plot(rates_hz, [age.p99_ms for age in ages], 'o-', color=colour, mfc='white')
    axis.set(title='age on arrival, ms: median, and p99 (hollow)', xlabel='images a second')
    axis.set(xlim=(0, None), ylim=(0, None))


def _draw_overload(axis: Any, result: BenchmarkResult) -> None:
    """Draw the age of each answer as time goes by."""
    for node, colour in _coloured(result):
        if node.overload is not None:
            answers = node.overload.turn.answers
            stamps_s = 1e-9 * (np.array(answers.stamps_ns) - answers.stamps_ns[0])
            axis.plot(stamps_s, answers.ages_ms, '.', color=colour)
    axis.set(title=f'age on arrival, ms, at {OVERLOAD:g} times the rate', xlabel='seconds')
    axis.set(xlim=(0, None), ylim=(0, None))


def _key(result: BenchmarkResult) -> tuple[list[Any], list[str]]:
    """Return lines and texts that tell what the colours mean."""
    line = import_module('matplotlib.lines').Line2D
    lines = [line([], [], color=colour) for _, colour in _coloured(result)]
    texts = [node.label for node in result.nodes]
    if any(node.naive for node in result.nodes):
        lines.append(line([], [], color='black', linestyle=_NAIVE))
        texts.append('straightforward node')
    return lines, texts


def _coloured(result: BenchmarkResult) -> Iterable[tuple[NodeResult, str]]:
    return zip(result.nodes, cycle(_COLOURS))


def _sweeps(result: BenchmarkResult) -> Iterable[tuple[Sweep, str]]:
    return [(node.sweep, colour) for node, colour in _coloured(result) if node.sweep is not None]
