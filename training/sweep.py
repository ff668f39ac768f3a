"""`python -m training sweep`: what a model of vehicle and roadside bears, as tables and charts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.cooperative import CooperativeModel
from thermal_perception.evaluation.figures import Draws
from thermal_perception.perceive.cooperative import RoadsidePerceiver, VehiclePerceiver
from training.emiff.sweep import (
    CAMERAS,
    compare_cameras,
    compression,
    disturbances,
    Frames,
    run_sweep,
)
from training.report.canvas import column, drawing, legend_above

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from thermal_perception.evaluation.bootstrap import Difference, Interval
    from thermal_perception.evaluation.cooperative import Cameras
    from training.emiff.sweep import Compared, Point, Sweep

_CALLED = {
    'ego': 'vehicle alone',
    'infra': 'roadside alone',
    'late': 'late fusion of boxes',
    'both': 'EMIFF',
}
_COMPARED: tuple[Cameras, ...] = ('both', 'late')
_DELAYS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument('checkpoint', type=Path, help='weights of EMIFF')
    parser.add_argument(
        '--dataset', type=Path, required=True, metavar='DIR', help='in the layout of DAIR-V2X-C'
    )
    parser.add_argument('--split', default='val', help='name of the split')
    parser.add_argument(
        '--output', type=Path, required=True, metavar='DIR', help='for sweep.json and charts'
    )
    parser.add_argument('--bootstrap', type=int, default=1000, metavar='N', help='draws')
    parser.add_argument('--seed', type=int, default=0, help='of errors, losses and draws')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--threads', type=int, help='processor threads')


def run(args: argparse.Namespace) -> int:
    """Score, print the tables, write the files; returns the exit code."""
    if args.output.is_file():
        raise ConfigError(f'{args.output}: found a file, expected a folder')
    args.output.mkdir(parents=True, exist_ok=True)
    where: dict[str, Any] = {'device': args.device, 'num_threads': args.threads}
    roadside = RoadsidePerceiver.load(args.checkpoint, **where)
    vehicle = VehiclePerceiver.load(args.checkpoint, **where)
    model = CooperativeModel(roadside, vehicle, remember=True)
    frames = Frames(args.dataset, args.split, delays=_DELAYS)
    print(f'{roadside.fingerprint}, {len(frames)} frames of {args.split}, overlap 0.5, per cent')
    with tqdm(unit='frame') as bar:

        def tick(done: int, total: int) -> None:
            bar.update()

        compared = compare_cameras(model, frames, Draws(args.bootstrap, args.seed), tick)
        sweeps = (compression(roadside.levels), *disturbances(args.seed))
        found = {
            sweep.name: {
                cameras: run_sweep(model, frames, sweep, cameras, tick) for cameras in _COMPARED
            }
            for sweep in sweeps
        }
    print(_cameras_table(compared))
    for sweep in sweeps:
        print(_sweep_table(sweep, found[sweep.name]))
    alone = compared['ego'].point.AP3D
    for sweep in sweeps:
        chart = args.output / f'{sweep.name.split(" [")[0].replace(" ", "_")}.svg'
        chart.write_text(_chart(sweep, found[sweep.name], alone), encoding='utf-8')
    content = {
        'fingerprint': roadside.fingerprint,
        'split': args.split,
        'frames': len(frames),
        'seed': args.seed,
        'bootstrap': args.bootstrap,
        'cameras': {name: _to_json(one) for name, one in compared.items()},
        'sweeps': {
            name: {c: [point._asdict() for point in points] for c, points in of.items()}
            for name, of in found.items()
        },
    }
    (args.output / 'sweep.json').write_text(json.dumps(content, indent=1), encoding='utf-8')
    return 0


def _cameras_table(compared: Mapping[Cameras, Compared]) -> str:
    """Return rows of AP3D and APBEV with intervals, and how far each is behind."""
    bands = [name for name in compared['both'].point.by_band if name != 'all']
    lines = [
        _row('', ['AP3D', '95%', *bands, 'APBEV', '95%', 'EMIFF is better by', 'p']),
    ]
    for cameras in CAMERAS:
        one = compared[cameras]
        behind = one.behind[0] if cameras != 'both' else None
        cells = [
            _percent(one.point.AP3D),
            _range(one.intervals[0]),
            *(_percent(one.point.by_band[band]) for band in bands),
            _percent(one.point.APBEV),
            _range(one.intervals[1]),
            _gain(behind),
            '' if behind is None else f'{behind.p_value:.3f}',
        ]
        lines.append(_row(_CALLED[cameras], cells))
    return '\n'.join(['', *lines])


def _sweep_table(sweep: Sweep, found: Mapping[Cameras, Sequence[Point]]) -> str:
    heads = [f'{_CALLED[c]} {name}' for c in _COMPARED for name in ('AP3D', 'APBEV')]
    lines = [_row(sweep.name, heads)]
    for index, value in enumerate(sweep.values):
        points = [found[cameras][index] for cameras in _COMPARED]
        cells = [_percent(x) for point in points for x in (point.AP3D, point.APBEV)]
        lines.append(_row(f'{value:g}', cells))
    return '\n'.join(['', *lines])


def _chart(sweep: Sweep, found: Mapping[Cameras, Sequence[Point]], alone: float | None) -> str:
    """Return the chart of a sweep as SVG, per cent."""
    with drawing() as chart:
        (axis,) = chart.axes
        places = range(len(sweep.values))
        for cameras in _COMPARED:
            values = 100 * column(point.AP3D for point in found[cameras])
            axis.plot(places, values, 'o-', ms=4, label=_CALLED[cameras])
        if alone is not None:
            axis.axhline(100 * alone, color='#888888', ls='--', label=_CALLED['ego'])
        axis.set_xticks(places, [f'{value:g}' for value in sweep.values])
        axis.set(xlabel=sweep.name, ylabel='AP3D at 0.5, %', ylim=(0, None))
        legend_above(chart, axis)
    return chart.svg


def _to_json(one: Compared) -> dict[str, Any]:
    return {
        **one.point._asdict(),
        'intervals': [None if i is None else [i.low, i.high] for i in one.intervals],
        'emiff_is_better_by': [
            None if d is None else [d.estimate, d.interval.low, d.interval.high, d.p_value]
            for d in one.behind
        ],
    }


def _row(name: str, cells: Sequence[str]) -> str:
    return f'| {name} | {" | ".join(cells)} |'


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.1f}'


def _range(values: Interval | None) -> str:
    return '-' if values is None else f'{100 * values.low:.1f} to {100 * values.high:.1f}'


def _gain(gain: Difference | None) -> str:
    if gain is None:
        return ''
    return f'{100 * gain.estimate:+.1f} ({_range(gain.interval)})'
