"""Records as COCO annotations, for scoring detections on any data set."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from training.datasets.record import ANY_CLASS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training.datasets.record import Record


def to_coco(records: Sequence[Record], class_names: Sequence[str]) -> dict[str, Any]:
    """Return COCO annotations whose category ids are label + 1.

    An ignore region of any class appears once per class, with `iscrowd` 1.
    """
    rows = [row for record in records for row in _rows(record, len(class_names))]
    return {
        'images': [{'id': r.image_id, 'file_name': r.path.name} for r in records],
        'annotations': [{'id': n, **row} for n, row in enumerate(rows, start=1)],
        'categories': [{'id': n, 'name': name} for n, name in enumerate(class_names, start=1)],
    }


def _rows(record: Record, classes: int) -> Iterator[dict[str, Any]]:
    for box, label in zip(record.boxes_xyxy_px.tolist(), record.labels.tolist()):
        yield _row(record.image_id, box, label, crowd=0)
    for box, label in zip(record.ignore_xyxy_px.tolist(), record.ignore_labels.tolist()):
        for one in range(classes) if label == ANY_CLASS else [label]:
            yield _row(record.image_id, box, one, crowd=1)


def _row(image_id: int, box: list[float], label: int, *, crowd: int) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    return {
        'image_id': image_id,
        'category_id': label + 1,
        'bbox': [x1, y1, width, height],
        'area': width * height,
        'iscrowd': crowd,
    }
