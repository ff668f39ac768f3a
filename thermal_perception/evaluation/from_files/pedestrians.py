"""Pedestrians found in the images of COCO annotations, as for KAIST."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.attributes import sampling_units
from thermal_perception.evaluation.coco import is_ignored, read_annotations, snake_case
from thermal_perception.evaluation.detections_file import read_rows
from thermal_perception.evaluation.miss_rate import (
    MissRateScorer,
    MissRateSetting,
    Pedestrians,
    REASONABLE,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PEDESTRIANS = ('person', 'pedestrian')
"""Categories that count."""

DOUBTFUL = ('people', 'person?', 'person?a', 'cyclist')
"""Categories of KAIST whose objects need not be found."""

_NEEDED = ('image_id', 'category_id', 'bbox')

Rows = list['Mapping[str, Any]']


@dataclass(frozen=True)
class PedestrianScores:
    """What `score_pedestrians` gives.

    Attributes:
        scorer: holds all images by file name.
        units: what a bootstrap draws, in the order of the scorer's names.
        unit: `image` or `scene`.
        other_boxes: boxes of other categories, which were left out.
        unknown_occlusion: pedestrians without a note of occlusion, taken as fully visible.
    """

    scorer: MissRateScorer
    units: Sequence[Hashable]
    unit: str
    other_boxes: int
    unknown_occlusion: int


def score_pedestrians(
    annotations: Path, detections: Path, setting: MissRateSetting = REASONABLE
) -> PedestrianScores:
    """Score COCO results; annotated images that are not in them count as without any box.

    Annotations may hold `occlusion` (0 none, 1 partial, 2 heavy) and `ignore` or `iscrowd`, and
    name their images by `file_name` or, as KAIST's do, by `im_name`.

    Args:
        annotations: COCO annotations with a category `person` or `pedestrian`.
        detections: COCO results.
        setting: which people count.

    Raises:
        DatasetError: if a file is not as expected, or an image or category is not annotated.
        MetricError: if two images have the same name.
    """
    content = read_annotations(annotations)
    names = _image_names(content, annotations)
    categories = {c['id']: snake_case(c['name']) for c in content['categories']}
    if not set(categories.values()) & set(PEDESTRIANS):
        raise DatasetError(
            f'{annotations}: found categories {", ".join(categories.values())}, expected '
            f'{" or ".join(PEDESTRIANS)}'
        )
    _check(content['annotations'], annotations, names, categories)
    rows = read_rows(detections)
    _check(rows, detections, names, categories)
    people = [a for a in content['annotations'] if _concerns(a, categories)]
    boxes = [r for r in rows if categories[r['category_id']] in PEDESTRIANS]
    scorer = _collect(names, _by_image(people), _by_image(boxes), categories, setting)
    unit, units = sampling_units(content, sorted(names, key=names.__getitem__))
    unknown = sum('occlusion' not in a for a in people if _is_pedestrian(a, categories))
    return PedestrianScores(scorer, units, unit, len(rows) - len(boxes), unknown)


def _image_names(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    names = {i.get('id'): i.get('file_name', i.get('im_name')) for i in content['images']}
    if not names:
        raise DatasetError(f'{path}: names no image')
    if None in names or None in names.values():
        raise DatasetError(f'{path}: found an image without id or file_name')
    return names


def _check(
    rows: Iterable[Mapping[str, Any]],
    path: Path,
    images: Collection[int],
    categories: Mapping[int, str],
) -> None:
    for number, row in enumerate(rows):
        if missing := [key for key in _NEEDED if key not in row]:
            raise DatasetError(f'{path}: row {number} has no {", ".join(missing)}')
        if not isinstance(row['bbox'], list) or len(row['bbox']) != 4:
            raise DatasetError(
                f'{path}: row {number} has bbox {row["bbox"]}, expected [x, y, width, height]'
            )
        if row['image_id'] not in images:
            raise DatasetError(
                f'{path}: row {number} names image {row["image_id"]}, which is not annotated; '
                f'were other images scored?'
            )
        if row['category_id'] not in categories:
            raise DatasetError(
                f'{path}: row {number} has category {row["category_id"]}, expected one of '
                f'{", ".join(f"{id_} ({name})" for id_, name in categories.items())}'
            )


def _is_pedestrian(annotation: Mapping[str, Any], categories: Mapping[int, str]) -> bool:
    return categories[annotation['category_id']] in PEDESTRIANS and not is_ignored(annotation)


def _concerns(annotation: Mapping[str, Any], categories: Mapping[int, str]) -> bool:
    return categories[annotation['category_id']] in PEDESTRIANS + DOUBTFUL


def _by_image(rows: Iterable[Mapping[str, Any]]) -> Mapping[int, Rows]:
    found: defaultdict[int, Rows] = defaultdict(list)
    for row in rows:
        found[row['image_id']].append(row)
    return found


def _collect(
    names: Mapping[int, str],
    people: Mapping[int, Rows],
    boxes: Mapping[int, Rows],
    categories: Mapping[int, str],
    setting: MissRateSetting,
) -> MissRateScorer:
    scorer = MissRateScorer(setting)
    for image_id, name in names.items():
        found, true = boxes.get(image_id, []), people.get(image_id, [])
        truth = Pedestrians(
            _corners(true),
            np.array([a.get('occlusion', 0) for a in true], np.int64),
            np.array([not _is_pedestrian(a, categories) for a in true], bool),
        )
        scorer.add(name, _corners(found), np.array([r['score'] for r in found], float), truth)
    return scorer


def _corners(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    boxes = np.array([row['bbox'] for row in rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # x, y, width, height -> corners
    return boxes
