"""Shade that stands still, painted into the ground map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation.terrain import BUILDING, VEGETATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.simulation.actors import Actor
    from thermal_perception.simulation.terrain import GroundPainter


def paint_shade(painter: GroundPainter, built: Sequence[Actor]) -> None:
    """Shade of trees and walls, turned away from the sun; at night trees keep the ground warm."""
    climate = painter.climate
    sun = climate.sun_direction
    dark = -0.15 * climate.condition.sunlight
    shift = -sun[:2] / max(sun[2], 0.45) if sun[2] > 0 else np.zeros(2)
    for actor in built:
        if actor.semantic == VEGETATION and actor.size_m[2] > 3.0:
            pose = actor.motion.pose(0.0)
            centre = np.array([pose.x, pose.y]) + shift * 0.65 * actor.size_m[2]
            radius = 0.42 * float(actor.size_m[:2].mean())
            angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
            wobble = radius * (1 + 0.2 * np.sin(3 * angles + pose.x))
            ring = np.stack([np.cos(angles), np.sin(angles)], 1) * wobble[:, None]
            painter.warm(centre + ring, 0.8 * climate.shadow_k, soft_m=0.5)
            painter.brighten(centre + ring, dark)
        elif actor.semantic == BUILDING and sun[2] > 0:
            painter.warm(_cast(actor, shift), climate.shadow_k, soft_m=0.4)
            painter.brighten(_cast(actor, shift), dark)


def _cast(actor: Actor, shift: NDArray[np.floating]) -> NDArray[np.floating]:
    """Outline of a building's shadow: its footprint, and the same moved by its height."""
    pose = actor.motion.pose(0.0)
    (x0, y0, _), (x1, y1, top) = actor.low_m, actor.high_m
    c, s = np.cos(pose.yaw), np.sin(pose.yaw)
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    corners = corners @ np.array([[c, s], [-s, c]]) + (pose.x, pose.y)
    both = np.concatenate([corners, corners + shift * top]).astype(np.float32)
    return np.asarray(cv2.convexHull(both)[:, 0], np.float32)
