"""COCO average precision of `Detections`, by class and by object size."""

from __future__ import annotations

from dataclasses import dataclass, fields
import json
from pathlib import Path
import re
from typing import Any, TYPE_CHECKING

from faster_coco_eval import COCO, COCOeval_faster
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.match_table import COCO_IOUS, MatchTable
from thermal_perception.evaluation.matches import ImageMatches, match_greedily, overlaps_xywh

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import Detections

MAX_DETECTIONS = 100
"""Boxes per image and class that count, as in the COCO protocol."""

_AREAS = ('all', 'small', 'medium', 'large')
_IOU50, _IOU75 = 0, 5  # positions in the COCO thresholds 0.50, 0.55 .. 0.95


@dataclass(frozen=True)
class ClassMetrics:
    """COCO figures of one class, fractions in 0..1; None where no object exists to be found.

    Sizes are the COCO bins: small below 32 * 32 pixels, large from 96 * 96.

    Attributes:
        mAP: average precision, mean over IoU 0.50, 0.55 .. 0.95.
        mAP50: average precision at IoU 0.50.
        mAP75: average precision at IoU 0.75.
        mAP_small: like `mAP`, small objects only; likewise medium and large.
        mAP50_small: like `mAP50`, small objects only; likewise medium and large.
        AR100: mean recall over the IoU thresholds with at most 100 boxes per image.
        boxes: number of objects (ignore regions left out).
    """

    mAP: float | None
    mAP50: float | None
    mAP75: float | None
    mAP_small: float | None
    mAP_medium: float | None
    mAP_large: float | None
    mAP50_small: float | None
    mAP50_medium: float | None
    mAP50_large: float | None
    AR100: float | None
    boxes: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the figures as plain values, field by field."""
        return {f.name: getattr(self, f.name) for f in fields(ClassMetrics)}


@dataclass(frozen=True)
class DetectionMetrics(ClassMetrics):
    """Means over the classes, and the figures of each class.

    Attributes:
        per_class: class name to figures; classes without an object have None.
    """

    per_class: Mapping[str, ClassMetrics]

    def without(self, class_names: Iterable[str]) -> DetectionMetrics:
        """Return the means with some classes left out.

        Raises:
            DatasetError: if a name is no class of these metrics.
        """
        left_out = set(class_names)
        unknown = sorted(left_out - set(self.per_class))
        if unknown:
            raise DatasetError(
                f'excluded classes {", ".join(unknown)}: expected some of '
                f'{", ".join(self.per_class)}'
            )
        return mean_over_classes({k: v for k, v in self.per_class.items() if k not in left_out})

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values, with `per_class` nested."""
        per_class = {name: metrics.to_json() for name, metrics in self.per_class.items()}
        return {**super().to_json(), 'per_class': per_class}


def mean_over_classes(per_class: Mapping[str, ClassMetrics]) -> DetectionMetrics:
    """Average each figure over the classes that have it.

    This equals COCO's own mean, which weighs every class with objects the same.
    """
    means: dict[str, Any] = {}
    for field in fields(ClassMetrics):
        known = [v for m in per_class.values() if (v := getattr(m, field.name)) is not None]
        means[field.name] = float(np.mean(known)) if known else None
    boxes = sum(m.boxes for m in per_class.values())
    return DetectionMetrics(**{**means, 'boxes': boxes}, per_class=dict(per_class))


