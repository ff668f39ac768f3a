"""What a box is to the diffusion head: numbers that take noise, a region to look at, deltas.

Upright boxes follow DiffusionDet (Chen et al., arXiv 2211.09788). Oriented ones are ours. An
angle has a seam (a half turn changes nothing), and for a square another one (neither does a
quarter turn, and long and short side change names), so neither noise nor deltas act on it.
They act on the logarithm of the box's shape matrix,

    log(R diag(long, short) R^T) = m I + d [[cos 2a, sin 2a], [sin 2a, -cos 2a]]

with m the mean and d half the difference of the logarithms of the sides, R the turn by the angle
a: three numbers m, d cos 2a, d sin 2a that are free to take any value, always describe exactly one
box, and move a little whenever the box does. For boxes along the axes they are the logarithms of
width and height, which upright deltas change too. Log-Euclidean metric: Arsigny et al., 2006.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
import math
from typing import Literal

import torch
from torch import Tensor

from thermal_perception.models.boxes import cxcywh_to_xyxy
from thermal_perception.models.rotated_boxes import wrap_angle

_SMALLEST = 1e-4  # of a side, relative to the image: a box of no size could never grow
_CENTRE_WEIGHT = 2.0  # how many units of a delta move a box by its own size
_MOST_GROWTH = math.log(100000 / 16)  # of a side in one stage, natural logarithm
_SIZES = math.log(256)  # range of sizes of oriented boxes that noise spans, from the image's down
_ELONGATION = math.log(4)  # sides as much above and below their mean; aspect ratios up to 16
_ROUND = 1e-6  # elongation below which a box has no direction


class BoxCode(ABC):
    """Conversions of one kind of boxes; V values describe one.

    Attributes:
        values: V.
        full_image: V numbers in 0..1 of a box of the whole image's area.
    """

    values: int
    full_image: tuple[float, ...]

    @abstractmethod
    def to_unit(self, boxes: Tensor) -> Tensor:
        """Return (..., V) in 0..1, cut there, that noise is added to, of normalised boxes."""

    @abstractmethod
    def from_unit(self, unit: Tensor) -> Tensor:
        """Return the (..., V) normalised boxes that (..., V) numbers in 0..1 describe."""

    @abstractmethod
    def to_pixels(self, boxes: Tensor, image_sizes: Tensor) -> Tensor:
        """Return (B, N, V) regions in pixels as `pyramid_roi_align` takes them.

        Args:
            boxes: (B, N, V), normalised.
            image_sizes: (B, 2) height and width of the unpadded images, pixels.
        """

    @abstractmethod
    def refine(self, boxes: Tensor, deltas: Tensor, image_sizes: Tensor) -> Tensor:
        """Move, stretch and turn boxes by deltas relative to themselves; zeros change nothing.

        Args:
            boxes: (B, N, V), normalised.
            deltas: (B, N, V).
            image_sizes: (B, 2) height and width of the unpadded images, pixels.

        Returns:
            (B, N, V), normalised.
        """


class UprightCode(BoxCode):
    """Boxes (cx, cy, w, h), relative to width and height of the unpadded image.

    Noise is added to the four values as they are. Deltas move by dx / 2, dy / 2 of the box's own
    size and stretch by e^dw, e^dh. In pixels boxes are corners xyxy.
    """

    values = 4
    full_image = (0.5, 0.5, 1.0, 1.0)

    def to_unit(self, boxes: Tensor) -> Tensor:
        """Cut boxes to the image."""
        return boxes.clamp(0, 1)

    def from_unit(self, unit: Tensor) -> Tensor:
        """Leave no side at zero."""
        centre, size = unit.split(2, dim=-1)
        return torch.cat((centre, size.clamp(min=_SMALLEST)), dim=-1)

    def to_pixels(self, boxes: Tensor, image_sizes: Tensor) -> Tensor:
        """Scale, and turn to corners."""
        return cxcywh_to_xyxy(boxes * image_sizes.flip(-1).repeat(1, 2)[:, None])

    def refine(self, boxes: Tensor, deltas: Tensor, image_sizes: Tensor) -> Tensor:
        """Move and stretch."""
        centre, size = boxes.split(2, dim=-1)
        shift, growth = deltas.split(2, dim=-1)
        centre = centre + shift / _CENTRE_WEIGHT * size
        return torch.cat((centre, size * growth.clamp(max=_MOST_GROWTH).exp()), dim=-1)


class OrientedCode(BoxCode):
    """Boxes (cx, cy, long, short, angle).

    The centre is relative to width and height of the unpadded image, the sides to the square root
    of their product; the angle of the long side is in [-pi/2, pi/2), from x towards y.

    Noise is added to the centre, the size, and the two parts of elongation, for which one half
    stands for none. Deltas are seen in the box's own frame, long side along x, as its features
    are: they move by dx / 2 long sides and dy / 2 short ones, and add [[d_long, d_turn],
    [d_turn, d_short]] to the logarithm of the shape matrix. In pixels boxes are cxcywha.
    """

    values = 5
    full_image = (0.5, 0.5, 1.0, 0.5, 0.5)  # a square: its sides are not known here

    def to_unit(self, boxes: Tensor) -> Tensor:
        """Bring boxes beyond an aspect of 16, or 1/256 of the image's size, into this range."""
        mean, along, across = _log_shape(boxes[..., 2:4], boxes[..., 4])
        turned = torch.stack((along, across), dim=-1) / (2 * _ELONGATION) + 0.5
        size = 1 + mean[..., None] / _SIZES
        return torch.cat((boxes[..., :2], size, turned), dim=-1).clamp(0, 1)

    def from_unit(self, unit: Tensor) -> Tensor:
        """Any five numbers are a box."""
        mean = (unit[..., 2] - 1) * _SIZES
        along, across = ((unit[..., 3:] - 0.5) * (2 * _ELONGATION)).unbind(-1)
        return torch.cat((unit[..., :2], _sides_and_angle(mean, along, across)), dim=-1)

    def to_pixels(self, boxes: Tensor, image_sizes: Tensor) -> Tensor:
        """Scale; the angle stays."""
        side = image_sizes.prod(-1, keepdim=True).sqrt()
        unit = torch.cat((image_sizes.flip(-1), side, side, torch.ones_like(side)), dim=-1)
        return boxes * unit[:, None]

    def refine(self, boxes: Tensor, deltas: Tensor, image_sizes: Tensor) -> Tensor:
        """Move, stretch and turn."""
        deltas = deltas.clamp(-_MOST_GROWTH, _MOST_GROWTH)
        centre = boxes[..., :2] + _shift(boxes, deltas[..., :2] / _CENTRE_WEIGHT, image_sizes)
        shape = _reshaped(boxes[..., 2:4], deltas[..., 2:])
        angle = wrap_angle(boxes[..., 4:] + shape[..., 2:])
        return torch.cat((centre, shape[..., :2], angle), dim=-1)


