"""One training sample, before samples are stacked to a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.models.denoising import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """What one or two cameras show, cut to size, and what is in it.

    Attributes:
        thermal: (h, w) float32 in 0..1.
        boxes_xyxy_px: (N, 4) float32 objects, pixels of the sample.
        labels: (N,) int64.
        rgb: (h, w, 3) float32 in 0..1, R, G, B; None with one camera.
        mask: (h, w) uint8 class ids, 255 where unknown; None without label images.
        missing: camera that has failed, its image is black; None if none has.
        labelled: whether the data set names objects at all; if not, none is known to be absent.
    """

    thermal: NDArray[np.float32]
    boxes_xyxy_px: NDArray[np.float32]
    labels: NDArray[np.int64]
    rgb: NDArray[np.float32] | None = None
    mask: NDArray[np.uint8] | None = None
    missing: Literal['thermal', 'rgb'] | None = None
    labelled: bool = True

    def target(self) -> Target:
        """Return the objects relative to the size of the sample."""
        low, high = self.boxes_xyxy_px[:, :2], self.boxes_xyxy_px[:, 2:]
        height, width = self.thermal.shape
        cxcywh = np.concatenate(((low + high) / 2, high - low), 1)
        norm = (cxcywh / (width, height, width, height)).astype(np.float32)
        return Target(torch.from_numpy(self.labels), torch.from_numpy(norm))
