"""Networks of few lines that another process can import."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class Part(NamedTuple):
    """A part of an output."""

    mean: torch.Tensor
    nothing: None


class Output(NamedTuple):
    """An output with a part that may be left out."""

    doubled: torch.Tensor
    part: Part | None


class Doubles(nn.Module):
    """Adds up the images it is given, twice; `part` asks for their mean."""

    def forward(self, first, second, padding=None, *, part=True):
        """Return the sum of (B, C, H, W) images, zero where padded."""
        there = [x for x in (first, second) if x is not None]
        total = 2 * sum(there)
        if padding is not None:
            total = total.masked_fill(padding[:, None], 0.0)
        return Output(total, Part(total.mean((2, 3)), None) if part else None)


class DependsOnValues(nn.Module):
    """Does one thing or another by the numbers it sees, which no compiler can foresee."""

    def forward(self, image):
        """Return twice or three times the image."""
        return image * 2 if image.mean() > 0 else image * 3


def part_of(output):
    """Select the part."""
    return output.part
