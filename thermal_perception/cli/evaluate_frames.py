"""`thermal-perception evaluate` of a model of a vehicle and the roadside (emiff)."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score.report import make_report, print_method, progress, write
from thermal_perception.cli.score_tables import interval_text, plain_table
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.boxes_3d import BANDS, figure_name
from thermal_perception.evaluation.cooperative import (
    CooperativeModel,
    CooperativeOptions,
    score_frames,
    to_json,
)
from thermal_perception.evaluation.dair import read_frames
from thermal_perception.perceive.cooperative import RoadsidePerceiver, VehiclePerceiver

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from thermal_perception.cli.evaluate import EvaluateOptions
    from thermal_perception.cli.score.report import Report
    from thermal_perception.evaluation.cooperative import Cameras

_WITHOUT: dict[str, Cameras] = {'': 'both', 'ego': 'infra', 'infra': 'ego'}
_SHOWN = tuple(figure_name(seen, iou) for seen in ('3d', 'bev') for iou in (0.3, 0.5, 0.7))


def evaluate_frames(options: EvaluateOptions, checkpoint: Path) -> None:
    """Find, score, print the table and write the JSON file.

    Raises:
        ThermalPerceptionError: if the data or an option is not acceptable.
    """
    if options.dataset is None:
        raise ConfigError('evaluate: this model needs --dataset DIR --split NAME (DAIR-V2X-C)')
    if options.without not in _WITHOUT:
        raise ConfigError(f'evaluate: found --without {options.without}, expected ego or infra')
    frames = read_frames(options.dataset, options.split, delay=options.delay)
    where: dict[str, Any] = {
        'device': options.device,
        'num_threads': options.threads,
        'backend': options.backend,
        'precision': options.precision,
        'artefact': options.artefact,
    }
    roadside = RoadsidePerceiver.load(checkpoint, **where)
    vehicle = VehiclePerceiver.load(checkpoint, **where)
    model = CooperativeModel(roadside, vehicle)
    seen = CooperativeOptions(_WITHOUT[options.without], _level(options.level, roadside.levels))
    with progress() as tick:
        scorer = score_frames(model, frames, seen, tick=tick)
    table = scorer.table({frame.name: frame.unit for frame in frames})
    report = make_report(table, options.bootstrap, options.seed, unit='recording')
    level = seen.level or roadside.levels[len(roadside.levels) // 2]
    told = '' if options.without == 'infra' else f', {_name(level)} features'
    absent = f', without {options.without}' if options.without else ''
    late = f', roadside {options.delay} images earlier' if options.delay else ''
    console.out.print(
        f'{options.model} ({roadside.fingerprint}), {vehicle.backend} on {vehicle.device}\n'
        f'{len(frames)} frames of {options.split}{absent}{told}{late}'
    )
    for part in (roadside, vehicle):
        if part.degraded:
            console.err.print(part.degraded, style='yellow')
    console.out.print(_table(report))
    print_method(report)
    content = {
        'model': options.model,
        'fingerprint': roadside.fingerprint,
        'images': len(frames),
        'split': options.split,
        'without': options.without or None,
        'level': None if options.without == 'infra' else _name(level),
        'delay': options.delay,
        'device': vehicle.device,
        'backend': vehicle.backend,
        'metrics': to_json(scorer.score()),
    }
    write(options.json, {**content, **report.to_json('boxes')})


def _level(name: str, levels: tuple[tuple[int, int], ...]) -> tuple[int, int] | None:
    """Return the level of a ratio, None if none was asked for."""
    if not name:
        return None
    known = {_name(level): level for level in levels}
    if name not in known:
        raise ConfigError(f'evaluate: found --level {name}, expected one of {", ".join(known)}')
    return known[name]


def _name(level: tuple[int, int]) -> str:
    c, s = level
    return f'{c * 4**s}x'


def _table(report: Report) -> Table:
    """Return a row per band, figures in per cent."""
    sure = ['95% interval'] if report.draws else []
    table = plain_table(['x [m]'], [*_SHOWN[:2], *sure, *_SHOWN[2:]])
    for band in (b.name for b in BANDS):
        figures = report.all.figures[band]
        cells = [_percent(figures[name]) for name in _SHOWN]
        if sure:
            cells.insert(2, interval_text(report.all.intervals[band][_SHOWN[1]]))
        table.add_row(band, *cells)
    return table


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.1f}'
