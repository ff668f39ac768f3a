"""What a detection score is worth: intervals, parts of the data, comparison of two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.attributes import attribute_values
from thermal_perception.evaluation.bootstrap import bootstrap, difference, interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.bootstrap import Difference, Interval
    from thermal_perception.evaluation.match_table import MatchTable

FIGURES = ('mAP50', 'mAP')
"""Headline figures: average precision at IoU 0.5, and its mean over IoU 0.50, 0.55 .. 0.95."""

MIN_UNITS = 5
"""Images (or scenes) that must hold objects, for their resampling to say how sure a figure is."""


@dataclass(frozen=True)
class Resampling:
    """How a bootstrap draws.

    Attributes:
        units: the unit (image or scene) of each image of the table.
        resamples: number of resampled sets.
        seed: of the draws.
    """

    units: Sequence[Hashable]
    resamples: int
    seed: int = 0


@dataclass(frozen=True)
class Comparison:
    """One figure of two runs on the same images; None where it is unknown."""

    first: float | None
    second: float | None
    difference: Difference | None


@dataclass(frozen=True)
class Slice:
    """The score of one part of the images.

    Attributes:
        attribute: what the images share, for example `light`.
        value: and how, for example `night`.
        images: number of images.
        boxes: number of objects.
        figures: group of classes to `mAP50` and `mAP`; None without objects.
        intervals: group of classes to the interval of `mAP50`; empty without a bootstrap.
    """

    attribute: str
    value: str
    images: int
    boxes: int
    figures: Mapping[str, Mapping[str, float | None]]
    intervals: Mapping[str, Interval | None]


def class_groups(
    class_names: Sequence[str], exclude: Sequence[str] = ()
) -> dict[str, tuple[int, ...]]:
    """Name the groups of classes that get a figure: all, each class, and all but `exclude`."""
    groups = {'all': tuple(range(len(class_names)))}
    groups |= {name: (label,) for label, name in enumerate(class_names)}
    if exclude:
        kept = (label for label, name in enumerate(class_names) if name not in exclude)
        groups[f'without {", ".join(exclude)}'] = tuple(kept)
    return groups


def score_groups(
    table: MatchTable,
    groups: Mapping[str, tuple[int, ...]],
    weights: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """Return `FIGURES` of each group as (G, F), or (G, 1) from a table of one threshold.

    Classes without objects are left out of the mean, as in COCO; NaN where none is left.
    """
    precision = table.average_precision(weights)  # (C, T)
    columns = [precision[:, 0]]
    if len(table.thresholds) > 1:
        columns.append(precision.mean(axis=1))
    per_class = np.stack(columns, axis=1)  # (C, F)
    return np.array([_mean(per_class[list(labels)]) for labels in groups.values()])


def headline(
    table: MatchTable, groups: Mapping[str, tuple[int, ...]]
) -> dict[str, dict[str, float | None]]:
    """Return group to figure to value, None without objects; see `score_groups`."""
    scores = score_groups(table, groups)
    return {
        group: {figure: _known(v) for figure, v in zip(FIGURES, scores[g])}
        for g, group in enumerate(groups)
    }


def score_intervals(
    table: MatchTable, groups: Mapping[str, tuple[int, ...]], draws: Resampling
) -> dict[str, dict[str, Interval | None]]:
    """Return group to figure to interval; see `bootstrap`.

    None where fewer than `MIN_UNITS` images hold the objects: drawing two images again and again
    gives an interval, but no knowledge.
    """
    enough = _enough(table, groups, draws)
    samples = bootstrap(
        lambda weights: score_groups(table, groups, weights),
        draws.units,
        resamples=draws.resamples,
        seed=draws.seed,
    )  # (R, G, F)
    return {
        group: {
            FIGURES[f]: interval(samples[:, g, f]) if enough[group] else None
            for f in range(samples.shape[2])
        }
        for g, group in enumerate(groups)
    }


def compare(
    first: MatchTable,
    second: MatchTable,
    groups: Mapping[str, tuple[int, ...]],
    draws: Resampling,
) -> dict[str, dict[str, Comparison]]:
    """Compare two runs on the same images by a paired bootstrap: group to figure to comparison.

    Differences are None where fewer than `MIN_UNITS` images hold the objects.

    Raises:
        MetricError: if the runs differ in images or classes.
    """
    if first.image_ids != second.image_ids or first.class_names != second.class_names:
        raise MetricError(
            f'comparison: found {len(first.image_ids)} images of {first.class_names} and '
            f'{len(second.image_ids)} of {second.class_names}, expected the same of both'
        )
    enough = _enough(first, groups, draws)
    before, after = score_groups(first, groups), score_groups(second, groups)
    samples = bootstrap(
        lambda w: score_groups(second, groups, w) - score_groups(first, groups, w),
        draws.units,
        resamples=draws.resamples,
        seed=draws.seed,
    )  # (R, G, F)
    gains = after - before
    return {
        group: {
            figure: Comparison(
                _known(before[g, f]),
                _known(after[g, f]),
                difference(float(gains[g, f]), samples[:, g, f]) if enough[group] else None,
            )
            for f, figure in enumerate(FIGURES[: before.shape[1]])
        }
        for g, group in enumerate(groups)
    }


def breakdown(
    table: MatchTable,
    attributes: Mapping[int, Mapping[str, str]],
    groups: Mapping[str, tuple[int, ...]],
    draws: Resampling | None = None,
) -> list[Slice]:
    """Score the parts of the images that share a light, an altitude or a condition.

    Args:
        table: matches of all images.
        attributes: attributes by image id.
        groups: groups of classes.
        draws: if given, `mAP50` of each part gets an interval.
    """
    of_image = [attributes.get(image_id, {}) for image_id in table.image_ids]
    slices = []
    for attribute, value in attribute_values(attributes):
        members = np.array([known.get(attribute) == value for known in of_image], bool)
        if members.any():
            slices.append(_slice(attribute, value, table, members, groups, draws))
    return slices


def _slice(
    attribute: str,
    value: str,
    table: MatchTable,
    members: NDArray[np.bool_],
    groups: Mapping[str, tuple[int, ...]],
    draws: Resampling | None,
) -> Slice:
    part = table.select(members)
    intervals: dict[str, Interval | None] = {}
    if draws is not None:
        units = [u for u, member in zip(draws.units, members, strict=True) if member]
        own = Resampling(units, draws.resamples, draws.seed)
        found = score_intervals(part.at(0.5), groups, own)
        intervals = {group: figures['mAP50'] for group, figures in found.items()}
    return Slice(
        attribute,
        value,
        images=len(part.image_ids),
        boxes=int(part.objects().sum()),
        figures=headline(part, groups),
        intervals=intervals,
    )


def _enough(
    table: MatchTable, groups: Mapping[str, tuple[int, ...]], draws: Resampling
) -> dict[str, bool]:
    """Tell for which groups the objects lie in enough units."""
    objects = np.array([row[0].objects for row in table.rankings])  # (C, I)
    held = {group: objects[list(labels)].sum(axis=0) for group, labels in groups.items()}
    return {
        group: len({unit for unit, n in zip(draws.units, counts.tolist()) if n}) >= MIN_UNITS
        for group, counts in held.items()
    }


def _mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average rows (N, F) without NaN; a class has objects at all thresholds or at none."""
    known = rows[np.isfinite(rows[:, 0])]
    empty: NDArray[np.float64] = np.full(rows.shape[1], np.nan)
    return known.mean(axis=0) if len(known) else empty


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
