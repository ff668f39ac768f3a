"""Detections on disk as COCO results: a list of image, category, box and score."""

from __future__ import annotations

import json
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import category_labels, CocoScorer, snake_case
from thermal_perception.files import write_whole
from thermal_perception.types import Detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_KEYS = ('image_id', 'category_id', 'bbox', 'score')


def write_detections(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write results as `CocoScorer.detections` gives them, one a line, in one step.

    Raises:
        DatasetError: if the file cannot be written.
    """
    text = '[\n' + ',\n'.join(json.dumps(row, allow_nan=False) for row in rows) + '\n]\n'
    try:
        write_whole(path, text)
    except OSError as error:
        raise DatasetError(f'{path}: cannot be written: {error.strerror}') from error


def read_detections(path: Path, annotations: Mapping[str, Any]) -> CocoScorer:
    """Read results into a scorer; annotated images that are not in them count as empty.

    The classes are the categories of the annotations. Results of any tool will do.

    Raises:
        DatasetError: if the file cannot be read, is no list of results, or names an image or a
            category that the annotations do not have.
    """
    rows = read_rows(path)
    names = tuple(dict.fromkeys(snake_case(c['name']) for c in annotations['categories']))
    labels = category_labels(annotations, names)
    scorer = CocoScorer(annotations, names)
    by_image: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row['category_id'] not in labels:
            raise DatasetError(
                f'{path}: category {row["category_id"]} is none of the annotations, '
                f'{", ".join(map(str, labels))}'
            )
        by_image.setdefault(row['image_id'], []).append(row)
    for image_id, found in by_image.items():
        try:
            scorer.add(image_id, _to_detections(found, labels, names))
        except DatasetError as error:
            raise DatasetError(f'{path}: {error}; were other images scored?') from error
    return scorer


def read_rows(path: Path) -> list[Mapping[str, Any]]:
    """Read COCO results as they are, each with image, category, box and score.

    Raises:
        DatasetError: if the file cannot be read or is no list of results.
    """
    try:
        rows = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error
    except ValueError as error:
        raise DatasetError(f'{path}: is not JSON: {error}') from error
    if not isinstance(rows, list) or not all(_is_result(row) for row in rows):
        raise DatasetError(
            f'{path}: is no list of COCO results, expected rows of {", ".join(_KEYS)} as '
            f'`evaluate --detections` writes them'
        )
    return rows


def _is_result(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and all(key in row for key in _KEYS)
        and isinstance(row['bbox'], list)
        and len(row['bbox']) == 4
        and all(isinstance(v, (int, float)) for v in (*row['bbox'], row['score']))
    )


def _to_detections(
    rows: Sequence[Mapping[str, Any]], labels: Mapping[int, int], class_names: tuple[str, ...]
) -> Detections:
    boxes = np.array([row['bbox'] for row in rows], np.float64)
    boxes[:, 2:] += boxes[:, :2]  # x, y, width, height -> corners
    scores = np.array([row['score'] for row in rows], np.float32)
    order = np.argsort(-scores, kind='stable')
    return Detections(
        boxes[order].astype(np.float32),
        scores[order],
        np.array([labels[row['category_id']] for row in rows], np.int64)[order],
        class_names,
        stamp_ns=0,
        frame_id='',
        image_size=(0, 0),
    )