class CocoScorer:
    """Collects the detections of many images and scores them against COCO annotations."""

    def __init__(self, annotations: Path | Mapping[str, Any], class_names: Sequence[str]) -> None:
        """Read the truth.

        Args:
            annotations: COCO annotation file, or its content.
            class_names: lower-case names in the order of the detections' labels.

        Raises:
            DatasetError: if the annotations cannot be read, or name a class that is not in
                `class_names`.
        """
        content = (
            read_annotations(annotations) if isinstance(annotations, Path) else dict(annotations)
        )
        self.class_names = tuple(class_names)
        self._truth = _clean_truth(content, self.class_names)
        self._image_ids = {image['id'] for image in self._truth['images']}
        self._category_ids = _category_ids(content, self.class_names)
        self._found: dict[int, Detections] = {}

    @property
    def image_ids(self) -> tuple[int, ...]:
        """Ids of all annotated images, ascending."""
        return tuple(sorted(self._image_ids))

    @property
    def missing(self) -> int:
        """Number of annotated images that got no `add` yet; they score as if empty."""
        return len(self._image_ids) - len(self._found)

    def add(self, image_id: int, detections: Detections) -> None:
        """Take the boxes of one image, best first, without a score threshold.

        Raises:
            DatasetError: if the image is unknown or was added before, or the detections name
                other classes.
        """
        if image_id not in self._image_ids:
            raise DatasetError(f'image id {image_id}: not in the annotations')
        if image_id in self._found:
            raise DatasetError(f'image id {image_id}: added twice')
        if detections.class_names != self.class_names:
            raise DatasetError(
                f'image id {image_id}: found classes {detections.class_names}, '
                f'expected {self.class_names}'
            )
        self._found[image_id] = detections

    def score(self) -> DetectionMetrics:
        """Score all annotated images; one without detections counts as empty."""
        truth = COCO(self._truth)
        evaluation = COCOeval_faster(truth, truth.loadRes(self._results()), iouType='bbox')
        evaluation.params.maxDets = [1, 10, MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
        # [iou, recall, class, area, maximum] and [iou, class, area, maximum]; keep 100 boxes.
        precision = np.asarray(evaluation.eval['precision'])[..., -1]
        recall = np.asarray(evaluation.eval['recall'])[..., -1]
        boxes = self._boxes_per_class()
        return mean_over_classes(
            {
                name: _class_metrics(precision[:, :, label], recall[:, label], boxes[label])
                for label, name in enumerate(self.class_names)
            }
        )

    def merge(self, other: CocoScorer) -> None:
        """Take the detections that another scorer of the same annotations collected.

        Raises:
            DatasetError: if an image was added to both or is not in these annotations, or the
                classes differ.
        """
        for image_id, detections in other._found.items():
            self.add(image_id, detections)

    def matches(self, thresholds: NDArray[np.float64] = COCO_IOUS) -> MatchTable:
        """Match the boxes of all annotated images, for scores of any part or resampled set."""
        objects = self._truth_by_image()
        nothing = np.zeros((0, 6))
        rows = {image_id: _result_rows(found) for image_id, found in self._found.items()}
        per_class = [
            [
                _match_image(rows.get(i, nothing), objects.get(i, nothing), label, thresholds)
                for i in self.image_ids
            ]
            for label in range(len(self.class_names))
        ]
        return MatchTable.of(self.class_names, self.image_ids, thresholds, per_class)

    def detections(self) -> list[dict[str, Any]]:
        """Return the boxes as COCO results, with the category ids of the annotations.

        Boxes of classes that the annotations do not have are left out: they have no id there.
        """
        return [
            {**row, 'category_id': self._category_ids[row['category_id'] - 1]}
            for row in self._results()
            if row['category_id'] - 1 in self._category_ids
        ]

    def _results(self) -> list[dict[str, Any]]:
        """Return the COCO result rows, images in ascending order of id, category = label + 1."""
        return [
            {
                'image_id': image_id,
                'category_id': int(row[5]) + 1,
                'bbox': row[:4].tolist(),
                'score': float(row[4]),
            }
            for image_id in sorted(self._found)
            for row in _result_rows(self._found[image_id])
        ]

    def _truth_by_image(self) -> dict[int, NDArray[np.float64]]:
        """Return x, y, width, height, ignored, label (N, 6) of every image that has any."""
        rows: dict[int, list[list[float]]] = {}
        for a in self._truth['annotations']:
            row = [*a['bbox'], a['iscrowd'], a['category_id'] - 1]
            rows.setdefault(a['image_id'], []).append(row)
        return {image_id: np.array(values, np.float64) for image_id, values in rows.items()}

    def _boxes_per_class(self) -> list[int]:
        boxes = [0] * len(self.class_names)
        for annotation in self._truth['annotations']:
            if not annotation['iscrowd']:
                boxes[annotation['category_id'] - 1] += 1
        return boxes


def read_annotations(path: Path) -> dict[str, Any]:
    """Read a COCO annotation file.

    Raises:
        DatasetError: if it is missing, is not JSON, or lacks images, annotations or categories.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error
    except ValueError as error:
        raise DatasetError(f'{path}: is not JSON: {error}') from error
    wanted = ('images', 'annotations', 'categories')
    missing = [k for k in wanted if not isinstance(content, dict) or k not in content]
    if missing:
        raise DatasetError(f'{path}: has no {", ".join(missing)}, expected COCO annotations')
    return content


def snake_case(name: str) -> str:
    """Return a category name in lower snake case: `OtherVehicle` becomes `other_vehicle`."""
    words = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name.strip())
    return re.sub(r'[\s_-]+', '_', words).lower()


def category_labels(content: Mapping[str, Any], class_names: Sequence[str]) -> dict[int, int]:
    """Map the category ids of COCO annotations to indices into `class_names`.

    Raises:
        DatasetError: if a category is none of `class_names`.
    """
    names = {category['id']: snake_case(category['name']) for category in content['categories']}
    unknown = sorted({name for name in names.values() if name not in class_names})
    if unknown:
        raise DatasetError(
            f'annotations: unknown categories {", ".join(unknown)}; '
            f'expected some of {", ".join(class_names)}'
        )
    return {id_: class_names.index(name) for id_, name in names.items()}


def is_ignored(annotation: Mapping[str, Any]) -> bool:
    """Tell whether a COCO annotation marks a region to ignore rather than an object."""
    return bool(annotation.get('iscrowd') or annotation.get('ignore'))


def _clean_truth(content: Mapping[str, Any], class_names: Sequence[str]) -> dict[str, Any]:
    """Keep what scoring needs, with category id = label + 1 and annotation ids from 1.

    COCO tools take annotation id 0 for "unmatched", and let `iscrowd: 0` win over `ignore: 1`.
    """
    labels = category_labels(content, class_names)
    annotations = [
        {
            'id': number,
            'image_id': annotation['image_id'],
            'category_id': labels[annotation['category_id']] + 1,
            'bbox': annotation['bbox'],
            'area': annotation.get('area', annotation['bbox'][2] * annotation['bbox'][3]),
            'iscrowd': int(is_ignored(annotation)),
        }
        for number, annotation in enumerate(content['annotations'], start=1)
    ]
    categories = [{'id': i, 'name': name} for i, name in enumerate(class_names, start=1)]
    images = [{'id': image['id']} for image in content['images']]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def _category_ids(content: Mapping[str, Any], class_names: Sequence[str]) -> dict[int, int]:
    """Map labels to the category ids of annotations."""
    return {label: id_ for id_, label in category_labels(content, class_names).items()}


def _result_rows(detections: Detections) -> NDArray[np.float64]:
    """Return x, y, width, height, score, label as (N, 6)."""
    boxes = detections.boxes_xyxy_px.astype(np.float64)
    sizes = boxes[:, 2:] - boxes[:, :2]
    return np.column_stack([boxes[:, :2], sizes, detections.scores, detections.labels])


def _match_image(
    found: NDArray[np.float64],
    truth: NDArray[np.float64],
    label: int,
    thresholds: NDArray[np.float64],
) -> ImageMatches:
    """Match the boxes of one class, rows of `_result_rows`, to rows of `_truth_by_image`."""
    boxes = found[found[:, 5] == label]
    boxes = boxes[np.argsort(-boxes[:, 4], kind='stable')][:MAX_DETECTIONS]
    truth = truth[truth[:, 5] == label]
    ignored = truth[:, 4] > 0
    objects, regions = truth[~ignored, :4], truth[ignored, :4]
    covered = overlaps_xywh(boxes[:, :4], regions, of_boxes=True).max(axis=1, initial=0)
    overlaps = overlaps_xywh(boxes[:, :4], objects)
    verdicts = match_greedily(overlaps, covered, thresholds)
    return ImageMatches(boxes[:, 4], verdicts, len(objects))


def _class_metrics(
    precision: NDArray[np.float64], recall: NDArray[np.float64], boxes: int
) -> ClassMetrics:
    """Reduce precision (iou, recall, area) and recall (iou, area) of one class."""
    by_area = dict(zip(_AREAS, np.moveaxis(precision, -1, 0), strict=True))
    sizes = {
        f'{key}_{area}': _mean(by_area[area][rows])
        for area in _AREAS[1:]
        for key, rows in (('mAP', slice(None)), ('mAP50', _IOU50))
    }
    return ClassMetrics(
        mAP=_mean(by_area['all']),
        mAP50=_mean(by_area['all'][_IOU50]),
        mAP75=_mean(by_area['all'][_IOU75]),
        AR100=_mean(recall[:, 0]),
        boxes=boxes,
        **sizes,
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    """Average, where COCO writes -1 for "no object to be found"."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None
