"""Logits of every pixel to labels in pixels of the raw image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def top_labels(logits: Tensor) -> Tensor:
    """Return the best class of every pixel, (B, H, W) uint8, of logits (B, K, H, W).

    To be called with logits enlarged to the size of the image. Enlarging labels instead is cheaper
    but shows every edge as stairs of the network's cells: with cells of 8 pixels, every tenth
    pixel of a busy image gets another class.
    """
    # An argmax over the channels of a contiguous tensor takes ten times as long.
    return logits.max(1).indices.to(torch.uint8)


def label_map(
    labels: Tensor, content_size: tuple[int, int], source_size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Cut padding away, and bring labels to the size of the raw image.

    Args:
        labels: (H, W) uint8 of one padded image.
        content_size: (height, width) of the image in it, top left.
        source_size: (height, width) of the raw image; another one than `content_size` only where
            a model wants its images resized, and pixels then take the nearest label.

    Returns:
        (height, width) uint8 of the raw image, an array of its own.
    """
    height, width = content_size
    cut = np.ascontiguousarray(labels[:height, :width].numpy())
    if content_size == source_size:
        return cut
    resized = cv2.resize(cut, source_size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8)
