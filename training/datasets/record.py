"""The one record that every data set becomes, and what is found wrong on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.evaluation.image_names import Attributes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.datasets.pictures import Picture

ProblemKind = Literal[
    'unreadable image',
    'image missing',
    'broken label',
    'label missing',
    'unknown class',
    'box without area',
    'box outside the image',
    'mask of another size',
    'mask with unknown ids',
    'image without its pair',
]

ANY_CLASS = -1
"""Label of an ignore region in which no class is judged."""


NO_ATTRIBUTES = Attributes()


@dataclass(frozen=True)
class Problem:
    """Something on disk that cannot be used.

    Attributes:
        path: the file at fault.
        kind: short stable name, to count by.
        detail: what was found and what was expected.
    """

    path: Path
    kind: ProblemKind
    detail: str

    def __str__(self) -> str:
        """Return one line for a log."""
        return f'{self.path}: {self.kind}: {self.detail}'


@dataclass(frozen=True, eq=False)
class Record:
    """One image, or pair of images, with everything known about it.

    Boxes and masks are in pixels of the leading image: the thermal one, or the colour one where
    there is no other. Nothing is decoded until a picture's `read` is called.

    Attributes:
        image_id: positive number, unique within its data set and split.
        name: name of the leading image without its suffix.
        thermal: thermal image, if there is one.
        rgb: colour image, if there is one.
        boxes_xyxy_px: (N, 4) float32 objects; a box may reach over the border.
        labels: (N,) int64 indices into the class names.
        ignore_xyxy_px: (M, 4) float32 regions without a verdict.
        ignore_labels: (M,) int64 class that is not judged there, -1 for every class.
        oriented_cxcywha: (N, 5) float32 centre, long side, short side (pixels) and angle
            (radians in -pi/2..pi/2, from the x axis towards y) of each object; None where boxes
            are upright. `boxes_xyxy_px` is then their upright hull.
        mask: label image with class ids, 255 where unknown; None if there is none.
        attributes: light, altitude, camera angle.
    """

    image_id: int
    name: str
    thermal: Picture | None
    rgb: Picture | None
    boxes_xyxy_px: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore_xyxy_px: NDArray[np.float32]
    ignore_labels: NDArray[np.int64]
    oriented_cxcywha: NDArray[np.float32] | None = None
    mask: Picture | None = None
    attributes: Attributes = NO_ATTRIBUTES

    @property
    def leader(self) -> Picture:
        """The image that boxes and masks belong to."""
        leader = self.thermal or self.rgb
        assert leader is not None  # readers make no record without an image
        return leader

    @property
    def path(self) -> Path:
        """File of the leading image."""
        return self.leader.path
