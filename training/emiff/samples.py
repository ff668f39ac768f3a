"""Training samples of a vehicle and the roadside, from data in the layout of DAIR-V2X-C.

A sample is a function of (seed, epoch, position), as those of single cameras are.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dair import read_frames
from thermal_perception.geometry import corners_3d
from thermal_perception.geometry.transforms import compose, displaced_camera
from training.emiff.outlines import draw_outlines
from training.emiff.targets import Target3D

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.evaluation.dair import CooperativeFrame
    from thermal_perception.models.emiff.config import GridConfig
    from thermal_perception.preprocess import ViewPreprocess
    from training.emiff.augment import CooperativeAugmentConfig


class CooperativeBatch(NamedTuple):
    """Training input; images (B, 3, H, W) float32 in 0..1, the same size for both cameras.

    Attributes:
        ego_image: of the vehicle.
        ego_K: (B, 3, 3), see `models.emiff.lifting.View`.
        ego_T: (B, 4, 4) lidar to the vehicle's camera.
        infra_image: of the roadside.
        infra_K: (B, 3, 3).
        infra_T: (B, 4, 4) lidar to the roadside camera.
        mirrored: (B,) bool.
        ego_content: (B, 2) float32 height and width of the vehicle's images without padding.
        infra_content: (B, 2) of the roadside's.
        ego_outline: (B, 3, H / 4, W / 4), see `draw_outlines`; in the vehicle's images.
        infra_outline: in the roadside's.
        targets: objects of each frame.
    """

    ego_image: Tensor
    ego_K: Tensor
    ego_T: Tensor
    infra_image: Tensor
    infra_K: Tensor
    infra_T: Tensor
    mirrored: Tensor
    ego_content: Tensor
    infra_content: Tensor
    ego_outline: Tensor
    infra_outline: Tensor
    targets: list[Target3D]


class _Seen(NamedTuple):
    image: Tensor
    K: NDArray[np.float64]
    content: Tensor


class CooperativeSamples:
    """Draws varied frames of several folders."""

    def __init__(
        self,
        folders: Sequence[tuple[Path, str | None]],
        augment: CooperativeAugmentConfig,
        preprocess: ViewPreprocess,
        grid: GridConfig,
        *,
        seed: int,
    ) -> None:
        """Read what there is.

        Args:
            folders: data sets and their splits.
            augment: how frames are varied.
            preprocess: what the robot does with its images.
            grid: objects whose centre is outside of it are not asked for.
            seed: of order and variation.

        Raises:
            DatasetError: if a folder is not as it should be.
        """
        self.augment, self.preprocess, self.grid, self.seed = augment, preprocess, grid, seed
        self.frames: list[list[CooperativeFrame]] = []  # with their delays, 0 first
        for folder, split in folders:
            by_name = {frame.name: [frame] for frame in read_frames(folder, split)}
            for delay in range(1, augment.delays + 1):
                for frame in _delayed(folder, split, delay):
                    by_name[frame.name].append(frame)
            self.frames += by_name.values()

    @property
    def per_epoch(self) -> int:
        """Number of samples of an epoch."""
        return len(self.frames)

    def order(self, epoch: int) -> list[tuple[int, int]]:
        """Return (0, frame) of an epoch, shuffled."""
        rng = np.random.default_rng((self.seed, epoch))
        return [(0, int(index)) for index in rng.permutation(len(self.frames))]

    def batch(
        self, pairs: Sequence[tuple[int, int]], *, epoch: int, first: int
    ) -> CooperativeBatch:
        """Return the batch whose first sample has position `first` in the epoch."""
        drawn = [
            self.draw(index, np.random.default_rng((self.seed, epoch, first + i)))
            for i, (_, index) in enumerate(pairs)
        ]
        stacked = [torch.stack(x) for x in zip(*(fields for fields, _ in drawn))]
        ego_image, ego_K, ego_T, infra_image, infra_K, infra_T, mirrored, *rest = stacked
        ego_content, infra_content, ego_outline, infra_outline = rest
        return CooperativeBatch(
            ego_image=ego_image,
            ego_K=ego_K,
            ego_T=ego_T,
            infra_image=infra_image,
            infra_K=infra_K,
            infra_T=infra_T,
            mirrored=mirrored,
            ego_content=ego_content,
            infra_content=infra_content,
            ego_outline=ego_outline,
            infra_outline=infra_outline,
            targets=[target for _, target in drawn],
        )

    def draw(self, index: int, rng: Generator) -> tuple[tuple[Tensor, ...], Target3D]:
        """Return one sample: the fields of a batch without their first dimension, and objects."""
        augment = self.augment
        choices = self.frames[index]
        frame = choices[rng.integers(len(choices))]
        zoom = float(rng.uniform(*augment.zoom))
        flip = bool(rng.random() < augment.flip)
        ego, infra = (
            self._seen(frame, side, zoom=zoom, flip=flip, rng=rng) for side in ('ego', 'infra')
        )
        T_infra = compose(self._misplaced(frame.T_camera_world, rng), frame.T_world_lidar)
        fields = (
            ego.image,
            _tensor(ego.K),
            _tensor(frame.T_camera_lidar),
            infra.image,
            _tensor(infra.K),
            _tensor(T_infra),
            torch.tensor(flip),
            ego.content,
            infra.content,
            self._outline(frame, ego, frame.T_camera_lidar),
            self._outline(frame, infra, T_infra),
        )
        return fields, self._target(frame, flip=flip)

    def _seen(
        self, frame: CooperativeFrame, side: str, *, zoom: float, flip: bool, rng: Generator
    ) -> _Seen:
        path = frame.ego_image if side == 'ego' else frame.infra_image
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise DatasetError(f'{path}: cannot be read')
        height, width = image.shape[:2]
        prepared = self.preprocess(
            np.asarray(image, np.uint8), frame.camera(side, (height, width))
        )
        size = (round(height * prepared.resize_factor), round(width * prepared.resize_factor))
        pixels, K = prepared.image[:, : size[0], : size[1]], prepared.K.copy()
        gain, gamma = rng.uniform(*self.augment.gain), rng.uniform(*self.augment.gamma)
        pixels = (gain * pixels**gamma).clamp(0, 1)
        if flip:
            pixels = pixels.flip(-1)
            K[0, 0], K[0, 2] = -K[0, 0], size[1] - 1 - K[0, 2]
        pixels = F.interpolate(
            pixels[None], (round(size[0] * zoom), round(size[1] * zoom)), mode='bilinear'
        )[0]
        K[:2] *= zoom
        canvas = torch.zeros_like(prepared.image)
        h, w = min(canvas.shape[1], pixels.shape[1]), min(canvas.shape[2], pixels.shape[2])
        canvas[:, :h, :w] = pixels[:, :h, :w]
        return _Seen(canvas, K, torch.tensor([h, w], dtype=torch.float32))

    def _outline(
        self, frame: CooperativeFrame, seen: _Seen, T_camera_lidar: NDArray[np.float64]
    ) -> Tensor:
        size = (seen.image.shape[1], seen.image.shape[2])
        return draw_outlines(corners_3d(frame.truth), T_camera_lidar, seen.K, size)

    def _misplaced(
        self, T_camera_world: NDArray[np.float64], rng: Generator
    ) -> NDArray[np.float64]:
        x, y = rng.normal(0.0, self.augment.pose_noise_m, 2)
        yaw = np.deg2rad(rng.normal(0.0, self.augment.pose_noise_deg))
        return displaced_camera(T_camera_world, x_m=x, y_m=y, yaw_rad=yaw)

    def _target(self, frame: CooperativeFrame, *, flip: bool) -> Target3D:
        truth = frame.truth
        inside = np.all(
            [
                (truth.centres_m[:, axis] >= self.grid.low_m[axis])
                & (truth.centres_m[:, axis] <= self.grid.high_m[axis])
                for axis in (0, 1)
            ],
            axis=0,
        )
        x, y, z = truth.centres_m[inside].T
        sign = -1.0 if flip else 1.0
        bottom = z - truth.sizes_m[inside, 2] / 2
        boxes = np.column_stack(
            (x, sign * y, bottom, truth.sizes_m[inside], sign * truth.yaws_rad[inside])
        )
        return Target3D(
            torch.from_numpy(boxes.astype(np.float32)), torch.from_numpy(truth.labels[inside])
        )


def _delayed(folder: Path, split: str | None, delay: int) -> list[CooperativeFrame]:
    try:
        return read_frames(folder, split, delay=delay)
    except DatasetError:  # no recording is that long
        return []


def _tensor(matrix: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(matrix.astype(np.float32))
