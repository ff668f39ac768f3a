"""Variation of training samples: geometry that moves everything together, then intensity.

All geometry of a sample (crop, zoom, flips, turn) is one affine map, with a bend after it where
asked for, so that pixels are resampled once and boxes and masks move with exactly the same map.
"""

from __future__ import annotations

from training.augment.colour import jitter_colour
from training.augment.compose import cut_object, paste_object, Patch, quadrants
from training.augment.config import AugmentConfig
from training.augment.cutout import draw_holes
from training.augment.light import vary_light
from training.augment.pairs import dropped_camera, misregistered
from training.augment.thermal import jitter_intensity
from training.augment.views import draw_view, View
from training.augment.warp import (
    warp_boxes,
    warp_flow,
    warp_image,
    warp_mask,
    warp_oriented,
)

__all__ = [
    'AugmentConfig',
    'View',
    'draw_view',
    'warp_image',
    'warp_boxes',
    'warp_oriented',
    'warp_mask',
    'warp_flow',
    'jitter_intensity',
    'vary_light',
    'jitter_colour',
    'draw_holes',
    'dropped_camera',
    'misregistered',
    'quadrants',
    'Patch',
    'cut_object',
    'paste_object',
]
