"""Draw labelled 3D boxes of KITTI and nuScenes on their pictures, as our conventions put them.

    python benchmarks/box_sheet.py DATA OUTPUT.png

DATA holds `kitti_000008/` and `nuscenes_mini_keyframe/`, see `sample_frames.py`. Fronts are orange
and crossed, so that a box turned round is seen too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
from sample_frames import kitti_sample, nuscenes_sample

from thermal_perception.geometry import Camera, corners_3d, transform_points

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sample_frames import View

    from thermal_perception.types import Boxes3D

    Image = NDArray[np.uint8]

WIDTH = 1860
ROWS = (
    ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT'),
    ('CAM_BACK_RIGHT', 'CAM_BACK', 'CAM_BACK_LEFT'),
)
SIDES = ((1, 2), (2, 3), (3, 0), (5, 6), (6, 7), (7, 4), (2, 6), (3, 7))
FRONT = ((0, 1), (1, 5), (5, 4), (4, 0), (0, 5), (1, 4))
GREEN, ORANGE = (80, 220, 80), (30, 140, 255)  # B, G, R
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
_NEAR_M = 0.1
_FAR_PX = 2.0**13
_SHIFT = 4  # fractional bits of drawn coordinates


def picture(view: View, boxes: Boxes3D, width: int) -> Image:
    """Return the image of a view at a width, with the boxes in front of its camera."""
    image = cv2.imread(str(view.image))
    height = round(width * image.shape[0] / image.shape[1])
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    camera = view.camera.resized((height, width))
    corners = transform_points(view.T_camera_boxes, corners_3d(boxes).reshape(-1, 3))
    corners = corners.reshape(-1, 8, 3)
    for box in corners[np.argsort(-corners[:, :, 2].mean(1))]:  # near ones on top
        draw_lines(image, camera, box[SIDES, :], GREEN)
        draw_lines(image, camera, box[FRONT, :], ORANGE)
    cv2.rectangle(image, (0, 0), (190, 30), BLACK, cv2.FILLED)
    cv2.putText(image, view.name, (8, 21), FONT, 0.6, WHITE, 1, cv2.LINE_AA)
    return image


def draw_lines(
    image: Image, camera: Camera, lines: NDArray[np.float64], colour: tuple[int, int, int]
) -> None:
    """Draw the part of (L, 2, 3) lines of the optical frame that is in front of the camera."""
    for start, end in lines:
        if max(start[2], end[2]) <= _NEAR_M:
            continue
        ends_px = camera.project([before(start, end), before(end, start)])
        ends = np.rint(np.clip(ends_px, -_FAR_PX, _FAR_PX) * 2**_SHIFT).astype(int).tolist()
        cv2.line(image, *ends, colour, 1, cv2.LINE_AA, _SHIFT)


def before(point: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a point, moved towards the other until it is in front of the camera."""
    behind = max(0.0, _NEAR_M - point[2])
    return point + (other - point) * (behind / (other[2] - point[2]) if behind else 0.0)


def main() -> int:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('output', type=Path)
    options = parser.parse_args()
    kitti = kitti_sample(options.data / 'kitti_000008')
    nuscenes = nuscenes_sample(options.data / 'nuscenes_mini_keyframe')
    views = {view.name: view for view in nuscenes.views}
    rows = [picture(kitti.views[0], kitti.boxes, WIDTH)]
    for names in ROWS:
        rows.append(
            np.hstack([picture(views[n], nuscenes.boxes, WIDTH // len(names)) for n in names])
        )
    if not cv2.imwrite(str(options.output), np.vstack(rows)):
        parser.error(f'{options.output}: cannot be written')
    print(f'{options.output}: {len(kitti.boxes)} and {len(nuscenes.boxes)} boxes')
    return 0


if __name__ == '__main__':
    sys.exit(main())
