"""What several cameras see together: the truth of cooperative perception."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.simulation.actors import CAR, OTHER_VEHICLE
from thermal_perception.simulation.renderer import ground_truth
from thermal_perception.types import Boxes3D

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.simulation.camera import CameraSpec
    from thermal_perception.simulation.scene import Scene

MIN_VISIBILITY = 0.15
MIN_HEIGHT_PX = 8.0


def vehicles_seen(scene: Scene, time_s: float, cameras: Sequence[CameraSpec]) -> Boxes3D:
    """Return the vehicles that at least one camera sees well enough to be asked for.

    That is `MIN_VISIBILITY` of its own outline and `MIN_HEIGHT_PX` of its box.

    Args:
        scene: the world.
        time_s: of the world.
        cameras: at least one.

    Returns:
        Boxes in the base frame; the score is the visible share, from where it is largest.
    """
    seen = [_seen_by(scene, time_s, camera) for camera in cameras]
    boxes = reduce(Boxes3D.joined, seen)
    best_first = boxes.select(np.argsort(-boxes.scores, kind='stable'))
    _, first = np.unique(best_first.track_ids, return_index=True)
    return best_first.select(np.sort(first))


def _seen_by(scene: Scene, time_s: float, camera: CameraSpec) -> Boxes3D:
    truth = ground_truth(scene, time_s, camera)
    boxes, outlines = truth.boxes_3d, truth.detections.boxes_xyxy_px
    good = np.isin(boxes.labels, (CAR, OTHER_VEHICLE)) & (truth.visibility >= MIN_VISIBILITY)
    good &= outlines[:, 3] - outlines[:, 1] >= MIN_HEIGHT_PX
    return replace(boxes, scores=truth.visibility).select(good)
