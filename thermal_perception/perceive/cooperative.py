"""EMIFF in its two places: images and calibrations in, features or boxes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
import time
from typing import Any, NamedTuple, TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import nn

from thermal_perception.backends import make_backend
from thermal_perception.config import from_mapping
from thermal_perception.errors import CheckpointError
from thermal_perception.geometry.camera import scale_K
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.models.emiff.anchors import make_anchors
from thermal_perception.models.emiff.config import CompressionLevel
from thermal_perception.models.emiff.lifting import View, voxel_centres
from thermal_perception.models.emiff.network import Emiff, Message, STRIDES
from thermal_perception.postprocess.boxes_3d import merged_boxes, upright_boxes
from thermal_perception.preprocess.views import ViewConfig, ViewPreprocess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.backends import Backend
    from thermal_perception.geometry.camera import Camera
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.models.emiff.network import EmiffOutput, VehiclePart
    from thermal_perception.types import Boxes3D


class RoadsideView(NamedTuple):
    """What the roadside makes of one image.

    Attributes:
        features: (C, h, w) float32, not negative.
        resize_factor: by which the image was resized.
        padded_size: (height, width) of what the network got, pixels.
    """

    features: NDArray[np.float32]
    resize_factor: float
    padded_size: tuple[int, int]


class ReceivedView(NamedTuple):
    """Features of the roadside as the vehicle uses them.

    Attributes:
        features: (C, h, w) float32.
        level: (c, s) of their compression.
        K: (3, 3) intrinsics of the original image, pixels.
        image_size: (height, width) of the original image, pixels.
        resize_factor: by which it was resized.
        padded_size: (height, width) of what the sender's network got, pixels.
        T_camera_lidar: (4, 4) vehicle lidar to the roadside camera, at the vehicle's image.
        weight: 0..1, how much they count.
    """

    features: NDArray[np.float32]
    level: tuple[int, int]
    K: NDArray[np.float64]
    image_size: tuple[int, int]
    resize_factor: float
    padded_size: tuple[int, int]
    T_camera_lidar: NDArray[np.float64]
    weight: float = 1.0


class OwnView(NamedTuple):
    """One image of the vehicle.

    Attributes:
        image: (H, W, 3) uint8, B, G, R.
        camera: of this image.
        T_camera_lidar: (4, 4) vehicle lidar to the camera.
    """

    image: NDArray[np.uint8]
    camera: Camera
    T_camera_lidar: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CooperativePerception:
    """What the vehicle knows after one image.

    Attributes:
        boxes: in the lidar frame, best first.
        scale_weights: (4,) shares of the roadside's scales, finest first; None without a message.
        ego_coverage: share of the voxels that the vehicle's camera sees.
        infra_coverage: share of the voxels that the roadside camera sees.
        stages_s: seconds spent per stage: `preprocess`, `model`, `postprocess`.
    """

    boxes: Boxes3D
    scale_weights: NDArray[np.float32] | None
    ego_coverage: float
    infra_coverage: float
    stages_s: Mapping[str, float] = field(default_factory=dict)


Part = TypeVar('Part', bound='_Part')


class _Part:
    """What both parts of a checkpoint of EMIFF have in common.

    Attributes:
        fingerprint: of the model; both parts must come from the same one.
        levels: (c, s) of its compression levels, finest first.
    """

    _backend: Backend

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Build the network.

        Raises:
            CheckpointError: if it is no checkpoint of EMIFF.
        """
        where = str(checkpoint.path)
        if checkpoint.info.architecture != 'emiff':
            raise CheckpointError(
                f'{where}: found architecture {checkpoint.info.architecture!r}, expected emiff'
            )
        model = checkpoint.make_model()
        assert isinstance(model, Emiff)
        self.fingerprint = checkpoint.fingerprint
        self.levels = tuple((level.c, level.s) for level in model.config.compression)
        self._model = model
        self._preprocess = ViewPreprocess(
            from_mapping(ViewConfig, checkpoint.info.preprocess, where=where)
        )
        self._lock = Lock()

    @classmethod
    def load(
        cls: type[Part], path: Path, *, device: str = 'auto', num_threads: int | None = None
    ) -> Part:
        """Load a checkpoint; see the constructor. `num_threads` is for the whole process."""
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        return cls(load_checkpoint(path), device=device)  # type: ignore[call-arg]

    @property
    def device(self) -> str:
        """Where the network runs."""
        return self._backend.device

    @property
    def backend(self) -> str:
        """Run-time and precision, for example `torch fp32`."""
        return f'{self._backend.name} {self._backend.precision}'

    def _level(self, pair: tuple[int, int]) -> CompressionLevel:
        """Return a level of the model."""
        if pair not in self.levels:
            raise CheckpointError(f'level: found {pair}, the model has {self.levels}')
        return CompressionLevel(*pair)


