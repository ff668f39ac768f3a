"""COCO-style data sets on disk: `DIR/images/SPLIT` and `DIR/annotations/SPLIT.json`.

Colour images registered to the thermal ones lie in `DIR/rgb/SPLIT`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import (
    category_labels,
    CocoScorer,
    is_ignored,
    read_annotations,
    snake_case,
)
from thermal_perception.evaluation.image_files import (
    colour_frame,
    read_colour_image,
    read_thermal_image,
    thermal_frame,
)
from thermal_perception.types import Detections, FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from thermal_perception.types import Modality, Perception

_THERMAL: tuple[Modality, ...] = ('thermal',)


@dataclass(frozen=True)
class CocoSplit:
    """One split of a data set.

    Attributes:
        annotations: content of the annotation file.
        images: (image id, thermal file) in the order of the annotation file.
        colours: folder of registered colour images of the same names; None if there is none.
    """

    annotations: Mapping[str, Any]
    images: tuple[tuple[int, Path], ...]
    colours: Path | None = None

    def frames(
        self, image_id: int, path: Path, cameras: Collection[Modality], counts_seed: int | None
    ) -> FrameSet:
        """Read what the cameras saw.

        Args:
            image_id: of one of `images`.
            path: of the same.
            cameras: whose images to read, at least one.
            counts_seed: places 8-bit thermal images into 14-bit counts, with a seed made of this
                one and the image id.

        Raises:
            DatasetError: if an image cannot be read, or there are no colour images.
        """
        thermal = rgb = None
        if 'thermal' in cameras:
            seed = None if counts_seed is None else (counts_seed, image_id)
            image = read_thermal_image(path)
            thermal = thermal_frame(image, frame_id=path.name, counts_seed=seed)
        if 'rgb' in cameras:
            if self.colours is None:
                split = path.parent.name
                raise DatasetError(f'{path.parent}: found no rgb/{split} beside images/{split}')
            rgb = colour_frame(read_colour_image(self.colours / path.name), frame_id=path.name)
        return FrameSet(thermal, rgb)


def open_split(dataset: Path, split: str) -> CocoSplit:
    """Find annotations and thermal images, and colour images in `rgb/SPLIT` if there are any.

    Raises:
        DatasetError: if the annotations or an image file are missing.
    """
    annotations = read_annotations(dataset / 'annotations' / f'{split}.json')
    folder = dataset / 'images' / split
    images = tuple((i['id'], folder / i['file_name']) for i in annotations['images'])
    missing = [path for _, path in images if not path.is_file()]
    if missing:
        raise DatasetError(
            f'{folder}: {len(missing)} of {len(images)} annotated images are missing, '
            f'the first is {missing[0].name}'
        )
    if not images:
        raise DatasetError(f'{folder}: the annotations name no image')
    colours = dataset / 'rgb' / split
    return CocoSplit(annotations, images, colours if colours.is_dir() else None)


def read_objects(path: Path, files: Sequence[Path]) -> dict[str, Detections]:
    """Read COCO annotations by the name of the image file.

    Returns:
        For each of `files` that is annotated, its objects. The scores are the visible fractions:
        1 for an object, 0 for a region to ignore.

    Raises:
        DatasetError: if the annotations cannot be read or name none of the files.
    """
    content = read_annotations(path)
    class_names = tuple(dict.fromkeys(snake_case(c['name']) for c in content['categories']))
    labels = category_labels(content, class_names)
    wanted = {file.name for file in files}
    images = {i['id']: i for i in content['images'] if Path(i['file_name']).name in wanted}
    if not images:
        raise DatasetError(
            f'{path}: names none of the {len(files)} images, the first of which is {files[0].name}'
        )
    by_image: dict[int, list[Mapping[str, Any]]] = {id_: [] for id_ in images}
    for annotation in content['annotations']:
        if annotation['image_id'] in by_image:
            by_image[annotation['image_id']].append(annotation)
    return {
        Path(images[id_]['file_name']).name: _truth_of(rows, labels, class_names)
        for id_, rows in by_image.items()
    }


def _truth_of(
    annotations: Sequence[Mapping[str, Any]],
    labels: Mapping[int, int],
    class_names: tuple[str, ...],
) -> Detections:
    boxes = np.asarray([a['bbox'] for a in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # x, y, width, height -> corners
    return Detections(
        boxes.astype(np.float32),
        np.asarray([0.0 if is_ignored(a) else 1.0 for a in annotations], np.float32),
        np.asarray([labels[a['category_id']] for a in annotations], np.int64),
        class_names,
        stamp_ns=0,
        frame_id='',
        image_size=(0, 0),
    )


def detect_split(
    split: CocoSplit,
    perceive: Callable[[FrameSet], Perception],
    class_names: Sequence[str],
    *,
    cameras: Collection[Modality] = _THERMAL,
    counts_seed: int | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> CocoScorer:
    """Run a model over every image of a split and collect what it finds.

    Args:
        split: images and truth.
        perceive: gives the unthresholded detections of one moment.
        class_names: the model's classes.
        cameras: whose images the model gets to see.
        counts_seed: see `CocoSplit.frames`.
        tick: called after each image with the images done and in total.

    Raises:
        DatasetError: if an image cannot be read, or the truth names a class that the model does
            not know.
    """
    scorer = CocoScorer(split.annotations, class_names)
    for done, (image_id, path) in enumerate(split.images, start=1):
        frames = split.frames(image_id, path, cameras, counts_seed)
        scorer.add(image_id, perceive(frames).detections)
        tick(done, len(split.images))
    return scorer
