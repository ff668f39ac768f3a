"""What a homography can mend of a known misalignment, and what the rest costs the fused image.

    python benchmarks/registration.py --dataset msrs_misaligned [--checkpoint FILE]

The folder holds `visible/`, `infrared_warped/` and `flow/` (KITTI format: where each pixel of the
warped image looks in the visible one), one PNG of the same name in each. Per pair, the homography
closest to the flow is given to the registration that the node uses. The fused image, made by a
guided filter or by a checkpoint for two cameras, is compared with both images as they would be if
aligned perfectly: the visible one moved by the flow itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from thermal_perception.evaluation.image_files import colour_frame, thermal_frame
from thermal_perception.evaluation.image_fusion import brightness, FusionScorer, quantise
from thermal_perception.evaluation.image_fusion.baselines import fuse_simply
from thermal_perception.geometry.rgb_to_thermal import RgbToThermal
from thermal_perception.perceive import Perceiver
from thermal_perception.types import FrameSet

Image = NDArray[np.uint8]
Fuse = Callable[[Image, Image], Image]

ZERO, STEP_PX = 32768, 64.0  # of the flow's counts
EVERY = 8  # pixels between those that a homography is fitted to
FIGURES = ('VIF', 'Qabf', 'SCD')


def read(path: Path, flags: int) -> NDArray[np.generic]:
    """Return an image, or end with its name."""
    image = cv2.imread(str(path), flags)
    if image is None:
        raise SystemExit(f'{path}: cannot be read as an image')
    return image


def looked_at(path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the column and row (H, W, 2) of the visible image at each pixel, and where known."""
    blue_green_red = read(path, cv2.IMREAD_UNCHANGED).astype(np.float32)
    flow = (blue_green_red[..., [2, 1]] - ZERO) / STEP_PX
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return flow + np.dstack((columns, rows)), blue_green_red[..., 0] > 0


def fitted(target: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the homography from pixels of the warped image to those of the visible one."""
    rows, columns = (index[known[::EVERY, ::EVERY]] * EVERY for index in
                     np.indices(known[::EVERY, ::EVERY].shape))  # fmt: skip
    homography, _ = cv2.findHomography(
        np.column_stack((columns, rows)).astype(np.float64), target[rows, columns], method=0
    )
    return np.asarray(homography, np.float64)


def distances(
    homography: NDArray[np.float64], target: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return how far off each known pixel is, pixels."""
    rows, columns = np.nonzero(known)
    points = np.column_stack((columns, rows)).astype(np.float64)[:, None]
    found = cv2.perspectiveTransform(points, homography)[:, 0]
    return np.asarray(np.linalg.norm(found - target[rows, columns], axis=1))


def by_model(checkpoint: Path) -> Fuse:
    """Return a function that fuses by a model."""
    perceiver = Perceiver.load(checkpoint, device='cpu')
    if 'fused_image' not in perceiver.outputs:
        raise SystemExit(
            f'{checkpoint}: found a model of {perceiver.cameras}, expected one that fuses'
        )

    def fuse(thermal: Image, visible: Image) -> Image:
        frames = FrameSet(
            thermal=thermal_frame(thermal),
            rgb=colour_frame(visible),
        )
        fused = perceiver(frames, wanted=frozenset({'fused_grey'})).fused
        assert fused is not None
        return np.asarray(fused.image, np.uint8)

    return fuse


def by_guided_filter(thermal: Image, visible: Image) -> Image:
    """Fuse as the strongest of the simple ways does."""
    return quantise(fuse_simply('guided_filter', thermal=thermal, visible=brightness(visible)))


def main() -> int:
    """Register and fuse every pair; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--dataset', type=Path, required=True)
    parser.add_argument('--checkpoint', type=Path)
    options = parser.parse_args()
    paths = sorted((options.dataset / 'flow').glob('*.png'))
    if not paths:
        raise SystemExit(f'{options.dataset}/flow: found no *.png, expected one per pair')
    fuse = by_model(options.checkpoint) if options.checkpoint else by_guided_filter
    off: dict[str, list[NDArray[np.float64]]] = {'unregistered': [], 'registered': []}
    scorers = {name: FusionScorer() for name in (*off, 'perfect')}
    for path in paths:
        target, known = looked_at(path)
        thermal = read(options.dataset / 'infrared_warped' / path.name, cv2.IMREAD_GRAYSCALE)
        visible = read(options.dataset / 'visible' / path.name, cv2.IMREAD_COLOR)
        homography = fitted(target, known)
        for name, matrix in (('unregistered', np.eye(3)), ('registered', homography)):
            off[name].append(distances(matrix, target, known))
        true = cv2.remap(visible, target, None, cv2.INTER_LINEAR)
        seen = {
            'unregistered': visible,
            'registered': RgbToThermal(homography=homography)(visible, thermal.shape[:2]),
            'perfect': true,
        }
        for name, image in seen.items():
            fused = fuse(thermal, image)
            scorers[name].add(path.stem, fused, thermal=thermal, visible=brightness(true))
    print(
        '               off: mean     p95      max   fused: '
        + '  '.join(f'{f:>6}' for f in FIGURES)
    )
    for name, scorer in scorers.items():
        far = np.concatenate(off[name]) if name in off else np.zeros(1)
        mean = scorer.score().mean
        print(
            f'{name:13} {far.mean():8.1f} px {np.percentile(far, 95):6.1f} px {far.max():6.1f} px'
            '         ' + '  '.join(f'{getattr(mean, f):6.3f}' for f in FIGURES)
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
