"""How frames of a vehicle and the roadside are varied, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CooperativeAugmentConfig:
    """How frames are varied.

    Attributes:
        delays: roadside images up to so many earlier are taken, where there are.
        flip: share of the samples that are mirrored, images and scene alike.
        zoom: both images are scaled by a factor in this range, about their first pixel.
        gain: brightness factor, drawn for each image.
        gamma: exponent, drawn for each image.
        pose_noise_m: standard deviation of the roadside pose along x and y.
        pose_noise_deg: standard deviation of its heading.
    """

    delays: int = 2
    flip: float = 0.5
    zoom: tuple[float, float] = (0.95, 1.05)
    gain: tuple[float, float] = (0.75, 1.3)
    gamma: tuple[float, float] = (0.75, 1.3)
    pose_noise_m: float = 0.1
    pose_noise_deg: float = 0.2
