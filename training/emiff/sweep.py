"""How much of EMIFF is left when poses are wrong, images old, messages lost or small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.bootstrap import bootstrap, difference, interval
from thermal_perception.evaluation.boxes_3d import Key, Rules, SEEN
from thermal_perception.evaluation.cooperative import CooperativeOptions, score_frames
from thermal_perception.evaluation.dair import read_frames
from thermal_perception.evaluation.disturbance import Disturbance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from thermal_perception.evaluation.bootstrap import Difference, Interval
    from thermal_perception.evaluation.boxes_3d import Boxes3DScorer
    from thermal_perception.evaluation.cooperative import Cameras, CooperativeModel
    from thermal_perception.evaluation.figures import Draws

CAMERAS: tuple[Cameras, ...] = ('ego', 'infra', 'late', 'both')
_IOU = 0.5
_RULES = Rules(ious=(_IOU,))


@dataclass(frozen=True)
class Sweep:
    """One thing that gets worse.

    Attributes:
        name: what is varied, and in which unit.
        values: from nothing to a lot.
        options: how frames are seen at a value.
        delayed: whether a value is a number of images that the roadside is late.
    """

    name: str
    values: tuple[float, ...]
    options: Callable[[float], CooperativeOptions]
    delayed: bool = False


class Point(NamedTuple):
    """Average precisions at one value, overlap 0.5, None without objects.

    Attributes:
        value: of what is varied.
        AP3D: of volumes.
        APBEV: seen from above.
        by_band: AP3D by band of x.
    """

    value: float
    AP3D: float | None
    APBEV: float | None
    by_band: dict[str, float | None]


class Compared(NamedTuple):
    """One way to use the cameras; pairs are of AP3D and APBEV, overlap 0.5.

    Attributes:
        point: what it reaches.
        intervals: of both figures.
        behind: what both cameras together reach more, over the same draws.
    """

    point: Point
    intervals: tuple[Interval | None, ...]
    behind: tuple[Difference | None, ...]


def disturbances(seed: int) -> tuple[Sweep, ...]:
    """Return the sweeps of errors, all drawn from one seed."""

    def position(value: float) -> CooperativeOptions:
        return CooperativeOptions(disturbance=Disturbance(position_m=value, seed=seed))

    def heading(value: float) -> CooperativeOptions:
        return CooperativeOptions(disturbance=Disturbance(heading_deg=value, seed=seed))

    def loss(value: float) -> CooperativeOptions:
        return CooperativeOptions(disturbance=Disturbance(loss=value, seed=seed))

    return (
        Sweep('position error [m]', (0.0, 0.25, 0.5, 1.0, 2.0), position),
        Sweep('heading error [deg]', (0.0, 0.5, 1.0, 2.0, 5.0), heading),
        Sweep(
            'roadside image older by [images]',
            (0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
            lambda value: CooperativeOptions(),
            delayed=True,
        ),
        Sweep('share of messages lost', (0.0, 0.1, 0.2, 0.3, 0.5, 1.0), loss),
    )


def compression(levels: Sequence[tuple[int, int]]) -> Sweep:
    """Return the sweep over a model's compression levels, by their ratios."""
    by_ratio = {float(c * 4**s): (c, s) for c, s in levels}
    return Sweep(
        'compression ratio',
        tuple(sorted(by_ratio)),
        lambda value: CooperativeOptions(level=by_ratio[value]),
    )


class Frames:
    """Frames of a split with the roadside images of any delay, the same ones for all."""

    def __init__(self, folder: Path, split: str, *, delays: int) -> None:
        """Read the frames whose roadside has images so many steps earlier.

        Raises:
            DatasetError: if there is none, or a file is not as it should be.
        """
        read = [read_frames(folder, split, delay=delay) for delay in range(delays + 1)]
        names = {frame.name for frame in read[-1]}
        self.by_delay = [[f for f in frames if f.name in names] for frames in read]
        if len({len(frames) for frames in self.by_delay}) > 1:
            raise DatasetError(f'{folder}: found a frame with image {delays} and not all between')

    @property
    def units(self) -> dict[str, str]:
        """Recording of each frame, by name."""
        return {frame.name: frame.unit for frame in self.by_delay[0]}

    def __len__(self) -> int:
        """Return their number."""
        return len(self.by_delay[0])


def compare_cameras(
    model: CooperativeModel,
    frames: Frames,
    draws: Draws,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Cameras, Compared]:
    """Score what both cameras find together, and what is to be beaten, on the same draws."""
    now = frames.by_delay[0]
    scorers = {
        cameras: score_frames(model, now, CooperativeOptions(cameras), _RULES, tick)
        for cameras in CAMERAS
    }
    names = scorers['both'].names()
    units = [frames.units[name] for name in names]
    (class_name,) = model.vehicle.class_names
    keys = [Key(seen, _IOU, 'all', class_name) for seen in SEEN]

    def sampled(scorer: Boxes3DScorer) -> NDArray[np.float64]:
        def of(weights: NDArray[np.int64]) -> NDArray[np.float64]:
            scores = scorer.score(weights)
            return np.array([scores[key] for key in keys], np.float64)  # None becomes NaN

        return bootstrap(of, units, resamples=draws.resamples, seed=draws.seed)

    samples = {cameras: sampled(scorer) for cameras, scorer in scorers.items()}
    points = {cameras: _point(0.0, scorer) for cameras, scorer in scorers.items()}
    both = points['both']
    compared: dict[Cameras, Compared] = {}
    for cameras, point in points.items():
        gains = samples['both'] - samples[cameras]
        compared[cameras] = Compared(
            point,
            tuple(interval(column) for column in samples[cameras].T),
            tuple(
                difference((mine or 0.0) - (theirs or 0.0), column)
                for mine, theirs, column in zip(both[1:3], point[1:3], gains.T)
            ),
        )
    return compared


def run_sweep(
    model: CooperativeModel,
    frames: Frames,
    sweep: Sweep,
    cameras: Cameras = 'both',
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> list[Point]:
    """Score a model at every value of a sweep."""
    points = []
    for value in sweep.values:
        seen = frames.by_delay[int(value) if sweep.delayed else 0]
        options = replace(sweep.options(value), cameras=cameras)
        points.append(_point(value, score_frames(model, seen, options, _RULES, tick)))
    return points


def _point(value: float, scorer: Boxes3DScorer) -> Point:
    found = scorer.score()
    (class_name,) = scorer.class_names
    bands = {b.name: found[Key('3d', _IOU, b.name, class_name)] for b in _RULES.bands}
    return Point(value, bands['all'], found[Key('bev', _IOU, 'all', class_name)], bands)
