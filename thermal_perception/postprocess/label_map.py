"""Coarse logits of a segmentation network to labels in pixels of the raw image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def label_map(
    logits: Tensor, cell: int, content_size: tuple[int, int], source_size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the best class of every pixel of logits enlarged bilinearly, without enlarging them.

    Between four neighbouring cells that agree on the best class, every pixel has that class: its
    logits are a mean of theirs with positive weights. Only where cells disagree, along the edges
    of objects, are logits interpolated. Where they are equal the first class wins.

    Args:
        logits: (K, h, w) float32 on the CPU, one per cell; cells without image lie right or below.
        cell: side of a cell, an even number of pixels of the network's input.
        content_size: (height, width) of the image in that input, top left.
        source_size: (height, width) of the raw image; another one than `content_size` only where
            a model wants its images resized, and pixels then take the nearest label.

    Returns:
        (height, width) uint8 of the raw image, an array of its own.
    """
    height, width = content_size
    inside = logits[:, : -(-height // cell), : -(-width // cell)]
    between = _Between(F.pad(inside[None], (1, 1, 1, 1), mode='replicate')[0])
    labels = between.agreed(cell)
    between.interpolate(labels, cell)
    # The first cell's corners are half a cell outside the image.
    rows, columns = (slice(cell // 2, cell // 2 + length) for length in content_size)
    cut = np.ascontiguousarray(labels[rows, columns])
    if content_size == source_size:
        return cut
    resized = cv2.resize(cut, source_size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8)


class _Between:
    """The squares between the middles of four neighbouring cells, which they alone decide on."""

    def __init__(self, logits: Tensor) -> None:
        """Find the best class of each cell; logits are (K, h, w)."""
        self._logits = logits
        self._best = _best_class(logits)

    def agreed(self, side: int) -> NDArray[np.uint8]:
        """Return every square filled with the class of its top left corner."""
        corner = self._best[:-1, :-1]
        size = (corner.shape[1] * side, corner.shape[0] * side)  # width, height
        return np.asarray(cv2.resize(corner, size, interpolation=cv2.INTER_NEAREST), np.uint8)

    def interpolate(self, labels: NDArray[np.uint8], side: int) -> None:
        """Label the squares anew, in place, whose corners disagree."""
        best = self._best
        first = best[:-1, :-1]
        mixed = (first != best[:-1, 1:]) | (first != best[1:, :-1]) | (first != best[1:, 1:])
        y, x = mixed.nonzero()
        corners = torch.stack(
            [self._logits[:, y + down, x + right] for down in (0, 1) for right in (0, 1)], -1
        )  # [classes, squares, 4]
        inside = _best_class(corners @ _weights(side))  # [squares, side * side]
        by_square = labels.reshape(first.shape[0], side, first.shape[1], side)
        by_square[y, :, x] = inside.reshape(-1, side, side)


def _best_class(logits: Tensor) -> NDArray[np.uint8]:
    """Return the first of the best classes of each place, of logits (K, ...).

    One class after the other over whole planes takes a sixth of the time of `logits.max(0)`.
    """
    best, *others = logits.numpy()
    label = np.zeros(best.shape, np.uint8)
    for number, plane in enumerate(others, start=1):
        better = (plane > best).view(np.uint8)
        np.maximum(label, better * np.uint8(number), out=label)
        best = np.maximum(best, plane)
    return label


def _weights(side: int) -> Tensor:
    """Return (4, side * side), how much each corner of a square counts in each of its pixels."""
    along = (torch.arange(side) + 0.5) / side
    one = torch.stack((1 - along, along))  # [corner, pixel]
    return torch.einsum('ay,bx->abyx', one, one).reshape(4, side * side)
