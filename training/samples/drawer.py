"""From the images of data sets to one augmented sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.image_files import place_in_counts, thermal_frame
from training.augment import (
    cut_object,
    draw_holes,
    draw_view,
    dropped_camera,
    jitter_colour,
    jitter_intensity,
    misregistered,
    paste_object,
    quadrants,
    vary_light,
    View,
    warp_boxes,
    warp_image,
    warp_mask,
)
from training.augment.warp import UNKNOWN
from training.samples.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.preprocess import Preprocess
    from thermal_perception.types import Frame
    from training.augment import AugmentConfig
    from training.augment.cutout import Hole
    from training.datasets import DataFolder, DatasetConfig, Record

_BLANK = 0.35  # grey level of wiped-out ignore regions


class SampleDrawer:
    """Draws samples from several folders with the same kinds of pictures."""

    def __init__(
        self, folders: Sequence[DataFolder], augment: AugmentConfig, preprocess: Preprocess
    ) -> None:
        """Count how rare each class is.

        Raises:
            ConfigError: if what is asked for needs other pictures than the folders have.
        """
        self.folders, self.augment, self.preprocess = folders, augment, preprocess
        _check(augment, folders[0])
        counts = np.zeros(len(folders[0].class_names))
        for folder in folders:
            for record in folder.records:
                counts += np.bincount(record.labels, minlength=len(counts))
        self._focus = 1.0 / np.sqrt(np.maximum(counts, 1.0))
        self._objects: dict[int, NDArray[np.int64]] = {}

    def draw(self, pair: tuple[int, int], rng: np.random.Generator) -> Sample:
        """Return an augmented sample of a (folder, image) pair."""
        config = _augment_for(self.folders[pair[0]].config, self.augment)
        composed = config.mosaic and rng.random() < config.mosaic
        drawn = self._mosaic(pair, config, rng) if composed else self._crop(pair, config, rng)
        if config.paste and rng.random() < config.paste:
            drawn = self._paste(drawn, pair[0], config, rng)
        _cut_out(drawn, draw_holes(config, drawn.thermal.shape, rng))
        drawn = replace(drawn, thermal=jitter_intensity(drawn.thermal, config, rng))
        if drawn.rgb is None:
            return drawn
        lit = vary_light(drawn.rgb, config, rng)
        drawn = replace(drawn, rgb=jitter_colour(lit, config, rng))
        return _without(drawn, dropped_camera(config, rng))

    def _crop(
        self, pair: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
    ) -> Sample:
        folder = self.folders[pair[0]]
        found = folder.draw(pair[1])
        record, size = found.record, found.thermal.size
        image = self._to_unit(found.thermal, rng)
        weights = self._focus[record.labels]
        view = draw_view(config, size, record.boxes_xyxy_px, weights, rng)
        crop = warp_image(image, *view)
        rgb = None if found.rgb is None else _colour_crop(found.rgb, size, view, config, rng)
        mask = None if found.mask is None else warp_mask(found.mask, *view)
        # A label image says of every pixel what it is; without, what has no verdict is wiped out.
        wiped = (crop, rgb) if mask is None else ()
        boxes, labels = _move_objects(record, view, config.min_visible, wiped)
        return Sample(crop, boxes, labels, rgb, mask, labelled=folder.labelled)

    def _mosaic(
        self, pair: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
    ) -> Sample:
        """Put a sample together of four images of one folder."""
        if config.crop_size is None:
            raise ConfigError('augment.mosaic: found whole images, expected a crop_size')
        others = rng.integers(len(self.folders[pair[0]]), size=3)
        pairs = [pair, *((pair[0], int(other)) for other in others)]
        parts = quadrants(config.crop_size, rng)
        drawn = [
            self._crop(chosen, replace(config, crop_size=part.size), rng)
            for chosen, part in zip(pairs, parts)
        ]
        corners = [np.array([p.x, p.y, p.x, p.y], np.float32) for p in parts]
        return Sample(
            _joined([d.thermal for d in drawn]),
            np.concatenate([d.boxes_xyxy_px + corner for d, corner in zip(drawn, corners)]),
            np.concatenate([d.labels for d in drawn]),
            _joined([d.rgb for d in drawn if d.rgb is not None]),
            _joined([d.mask for d in drawn if d.mask is not None]),
            labelled=drawn[0].labelled,
        )

    def _paste(
        self, drawn: Sample, number: int, config: AugmentConfig, rng: np.random.Generator
    ) -> Sample:
        """Paste in an object of a rare class, if one can be cut out and there is room for it."""
        chosen = self._rare_object(number, rng)
        if chosen is None:
            return drawn
        index, place = chosen
        found = self.folders[number].draw(index)
        boxes, labels = found.record.boxes_xyxy_px, found.record.labels
        if place >= len(labels):
            return drawn  # another image took the place of an unreadable one
        zoom = float(np.exp(rng.uniform(*np.log(config.zoom))))
        patch = cut_object(self._to_unit(found.thermal, rng), boxes, place, zoom)
        box = paste_object(drawn.thermal, drawn.boxes_xyxy_px, patch, rng) if patch else None
        if box is None:
            return drawn
        return replace(
            drawn,
            boxes_xyxy_px=np.concatenate((drawn.boxes_xyxy_px, box[None])),
            labels=np.append(drawn.labels, labels[place]),
        )

    def _rare_object(self, number: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """Draw image and object of a folder, each class as likely as it is rare."""
        if number not in self._objects:
            records = self.folders[number].records
            found = [(i, p, c) for i, r in enumerate(records) for p, c in enumerate(r.labels)]
            self._objects[number] = np.array(found, np.int64).reshape(-1, 3)
        rows = self._objects[number]
        if not len(rows):
            return None
        # One over the square of how many there are here: what another folder has plenty of may
        # be rare in this one.
        weights = 1.0 / np.bincount(rows[:, 2])[rows[:, 2]] ** 2
        index, place, _ = rows[rng.choice(len(rows), p=weights / weights.sum())]
        return int(index), int(place)

    def _to_unit(self, frame: Frame, rng: np.random.Generator) -> NDArray[np.float32]:
        deepen = rng.random() < self.augment.deep
        if deepen and frame.image.dtype == np.uint8:
            counts = place_in_counts(frame.image, tuple(rng.integers(2**31, size=2)))
            frame = thermal_frame(counts, valid_bits=14, frame_id=frame.frame_id)
        return self.preprocess.thermal(frame)


def _check(augment: AugmentConfig, folder: DataFolder) -> None:
    if augment.paste and len(folder.pictures) > 1:
        kinds = ' and '.join(folder.pictures)
        raise ConfigError(f'augment.paste: found {kinds} images, expected thermal ones alone')
    if augment.cutout and 'mask' not in folder.pictures:
        raise ConfigError(
            'augment.cutout: found no label images, expected some: nothing says which boxes are '
            'cut out'
        )


def _augment_for(dataset: DatasetConfig, config: AugmentConfig) -> AugmentConfig:
    return replace(
        config,
        vertical_flip=dataset.vertical_flip or config.vertical_flip,
        zoom=dataset.zoom or config.zoom,
    )


def _colour_crop(
    frame: Frame,
    thermal_size: tuple[int, int],
    view: View,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Show what the colour camera saw through the same view, not quite in register."""
    image = frame.image[..., ::-1].astype(np.float32) / np.float32(255)
    matrix = misregistered(view.matrix, view.size, config, rng)
    stretch = np.diag(np.divide(thermal_size, frame.size)[::-1])  # its pixels may be smaller
    matrix = np.column_stack((matrix[:, :2] @ stretch, matrix[:, 2]))
    return warp_image(image, matrix, view.size, view.bend)


