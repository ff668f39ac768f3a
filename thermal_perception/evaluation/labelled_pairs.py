"""Data sets of registered thermal and colour images with a label image each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.attributes import image_attributes
from thermal_perception.evaluation.coco import read_annotations
from thermal_perception.evaluation.from_files.images import read_label_map
from thermal_perception.evaluation.from_files.partners import find_partners
from thermal_perception.evaluation.image_files import (
    colour_frame,
    decode,
    read_colour_image,
    read_thermal_image,
    thermal_frame,
)
from thermal_perception.evaluation.segmentation import SegmentationScorer
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from pathlib import Path

    from thermal_perception.types import Perception

TREES = (
    'SPLIT.txt, images/ of four channels and labels/ (MFNet); SPLIT/ with thermal/ or ir/, rgb/ '
    'or vi/, and labels/ or Segmentation_labels/ (PST900, MSRS); images/SPLIT, rgb/SPLIT and '
    'labels/SPLIT (simulated)'
)
_THERMAL = ('thermal', 'ir', 'infrared')
_COLOUR = ('rgb', 'vi', 'visible')
_LABELS = ('labels', 'Segmentation_labels', 'masks')


@dataclass(frozen=True)
class LabelledPair:
    """Two images of one moment, registered to each other, and their labels.

    Attributes:
        name: file name of the label image.
        thermal: its file; with four channels it holds colour and thermal, thermal last.
        rgb: its file.
        labels: PNG of class ids, 255 where unknown.
        attributes: light or condition, as far as known.
        unit: what a bootstrap draws: the scene, or the image itself.
    """

    name: str
    thermal: Path
    rgb: Path
    labels: Path
    attributes: Mapping[str, str]
    unit: Hashable

    def frames(self, counts_seed: int | None = None) -> FrameSet:
        """Read both images as the cameras' frames.

        Args:
            counts_seed: places 8-bit thermal images into 14-bit counts; see `place_in_counts`.

        Raises:
            DatasetError: if one cannot be read.
        """
        if self.thermal == self.rgb:
            packed = decode(self.rgb, cv2.IMREAD_UNCHANGED)
            if packed.ndim != 3 or packed.shape[2] != 4:
                raise DatasetError(f'{self.rgb}: found {packed.shape}, expected four channels')
            image, colours = np.ascontiguousarray(packed[..., 3]), packed[..., :3]
        else:
            image = read_thermal_image(self.thermal)
            colours = read_colour_image(self.rgb)
        seed = None if counts_seed is None else (counts_seed, *self.name.encode())
        thermal = thermal_frame(image, frame_id=self.name, counts_seed=seed)
        colours = np.ascontiguousarray(colours)
        return FrameSet(thermal, colour_frame(colours, frame_id=self.name))


def open_labelled_pairs(directory: Path, split: str) -> tuple[LabelledPair, ...]:
    """List the pairs of a split, ordered by name.

    Args:
        directory: arranged as one of `TREES`.
        split: its name; for MFNet that of a list, for example `test_night`.

    Raises:
        DatasetError: if the folder is arranged otherwise, or a file has no partner.
    """
    if (directory / f'{split}.txt').is_file() and (directory / 'labels').is_dir():
        images = directory / 'images'
        return _pairs(images, images, directory / 'labels', names=directory / f'{split}.txt')
    inside, found = directory / split, directory / 'labels' / split
    if any((inside / name).is_dir() for name in _LABELS):
        return _pairs(*(_first(inside, names) for names in (_THERMAL, _COLOUR, _LABELS)))
    if found.is_dir():
        rows = _image_rows(directory / 'annotations' / f'{split}.json')
        return _pairs(directory / 'images' / split, directory / 'rgb' / split, found, rows=rows)
    raise DatasetError(f'{directory}: found no label images of {split!r}, expected {TREES}')


def score_labels(
    pairs: Sequence[LabelledPair],
    perceive: Callable[[FrameSet], Perception],
    class_names: Sequence[str],
    *,
    without: str = '',
    counts_seed: int | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> SegmentationScorer:
    """Run a model over every pair and compare its label maps with the true ones.

    Args:
        pairs: what to look at.
        perceive: gives the label map of two frames.
        class_names: the model's, which are those of the label images.
        without: `thermal` or `rgb`, a camera whose images the model does not get to see.
        counts_seed: see `LabelledPair.frames`.
        tick: called after each pair with the pairs done and in total.

    Raises:
        DatasetError: if an image cannot be read, or the model gives no label map.
        MetricError: if a label image has another size than its pair, or a label that is no class.
    """
    scorer = SegmentationScorer(class_names)
    for done, pair in enumerate(pairs, start=1):
        frames = pair.frames(counts_seed)
        frames = replace(frames, **{without: None}) if without else frames
        mask = perceive(frames).segmentation
        if mask is None:
            raise DatasetError(f'{pair.rgb}: the model gives no label map of it')
        try:
            scorer.add(pair.name, mask.labels, read_label_map(pair.labels))
        except MetricError as error:
            raise MetricError(f'{pair.labels.parent}/{error}') from error
        tick(done, len(pairs))
    return scorer


def _pairs(
    thermal: Path,
    rgb: Path,
    labels: Path,
    *,
    names: Path | None = None,
    rows: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[LabelledPair, ...]:
    partners = find_partners({'thermal': thermal, 'rgb': rgb}, ('labels', labels), names)
    return tuple(
        _pair(files['thermal'], files['rgb'], files['labels'], rows or {})
        for files in partners.rows
    )


def _pair(
    thermal: Path, rgb: Path, labels: Path, rows: Mapping[str, Mapping[str, Any]]
) -> LabelledPair:
    row = rows.get(labels.name, {})
    attributes = image_attributes(labels.name, row)
    unit = row.get('scene_seed', labels.name)
    return LabelledPair(labels.name, thermal, rgb, labels, attributes, unit)


def _image_rows(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return what annotations say of each image, by file name; nothing without annotations."""
    if not path.is_file():
        return {}
    return {row['file_name']: row for row in read_annotations(path)['images']}


def _first(directory: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (directory / name).is_dir():
            return directory / name
    raise DatasetError(f'{directory}: holds no folder {", ".join(names[:-1])} or {names[-1]}')
