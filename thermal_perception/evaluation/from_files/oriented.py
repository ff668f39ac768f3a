"""Boxes at any angle in DOTA's text files, scored against true ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.from_files.dota import class_name, read_results, read_truth
from thermal_perception.evaluation.oriented import OrientedBoxes, OrientedScorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from thermal_perception.evaluation.from_files.dota import OrientedObject


@dataclass(frozen=True)
class OrientedScores:
    """What `score_oriented_boxes` gives.

    Attributes:
        scorer: holds all images.
        without_results: classes without a file of results, which counts as nothing found.
        other_objects: true objects of other classes, which were left out, by class.
        other_boxes: found boxes of other classes, which were left out, by class.
    """

    scorer: OrientedScorer
    without_results: tuple[str, ...]
    other_objects: Mapping[str, int]
    other_boxes: Mapping[str, int]


def score_oriented_boxes(
    *, truth: Path, detections: Path, class_names: Sequence[str] | None = None
) -> OrientedScores:
    """Score the boxes of all images that have a file in `truth`; see `dota` for the format.

    Args:
        truth: folder of a text file per image.
        detections: folder of a text file per class.
        class_names: classes to score; None takes those in truth, and refuses results of others.

    Raises:
        DatasetError: if a file is not as expected, or results are of an unknown image or class.
    """
    true, found = read_truth(truth), read_results(detections)
    known = sorted({one.class_name for objects in true.values() for one in objects})
    names = list(dict.fromkeys(map(class_name, class_names))) if class_names else known
    if not names:
        raise DatasetError(f'{truth}: holds no object in {len(true)} files')
    if class_names is None and (strange := sorted(found.keys() - set(names))):
        raise DatasetError(
            f'{detections}: found results of class {strange[0]}, expected classes of the truth, '
            f'{", ".join(names)}, or a list of the classes to score'
        )
    by_image = _by_image(found, true, detections)
    scorer = OrientedScorer(names)
    for name, objects in true.items():
        scorer.add(name, _boxes(by_image.get(name, []), names), _boxes(objects, names))
    return OrientedScores(
        scorer,
        tuple(name for name in names if name not in found),
        _count_others([one.class_name for objects in true.values() for one in objects], names),
        _count_others([name for name, rows in found.items() for _ in rows], names),
    )


def _by_image(
    found: Mapping[str, Sequence[tuple[str, OrientedObject]]],
    true: Mapping[str, object],
    folder: Path,
) -> dict[str, list[OrientedObject]]:
    by_image: dict[str, list[OrientedObject]] = {}
    for class_, rows in found.items():
        for image, one in rows:
            if image not in true:
                raise DatasetError(
                    f'{folder}: a box of class {class_} names image {image}, which is none of '
                    f'the {len(true)} in truth; were other images scored?'
                )
            by_image.setdefault(image, []).append(one)
    return by_image


def _boxes(objects: Sequence[OrientedObject], class_names: Sequence[str]) -> OrientedBoxes:
    kept = [one for one in objects if one.class_name in class_names]
    return OrientedBoxes(
        np.array([one.corners_px for one in kept], np.float64).reshape(-1, 4, 2),
        np.array([class_names.index(one.class_name) for one in kept], np.int64),
        np.array([one.score for one in kept], np.float64),
    )


def _count_others(names: Sequence[str], class_names: Sequence[str]) -> dict[str, int]:
    others = sorted(set(names) - set(class_names))
    return {name: names.count(name) for name in others}