def make_box_code(boxes: Literal['upright', 'oriented']) -> BoxCode:
    """Return the conversions of one kind of boxes."""
    return OrientedCode() if boxes == 'oriented' else UprightCode()


def _log_shape(sides: Tensor, angle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (...) m, d cos 2a and d sin 2a of (..., 2) sides in any order and (...) angles."""
    long, short = sides.clamp(min=_SMALLEST).log().unbind(-1)
    elongation = (long - short) / 2
    return (
        (long + short) / 2,
        elongation * (2 * angle).cos(),
        elongation * (2 * angle).sin(),
    )


def _reshaped(sides: Tensor, deltas: Tensor) -> Tensor:
    """Return (..., 3) long and short side and turn of boxes (..., 2), of deltas (..., 3)."""
    mean, along, _ = _log_shape(sides, torch.zeros_like(sides[..., 0]))
    d_long, d_short, d_turn = deltas.unbind(-1)
    return _sides_and_angle(mean + (d_long + d_short) / 2, along + (d_long - d_short) / 2, d_turn)


def _sides_and_angle(mean: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """Return (..., 3) long and short side and angle of (...) m, d cos 2a, d sin 2a.

    A square lies along the axes; its gradient with respect to the angle is zero, not infinite.
    """
    square = along.square() + across.square() < _ROUND**2
    along = torch.where(square, _ROUND, along)
    across = torch.where(square, 0.0, across)
    elongation = (along.square() + across.square()).sqrt()
    sides = torch.stack((mean + elongation, mean - elongation), dim=-1).clamp(max=_MOST_GROWTH)
    angle = wrap_angle(torch.atan2(across, along) / 2)
    return torch.cat((sides.exp(), angle[..., None]), dim=-1)


def _shift(boxes: Tensor, own: Tensor, image_sizes: Tensor) -> Tensor:
    """Turn (B, N, 2) steps in units of a box's long and short side into shares of the image."""
    along, across = (own * boxes[..., 2:4]).unbind(-1)
    cos, sin = boxes[..., 4].cos(), boxes[..., 4].sin()
    step = torch.stack((cos * along - sin * across, sin * along + cos * across), dim=-1)
    height, width = image_sizes[:, None].unbind(-1)
    return step * torch.stack(((height / width).sqrt(), (width / height).sqrt()), dim=-1)