def _move_objects(
    record: Record,
    view: View,
    min_visible: float,
    wiped: Sequence[NDArray[np.float32] | None],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return boxes and labels left in the crop; wipe ignore regions and slivers out of images."""
    boxes, visible = warp_boxes(record.boxes_xyxy_px, *view)
    keep = (visible >= min_visible) & ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1)
    ignored, _ = warp_boxes(record.ignore_xyxy_px, *view)
    for x1, y1, x2, y2 in np.concatenate((ignored, boxes[~keep & (visible > 0)])).round():
        for image in wiped:
            if image is not None:
                image[int(y1) : int(y2), int(x1) : int(x2)] = _BLANK
    return boxes[keep], record.labels[keep]


def _cut_out(sample: Sample, holes: Sequence[Hole]) -> None:
    """Blacken rectangles of the images in place; label images do not know what is there."""
    for hole in holes:
        sample.thermal[hole] = 0
        if sample.rgb is not None:
            sample.rgb[hole] = 0
        if sample.mask is not None:
            sample.mask[hole] = UNKNOWN


def _joined(quarters: list[NDArray[Any]]) -> Any:
    """Join top left, top right, bottom left and bottom right; None if there are none."""
    if not quarters:
        return None
    rows = [np.concatenate(quarters[i : i + 2], axis=1) for i in (0, 2)]
    return np.concatenate(rows, axis=0)


def _without(sample: Sample, camera: Any) -> Sample:
    """Blacken the image of a camera that has failed."""
    if camera is None:
        return sample
    return replace(sample, **{camera: np.zeros_like(getattr(sample, camera))}, missing=camera)