class RoadsidePerceiver(_Part):
    """The part that runs at the roadside. One call at a time."""

    def __init__(self, checkpoint: Checkpoint, *, device: str = 'auto') -> None:
        """Build the network on the device.

        Raises:
            CheckpointError: if it is no checkpoint of EMIFF.
            BackendError: if the device is not there.
        """
        super().__init__(checkpoint)
        self._backend = make_backend(_Roadside(self._model), device)

    def __call__(
        self, image: NDArray[np.uint8], camera: Camera, level: tuple[int, int]
    ) -> RoadsideView:
        """Return the features of an image (H, W, 3) uint8 in B, G, R.

        Raises:
            PreprocessError: if it is not of the camera's size.
            CheckpointError: if the model has no such level.
        """
        return self.at_levels(image, camera, [level])[level]

    def at_levels(
        self, image: NDArray[np.uint8], camera: Camera, levels: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], RoadsideView]:
        """Return the features of an image at several levels, for little more than those of one.

        Raises as a call does.
        """
        with self._lock:
            prepared = self._preprocess(image, camera)
            options: dict[str, Any] = {'levels': [self._level(level) for level in levels]}
            found = self._backend(prepared.image[None], **options)
            size = self._preprocess.config.padded_size
            return {
                level: RoadsideView(features[0].numpy(), prepared.resize_factor, size)
                for level, features in zip(levels, found)
            }


