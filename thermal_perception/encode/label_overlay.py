"""Paint a label map over an image: numpy and OpenCV, no ROS."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.class_sets import background_label, bright_colours_of
from thermal_perception.encode.overlay import to_display, to_encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import SegmentationMask

_LABELS = 256  # that 8 bits can tell apart


class LabelPainter:
    """Paints classes in their colours; keeps the table of colours from frame to frame.

    Attributes:
        class_names: names in label order.
    """

    def __init__(self, class_names: Sequence[str], *, opacity: float = 0.5) -> None:
        """Choose the colours.

        Args:
            class_names: names in label order, painted in `bright_colours_of`; the background is
                not painted.
            opacity: how much of the image a class hides, 0..1.
        """
        self.class_names = tuple(class_names)
        self._opacity = opacity
        self._background = background_label(class_names)
        rgb = np.array(bright_colours_of(class_names)).reshape(-1, 3)
        self._colours = np.zeros((_LABELS, 1, 3), np.uint8)  # B, G, R by label
        self._colours[: len(rgb), 0] = rgb[:, ::-1]

    def paint(self, image: NDArray[Any], mask: SegmentationMask) -> NDArray[np.uint8]:
        """Paint a label map over the image it belongs to.

        Args:
            image: (H, W, 3) uint8 BGR, or thermal (H, W) as `to_display` takes it.
            mask: labels (H, W) of that image.

        Returns:
            (H, W, 3) uint8 BGR, a new array.

        Raises:
            ValueError: if the sizes differ.
        """
        if image.shape[:2] != mask.labels.shape:
            raise ValueError(
                f'LabelPainter: found an image {image.shape[:2]} and labels {mask.labels.shape}, '
                'expected one size'
            )
        below = image if image.ndim == 3 else to_encoding(to_display(image), 'bgr8')
        colours: Any = cv2.applyColorMap(mask.labels, self._colours)
        painted: Any = cv2.addWeighted(below, 1 - self._opacity, colours, self._opacity, 0)
        if self._background is not None:
            bare: Any = cv2.compare(mask.labels, self._background, cv2.CMP_EQ)
            cv2.copyTo(below, bare, painted)
        return np.asarray(painted, np.uint8)
