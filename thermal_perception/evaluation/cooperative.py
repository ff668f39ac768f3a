"""Scores EMIFF on frames of a vehicle and the roadside, through the code of the robots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TYPE_CHECKING, TypeVar

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
from thermal_perception.evaluation.disturbance import Disturbance, UNDISTURBED
from thermal_perception.geometry.transforms import compose
from thermal_perception.perceive.cooperative import (
    OwnView,
    ReceivedView,
    RoadsidePerceiver,
    RoadsideView,
    VehiclePerceiver,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from thermal_perception.evaluation.dair import CooperativeFrame
    from thermal_perception.types import Boxes3D

Cameras = Literal['both', 'ego', 'infra', 'late']
_Made = TypeVar('_Made')


@dataclass(frozen=True)
class CooperativeOptions:
    """How frames are seen.

    Attributes:
        cameras: `both`, or the vehicle's or the roadside's alone; `late` joins the boxes that
            either of them finds alone.
        level: (c, s) of what is sent; None takes the model's middle one.
        score_threshold: of boxes that count.
        disturbance: of what comes from the roadside.
    """

    cameras: Cameras = 'both'
    level: tuple[int, int] | None = None
    score_threshold: float = 0.05
    disturbance: Disturbance = UNDISTURBED


class CooperativeModel:
    """Both parts of a checkpoint, joined without a link between them."""

    def __init__(
        self, roadside: RoadsidePerceiver, vehicle: VehiclePerceiver, *, remember: bool = False
    ) -> None:
        """Take both parts.

        Args:
            roadside: one part.
            vehicle: the other part.
            remember: do not compute again what was asked for before, at the cost of memory.
        """
        self.roadside, self.vehicle = roadside, vehicle
        self._known: dict[tuple[object, ...], Any] | None = {} if remember else None

    def __call__(self, frame: CooperativeFrame, options: CooperativeOptions) -> Boxes3D:
        """Find the objects of a frame, in the vehicle's lidar frame."""
        cameras = options.cameras
        threshold = options.score_threshold
        if cameras == 'ego':
            return self._of_ego(frame, threshold)
        if options.disturbance.loses(frame):
            nothing = frame.truth.select(np.zeros(len(frame.truth), bool))
            return nothing if cameras == 'infra' else self._of_ego(frame, threshold)
        if cameras == 'late':
            alone = self._with_roadside(frame, replace(options, cameras='infra'))
            return self.vehicle.merged(self._of_ego(frame, threshold), alone)
        return self._with_roadside(frame, options)

    def _of_ego(self, frame: CooperativeFrame, threshold: float) -> Boxes3D:
        return self._once(
            ('ego', frame.name, threshold), lambda: self._find(frame, _own(frame), None, threshold)
        )

    def _with_roadside(self, frame: CooperativeFrame, options: CooperativeOptions) -> Boxes3D:
        """Find with what the roadside sent; the vehicle's own image is used for `both`."""
        levels = self.roadside.levels
        level = levels[len(levels) // 2] if options.level is None else options.level
        T_camera_world = options.disturbance.T_camera_world(frame)
        threshold = options.score_threshold
        of = (frame.name, frame.infra_image, level)
        return self._once(
            (options.cameras, *of, T_camera_world.tobytes(), threshold),
            lambda: self._find(
                frame,
                _own(frame) if options.cameras == 'both' else None,
                self._received(frame, level, compose(T_camera_world, frame.T_world_lidar)),
                threshold,
            ),
        )

    def _find(
        self,
        frame: CooperativeFrame,
        own: OwnView | None,
        received: ReceivedView | None,
        threshold: float,
    ) -> Boxes3D:
        return self.vehicle(
            own,
            received,
            stamp_ns=frame.ego_stamp_ns,
            frame_id=LIDAR,
            score_threshold=threshold,
        ).boxes

    def _received(
        self, frame: CooperativeFrame, level: tuple[int, int], T_camera_lidar: NDArray[np.float64]
    ) -> ReceivedView:
        size, seen = self._once(
            ('roadside', frame.infra_image, level), lambda: self._sent(frame, level)
        )
        return ReceivedView(
            seen.features,
            level,
            frame.K_infra,
            size,
            seen.resize_factor,
            seen.padded_size,
            T_camera_lidar,
        )

    def _sent(
        self, frame: CooperativeFrame, level: tuple[int, int]
    ) -> tuple[tuple[int, int], RoadsideView]:
        """Return the size of the roadside's image, and what the roadside makes of it."""
        image = _image(frame.infra_image)
        size = _size(image)
        return size, self.roadside(image, frame.camera('infra', size), level)

    def _once(self, key: tuple[object, ...], make: Callable[[], _Made]) -> _Made:
        """Return what was made of this before, if it is remembered."""
        if self._known is None:
            return make()
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


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


def _own(frame: CooperativeFrame) -> OwnView:
    image = _image(frame.ego_image)
    return OwnView(image, frame.camera('ego', _size(image)), frame.T_camera_lidar)


def _image(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f'{path}: cannot be read')
    return np.asarray(image, np.uint8)


def _size(image: NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
