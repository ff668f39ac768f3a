"""Samples stacked to tensors."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import numpy as np
import torch

from training.augment.warp import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.models.denoising import Target
    from thermal_perception.preprocess import PreprocessConfig
    from training.samples.sample import Sample


class Batch(NamedTuple):
    """Training input.

    Attributes:
        thermal: (B, 1, H, W) float32 in 0..1.
        padding: (B, H, W) bool, True where padded; None if all images have one size.
        targets: one per image, relative to its unpadded size.
        rgb: (B, 3, H, W) float32 in 0..1, R, G, B; None with one camera.
        masks: (B, H, W) uint8 class ids, 255 where unknown or padded; None without label images.
        present: (B, 2) bool, whether the thermal and the colour camera are there; None with one
            camera.
        labelled: (B,) bool, whether the image's objects are known; None if all are.
    """

    thermal: Tensor
    padding: Tensor | None
    targets: list[Target]
    rgb: Tensor | None = None
    masks: Tensor | None = None
    present: Tensor | None = None
    labelled: Tensor | None = None


def collate(samples: Sequence[Sample], config: PreprocessConfig) -> Batch:
    """Stack samples, padded right and bottom to the largest, rounded up as on the robot."""
    sizes = [sample.thermal.shape for sample in samples]
    size = config.padded((max(h for h, _ in sizes), max(w for _, w in sizes)))
    thermal = torch.from_numpy(_stack([s.thermal[None] for s in samples], size, 0))
    padding = torch.ones((len(samples), *size), dtype=torch.bool)
    for row, (height, width) in zip(padding, sizes):
        row[:height, :width] = False
    rgb = [s.rgb.transpose(2, 0, 1) for s in samples if s.rgb is not None]
    masks = [s.mask for s in samples if s.mask is not None]
    labelled = torch.tensor([s.labelled for s in samples])
    return Batch(
        thermal,
        padding if bool(padding.any()) else None,
        [sample.target() for sample in samples],
        torch.from_numpy(_stack(rgb, size, 0)) if rgb else None,
        torch.from_numpy(_stack(masks, size, UNKNOWN)) if masks else None,
        _present(samples) if rgb else None,
        None if bool(labelled.all()) else labelled,
    )


def _present(samples: Sequence[Sample]) -> Tensor:
    return torch.tensor([[s.missing != 'thermal', s.missing != 'rgb'] for s in samples])


def _stack(
    arrays: Sequence[NDArray[np.generic]], size: tuple[int, int], blank: int
) -> NDArray[np.generic]:
    """Put (..., h, w) arrays of one kind into the top left corner of blank ones of `size`."""
    shape = (len(arrays), *arrays[0].shape[:-2], *size)
    stacked = np.full(shape, blank, arrays[0].dtype)
    for row, array in zip(stacked, arrays):
        row[..., : array.shape[-2], : array.shape[-1]] = array
    return stacked