class VehiclePerceiver(_Part):
    """The part that runs in the vehicle. One call at a time.

    Attributes:
        class_names: lower-case names.
        score_threshold: default for showing boxes.
        shapes: (C, h, w) of the features of each level.
        padded_size: (height, width) of the images that the network takes, pixels.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str = 'auto') -> None:
        """Build the network on the device.

        Raises:
            CheckpointError: if it is no checkpoint of EMIFF.
            BackendError: if the device is not there.
        """
        super().__init__(checkpoint)
        self.class_names = checkpoint.info.class_names
        self.score_threshold = checkpoint.info.score_threshold
        self._config = self._model.config
        self.padded_size = self._preprocess.config.padded_size
        self.shapes = {
            level: _shape(self.padded_size, self._config.width, level) for level in self.levels
        }
        self._anchors = make_anchors(self._config)
        self._backend = make_backend(_Vehicle(self._model.vehicle), device)

    def voxels(self, every: int = 4) -> NDArray[np.float64]:
        """Return (N, 3) voxel centres in the lidar frame, every so many along x, y and z."""
        grid = voxel_centres(self._config.grid).unflatten(0, self._config.grid.counts)
        return grid[::every, ::every, ::every].flatten(0, 2).double().numpy()

    def __call__(
        self,
        own: OwnView | None,
        received: ReceivedView | None,
        *,
        stamp_ns: int = 0,
        frame_id: str = 'lidar',
        score_threshold: float | None = None,
    ) -> CooperativePerception:
        """Find objects; either view may be missing, not both.

        Args:
            own: image of the vehicle.
            received: features of the roadside.
            stamp_ns: time the boxes hold for.
            frame_id: the lidar frame.
            score_threshold: 0..1, of boxes to keep; None takes the model's.

        Raises:
            PreprocessError: if the image is not of the camera's size.
        """
        with self._lock:
            started = time.perf_counter()
            inputs, options = self._inputs(own, received)
            prepared_at = time.perf_counter()
            output: EmiffOutput = self._backend(*inputs, **options)
            ran_at = time.perf_counter()
            boxes = upright_boxes(
                **output.head._asdict(),
                anchors=self._anchors,
                class_names=self.class_names,
                stamp_ns=stamp_ns,
                frame_id=frame_id,
                score_threshold=(
                    self.score_threshold if score_threshold is None else score_threshold
                ),
                candidates=self._config.candidates,
                limit=self._config.max_boxes,
                nms_iou=self._config.nms_iou,
            )
            shares = output.scale_weights
            return CooperativePerception(
                boxes,
                None if shares is None else shares[0].numpy(),
                _share(output.ego_seen),
                _share(output.infra_seen),
                {
                    'preprocess': prepared_at - started,
                    'model': ran_at - prepared_at,
                    'postprocess': time.perf_counter() - ran_at,
                },
            )

    def merged(self, first: Boxes3D, second: Boxes3D) -> Boxes3D:
        """Join what two found of one moment, as one vehicle hears it from another: late fusion."""
        return merged_boxes(first, second, nms_iou=self._config.nms_iou)

    def _inputs(
        self, own: OwnView | None, received: ReceivedView | None
    ) -> tuple[list[Tensor | None], dict[str, Any]]:
        ego: list[Tensor | None] = [None] * 4
        if own is not None:
            prepared = self._preprocess(own.image, own.camera)
            size = _resized(own.camera.size, prepared.resize_factor)
            ego = [
                prepared.image[None],
                _single(prepared.K),
                _single(own.T_camera_lidar),
                torch.tensor([size], dtype=torch.float32),
            ]
        infra: list[Tensor | None] = [None] * 5
        options: dict[str, Any] = {'level': None, 'infra_size': (0, 0)}
        if received is not None:
            size = _resized(received.image_size, received.resize_factor)
            infra = [
                torch.from_numpy(np.ascontiguousarray(received.features))[None],
                _single(scale_K(received.K, received.image_size, size)),
                _single(received.T_camera_lidar),
                torch.tensor([size], dtype=torch.float32),
                torch.tensor([received.weight], dtype=torch.float32),
            ]
            options['level'] = self._level(received.level)
            options['infra_size'] = received.padded_size
        return [*ego, *infra], options


class _Roadside(nn.Module):
    """The roadside part, called with tensors and options."""

    def __init__(self, model: Emiff) -> None:
        super().__init__()
        self.part = model.infrastructure

    def forward(self, image: Tensor, *, levels: Sequence[CompressionLevel]) -> tuple[Tensor, ...]:
        return self.part.at_levels(image, levels)


class _Vehicle(nn.Module):
    """The vehicle part, called with tensors and options."""

    def __init__(self, part: VehiclePart) -> None:
        super().__init__()
        self.part = part

    def forward(
        self,
        image: Tensor | None,
        K: Tensor | None,
        T_camera_lidar: Tensor | None,
        content: Tensor | None,
        features: Tensor | None,
        infra_K: Tensor | None,
        infra_T: Tensor | None,
        infra_content: Tensor | None,
        weight: Tensor | None,
        *,
        level: CompressionLevel | None,
        infra_size: tuple[int, int],
    ) -> EmiffOutput:
        view = message = None
        if K is not None and T_camera_lidar is not None:
            view = View(K, T_camera_lidar, content=content)
        if features is not None and infra_K is not None and infra_T is not None:
            infra_view = View(infra_K, infra_T, content=infra_content)
            message = Message((features,), level, infra_view, infra_size, weight)
        return self.part(image, view, message)


def _shape(
    padded_size: tuple[int, int], width: int, level: tuple[int, int]
) -> tuple[int, int, int]:
    c, s = level
    height, columns = (n // STRIDES[0] for n in padded_size)
    for _ in range(s):  # halved, rounded up
        height, columns = -(-height // 2), -(-columns // 2)
    return width // c, height, columns


def _resized(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Return (height, width) of an image without its padding."""
    return round(size[0] * factor), round(size[1] * factor)


def _single(matrix: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(matrix.astype(np.float32))[None]


def _share(seen: Tensor | None) -> float:
    return 0.0 if seen is None else float(seen.float().mean())
