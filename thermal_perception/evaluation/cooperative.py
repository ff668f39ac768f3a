"""Scores EMIFF on frames of a vehicle and the roadside, through the code of the robots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.boxes_3d import (
    Boxes3DScorer,
    figure_name,
    Key,
    RULES,
    Rules,
)
from thermal_perception.evaluation.dair import LIDAR
from thermal_perception.perceive.cooperative import (
    OwnView,
    ReceivedView,
    RoadsidePerceiver,
    VehiclePerceiver,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from thermal_perception.evaluation.dair import CooperativeFrame
    from thermal_perception.types import Boxes3D

Cameras = Literal['both', 'ego', 'infra']


@dataclass(frozen=True)
class CooperativeOptions:
    """How frames are seen.

    Attributes:
        cameras: `both`, or the vehicle's or the roadside's alone.
        level: (c, s) of what is sent; None takes the model's middle one.
        score_threshold: of boxes that count.
    """

    cameras: Cameras = 'both'
    level: tuple[int, int] | None = None
    score_threshold: float = 0.05


class CooperativeModel:
    """Both parts of a checkpoint, joined without a link between them."""

    def __init__(self, roadside: RoadsidePerceiver, vehicle: VehiclePerceiver) -> None:
        """Take both parts."""
        self.roadside, self.vehicle = roadside, vehicle

    def __call__(self, frame: CooperativeFrame, options: CooperativeOptions) -> Boxes3D:
        """Find the objects of a frame, in the vehicle's lidar frame."""
        own = received = None
        if options.cameras != 'infra':
            image = _image(frame.ego_image)
            own = OwnView(image, frame.camera('ego', _size(image)), frame.T_camera_lidar)
        if options.cameras != 'ego':
            received = self._received(frame, options)
        found = self.vehicle(
            own,
            received,
            stamp_ns=frame.ego_stamp_ns,
            frame_id=LIDAR,
            score_threshold=options.score_threshold,
        )
        return found.boxes

    def _received(self, frame: CooperativeFrame, options: CooperativeOptions) -> ReceivedView:
        image = _image(frame.infra_image)
        levels = self.roadside.levels
        level = levels[len(levels) // 2] if options.level is None else options.level
        seen = self.roadside(image, frame.camera('infra', _size(image)), level)
        return ReceivedView(
            seen.features,
            level,
            frame.K_infra,
            _size(image),
            seen.resize_factor,
            seen.padded_size,
            frame.T_camera_lidar_infra,
        )


def score_frames(
    model: CooperativeModel,
    frames: Sequence[CooperativeFrame],
    options: CooperativeOptions,
    rules: Rules = RULES,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Boxes3DScorer:
    """Score a model on frames; `tick` is told how many are done, and of how many."""
    scorer = Boxes3DScorer(model.vehicle.class_names, rules)
    for index, frame in enumerate(frames):
        tick(index, len(frames))
        found = model(frame, options)
        truth = replace(frame.truth, class_names=found.class_names)
        scorer.add(frame.name, found, truth)
    return scorer


def to_json(scores: dict[Key, float | None]) -> dict[str, Any]:
    """Return average precisions as `AP3D_50` of all, and nested by view, overlap, band, class."""
    nested: dict[str, Any] = {}
    for key, value in scores.items():
        name = figure_name(key.seen, key.iou)
        nested.setdefault(name, {}).setdefault(key.band, {})[key.class_name] = value
    means = {
        name: _mean(bands['all'].values()) for name, bands in nested.items() if 'all' in bands
    }
    return {**means, 'by_band': nested}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _image(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f'{path}: cannot be read')
    return np.asarray(image, np.uint8)


def _size(image: NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
