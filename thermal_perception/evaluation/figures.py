"""Figures that exist for any weighting of the images: overall, of parts, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from thermal_perception.evaluation.attributes import attribute_values, image_attributes
from thermal_perception.evaluation.bootstrap import bootstrap, interval
from thermal_perception.evaluation.detection_statistics import MIN_UNITS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.bootstrap import Interval

_T = TypeVar('_T')


@dataclass(frozen=True, eq=False)
class FigureTable:
    """Figures over some images, as the scorers give them.

    Attributes:
        images: (I,) names of the images, which may tell light and altitude.
        keys: (K,) group (`all`, or a class) and figure, `all` first.
        score: gives the figures (K,) for weights (I,) of the images; NaN where one is unknown.
        held: (I, K) how much (objects, pixels, or 1) each image holds for a figure to be known.
        units: (I,) what a bootstrap draws; None draws images.
        attributes: (I,) what is known of each image; None reads it from the names.
    """

    images: Sequence[str]
    keys: Sequence[tuple[str, str]]
    score: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    held: NDArray[np.int64]
    units: Sequence[Hashable] | None = None
    attributes: Sequence[Mapping[str, str]] | None = None


@dataclass(frozen=True)
class Part:
    """The figures of some of the images.

    Attributes:
        attribute: what the images share, for example `light`; empty for all images.
        value: and how, for example `night`.
        images: number of images.
        held: what they hold for the first figure, see `FigureTable`.
        figures: group to figure to value; None where it is unknown.
        intervals: the same with their intervals; empty without a bootstrap.
    """

    attribute: str
    value: str
    images: int
    held: int
    figures: Mapping[str, Mapping[str, float | None]]
    intervals: Mapping[str, Mapping[str, Interval | None]]


@dataclass(frozen=True)
class Draws:
    """How often a bootstrap draws, and from which seed."""

    resamples: int
    seed: int = 0


def whole(table: FigureTable, draws: Draws | None = None) -> Part:
    """Score all images, with intervals if `draws` says how."""
    return _part('', '', table, np.ones(len(table.images), bool), draws)


def parts(table: FigureTable, draws: Draws | None = None) -> list[Part]:
    """Score the images of each light, altitude or condition that is known."""
    told = table.attributes or [image_attributes(name) for name in table.images]
    return [
        _part(key, value, table, np.array([t.get(key) == value for t in told], bool), draws)
        for key, value in attribute_values(dict(enumerate(told)))
    ]


def _part(
    attribute: str,
    value: str,
    table: FigureTable,
    members: NDArray[np.bool_],
    draws: Draws | None,
) -> Part:
    scores = table.score(members.astype(np.int64))
    values = [float(v) if np.isfinite(v) else None for v in scores]
    return Part(
        attribute,
        value,
        images=int(members.sum()),
        held=int(table.held[members, 0].sum()),
        figures=_nested(table.keys, values),
        intervals=_nested(table.keys, _intervals(table, members, draws)) if draws else {},
    )


def _intervals(
    table: FigureTable, members: NDArray[np.bool_], draws: Draws
) -> list[Interval | None]:
    """Return an interval per figure, None where too few units hold what it is about."""
    positions = np.flatnonzero(members).tolist()
    units = positions if table.units is None else [table.units[p] for p in positions]

    def score(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = np.zeros(len(members), np.int64)
        weights[positions] = drawn
        return table.score(weights)

    samples = bootstrap(score, units, resamples=draws.resamples, seed=draws.seed)  # (R, K)
    enough = [_units_with(column, units) >= MIN_UNITS for column in table.held[positions].T]
    return [interval(samples[:, k]) if known else None for k, known in enumerate(enough)]


def _units_with(held: NDArray[np.int64], units: Sequence[Hashable]) -> int:
    return len({unit for unit, amount in zip(units, held.tolist(), strict=True) if amount})


def _nested(keys: Sequence[tuple[str, str]], values: Sequence[_T]) -> dict[str, dict[str, _T]]:
    result: dict[str, dict[str, _T]] = {}
    for (group, figure), value in zip(keys, values, strict=True):
        result.setdefault(group, {})[figure] = value
    return result
