"""EMIFF in its two places: images and calibrations in, features or boxes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from threading import Lock
import time
from types import MappingProxyType
from typing import Any, NamedTuple, TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import nn

from thermal_perception.backends import make_backend, Origin, TorchBackend
from thermal_perception.backends.tracing import Signature
from thermal_perception.config import from_mapping
from thermal_perception.errors import CheckpointError
from thermal_perception.geometry.camera import Camera, scale_K
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.models.emiff.anchors import make_anchors
from thermal_perception.models.emiff.config import CompressionLevel
from thermal_perception.models.emiff.head import HeadOutput
from thermal_perception.models.emiff.lifting import Lookup, View, voxel_centres
from thermal_perception.models.emiff.network import Aim, Emiff, EmiffOutput, STRIDES
from thermal_perception.perceive.running import Running
from thermal_perception.postprocess.boxes_3d import merged_boxes, upright_boxes
from thermal_perception.preprocess.views import ViewConfig, ViewPreprocess

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.backends import Backend
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.models.emiff.network import VehiclePart
    from thermal_perception.types import Boxes3D


class RoadsideView(NamedTuple):
    """What the roadside makes of one image.

    Attributes:
        features: (C, h, w) float32, not negative.
        resize_factor: by which the image was resized.
        padded_size: (height, width) of what the network got, pixels.
        stages_s: seconds spent per stage, of all levels together: `preprocess`, `model`.
    """

    features: NDArray[np.float32]
    resize_factor: float
    padded_size: tuple[int, int]
    stages_s: Mapping[str, float] = MappingProxyType({})


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
_KINDS = (EmiffOutput, HeadOutput)


class _Part(Running, ABC):
    """What both parts of a checkpoint of EMIFF have in common.

    Attributes:
        fingerprint: of the model; both parts must come from the same one.
        levels: (c, s) of its compression levels, finest first.
        image_size: (height, width) that images are resized to, pixels.
        network: this part, called with tensors and options.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = 'auto',
        backend: str = 'torch',
        precision: str = 'auto',
        live: bool = False,
        artefact: Path | None = None,
    ) -> None:
        """Build the network on the device; see `load` for the arguments.

        Raises:
            CheckpointError: if it is no checkpoint of EMIFF.
            BackendError: if the device is not there, or the backend not installed.
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
        self.image_size = self._preprocess.config.resize_to
        self._lock = Lock()
        self.network = self._part_of(model)
        origin = Origin(checkpoint.path, checkpoint.fingerprint, _KINDS, artefact)
        self._backend = make_backend(
            self.network, device, self.select, backend=backend, precision=precision, origin=origin
        )
        self._backend.live = live

    @staticmethod
    def select(output: Any) -> Any:
        """Return the part of the network's output that counts."""
        return output

    @abstractmethod
    def _part_of(self, model: Emiff) -> nn.Module:
        """Return this part of the network."""

    @classmethod
    def load(
        cls: type[Part],
        path: Path,
        *,
        device: str = 'auto',
        num_threads: int | None = None,
        backend: str = 'torch',
        precision: str = 'auto',
        live: bool = False,
        artefact: Path | None = None,
    ) -> Part:
        """Load a checkpoint; see `Perceiver.load` for the arguments.

        Raises:
            CheckpointError: if the file is missing, damaged, or no checkpoint of EMIFF.
            BackendError: if the device is not there, or the backend not installed.
        """
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        options: dict[str, Any] = {'device': device, 'backend': backend, 'precision': precision}
        return cls(load_checkpoint(path), live=live, artefact=artefact, **options)

    def warm_up(self) -> None:
        """Run on black images of every kind that a node meets, so that no live image waits."""
        live, self._backend.live = self._backend.live, False
        size = self.image_size
        K = np.array([[size[1], 0, size[1] / 2], [0, size[1], size[0] / 2], [0, 0, 1]])
        self._see_black(np.zeros((*size, 3), np.uint8), Camera(K, np.zeros(0), size))
        self._backend.live = live

    def graphs(self) -> dict[Signature, str]:
        """Return what a node may ask of the network, each with a name."""
        backend = self._backend
        self._backend = asked = _Asked(backend)
        self.warm_up()
        self._backend = backend
        return {signature: self._name(dict(signature.options)) for signature in asked.signatures}

    @staticmethod
    @abstractmethod
    def _name(options: Mapping[str, Any]) -> str:
        """Name what is asked with these options."""

    @abstractmethod
    def _see_black(self, image: NDArray[np.uint8], camera: Camera) -> None:
        """Run on a black image in every way that a node may want."""

    def _level(self, pair: tuple[int, int]) -> CompressionLevel:
        """Return a level of the model."""
        if pair not in self.levels:
            raise CheckpointError(f'level: found {pair}, the model has {self.levels}')
        return CompressionLevel(*pair)


class RoadsidePerceiver(_Part):
    """The part that runs at the roadside. One call at a time."""

    def _part_of(self, model: Emiff) -> nn.Module:
        return _Roadside(model)

    @staticmethod
    def _name(options: Mapping[str, Any]) -> str:
        return f'roadside: {len(options["levels"])} levels'

    def _see_black(self, image: NDArray[np.uint8], camera: Camera) -> None:
        self.at_levels(image, camera, self.levels)

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
            started = time.perf_counter()
            prepared = self._preprocess(image, camera)
            prepared_at = time.perf_counter()
            wanted = tuple(self._level(level) for level in levels)
            found = self._backend(prepared.image[None], levels=wanted)
            stages = {
                'preprocess': prepared_at - started,
                'model': time.perf_counter() - prepared_at,
            }
            size = self._preprocess.config.padded_size
            return {
                level: RoadsideView(features[0].numpy(), prepared.resize_factor, size, stages)
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

    def __init__(self, checkpoint: Checkpoint, **options: Any) -> None:
        """Build the network on the device; see `load` for the options and what is raised."""
        super().__init__(checkpoint, **options)
        self.class_names = checkpoint.info.class_names
        self.score_threshold = checkpoint.info.score_threshold
        self._config = self._model.config
        self.padded_size = self._preprocess.config.padded_size
        self.shapes = {
            level: _shape(self.padded_size, self._config.width, level) for level in self.levels
        }
        self._anchors = make_anchors(self._config)
        # Rounded to half precision, calibrations would point elsewhere: PyTorch has these.
        self._aims = TorchBackend(_Aims(self._model.vehicle), self._backend.device)

    @staticmethod
    def select(output: EmiffOutput) -> EmiffOutput:
        """Return what is wanted and not known before."""
        return output._replace(ego_seen=None, infra_seen=None, maps=(), rays=())

    def _part_of(self, model: Emiff) -> nn.Module:
        return _Vehicle(model.vehicle)

    @staticmethod
    def _name(options: Mapping[str, Any]) -> str:
        level = options['level']
        return 'vehicle' + ('' if level is None else f' + features: level {level.c}, {level.s}')

    def _see_black(self, image: NDArray[np.uint8], camera: Camera) -> None:
        own = OwnView(image, camera, np.eye(4))
        self(own, None)
        for level in self.levels:
            features = np.zeros(self.shapes[level], np.float32)
            self(
                own,
                ReceivedView(
                    features, level, camera.K, camera.size, 1.0, self.padded_size, np.eye(4)
                ),
            )

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
            ego = None if own is None else self._ego(own)
            infra = None if received is None else self._infra(received)
            ego_aim, infra_aim = self._aimed(ego, infra)
            prepared_at = time.perf_counter()
            output: EmiffOutput = self._backend(
                *_tensors(ego, ego_aim),
                *_tensors(infra, infra_aim),
                None if received is None else torch.tensor([received.weight]),
                level=None if received is None else self._level(received.level),
            )
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
                _share(ego_aim),
                _share(infra_aim),
                {
                    'preprocess': prepared_at - started,
                    'model': ran_at - prepared_at,
                    'postprocess': time.perf_counter() - ran_at,
                },
            )

    def merged(self, first: Boxes3D, second: Boxes3D) -> Boxes3D:
        """Join what two found of one moment, as one vehicle hears it from another: late fusion."""
        return merged_boxes(first, second, nms_iou=self._config.nms_iou)

    def _ego(self, own: OwnView) -> _Sight:
        prepared = self._preprocess(own.image, own.camera)
        height, width = self.padded_size
        return _Sight(
            prepared.image[None],
            prepared.K,
            own.T_camera_lidar,
            _resized(own.camera.size, prepared.resize_factor),
            self.padded_size,
            (height // STRIDES[0], width // STRIDES[0]),
        )

    def _infra(self, received: ReceivedView) -> _Sight:
        size = _resized(received.image_size, received.resize_factor)
        factor = 2 ** self._level(received.level).s
        height, width = received.features.shape[-2:]
        return _Sight(
            torch.from_numpy(np.ascontiguousarray(received.features))[None],
            scale_K(received.K, received.image_size, size),
            received.T_camera_lidar,
            size,
            received.padded_size,
            (height * factor, width * factor),
        )

    def _aimed(self, ego: _Sight | None, infra: _Sight | None) -> tuple[Aim | None, Aim | None]:
        """Compute what the calibrations decide."""
        sights = [sight for sight in (ego, infra) if sight is not None]
        numbers = [
            number
            for sight in sights
            for number in (
                _single(sight.K),
                _single(sight.T_camera_lidar),
                torch.tensor([sight.content], dtype=torch.float32),
            )
        ]
        found = iter(
            self._aims(
                *numbers,
                image_sizes=tuple(sight.padded_size for sight in sights),
                map_sizes=tuple(sight.map_size for sight in sights),
            )
        )
        return None if ego is None else next(found), None if infra is None else next(found)


class _Sight(NamedTuple):
    """What one camera shows the vehicle.

    Attributes:
        tensor: image, or features of a message, a batch of one.
        K: (3, 3) intrinsics of the resized image, pixels.
        T_camera_lidar: (4, 4) vehicle lidar to the camera.
        content: (height, width) of the image without its padding, pixels.
        padded_size: (height, width) of the image with it, pixels.
        map_size: (height, width) of the map that is made of the tensor.
    """

    tensor: Tensor
    K: NDArray[np.float64]
    T_camera_lidar: NDArray[np.float64]
    content: tuple[int, int]
    padded_size: tuple[int, int]
    map_size: tuple[int, int]


class _Asked:
    """Takes the place of a backend, and notes what it is asked for."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.precision = backend.name, backend.precision
        self.device, self.problem = backend.device, backend.problem
        self.notes, self.live = backend.notes, backend.live
        self.signatures: list[Signature] = []

    def __call__(self, *inputs: Tensor | None, **options: Hashable) -> Any:
        self.signatures.append(Signature.of(inputs, options))
        return self._backend(*inputs, **options)


class _Roadside(nn.Module):
    """The roadside part, called with tensors and options."""

    def __init__(self, model: Emiff) -> None:
        super().__init__()
        self.part = model.infrastructure

    def forward(self, image: Tensor, *, levels: Sequence[CompressionLevel]) -> tuple[Tensor, ...]:
        return self.part.at_levels(image, levels)


class _Aims(nn.Module):
    """What calibrations decide, called with K, T and content of each camera."""

    def __init__(self, part: VehiclePart) -> None:
        super().__init__()
        self.part = part

    def forward(
        self,
        *numbers: Tensor,
        image_sizes: Sequence[tuple[int, int]],
        map_sizes: Sequence[tuple[int, int]],
    ) -> tuple[Aim, ...]:
        views = [
            View(K, T, content=content)
            for K, T, content in zip(numbers[::3], numbers[1::3], numbers[2::3])
        ]
        return tuple(self.part.aims(views, image_sizes, map_sizes))


class _Vehicle(nn.Module):
    """The vehicle part, called with tensors and options, once calibrations are done with."""

    def __init__(self, part: VehiclePart) -> None:
        super().__init__()
        self.part = part

    def forward(
        self,
        image: Tensor | None,
        cells: Tensor | None,
        seen: Tensor | None,
        bins: Tensor | None,
        mask: Tensor | None,
        features: Tensor | None,
        infra_cells: Tensor | None,
        infra_seen: Tensor | None,
        infra_bins: Tensor | None,
        infra_mask: Tensor | None,
        weight: Tensor | None,
        *,
        level: CompressionLevel | None,
    ) -> EmiffOutput:
        aims = [
            Aim(Lookup(c, s, b), m)
            for c, s, b, m in (
                (cells, seen, bins, mask),
                (infra_cells, infra_seen, infra_bins, infra_mask),
            )
            if c is not None and s is not None
        ]
        sent = () if features is None else (features,)
        return self.part.look(image, sent, aims, level=level, weight=weight)


def _tensors(sight: _Sight | None, aim: Aim | None) -> tuple[Tensor | None, ...]:
    """Return what the network takes of a camera; nothing, five times, of one that is missing."""
    if sight is None or aim is None:
        return (None,) * 5
    lookup = aim.lookup
    return sight.tensor, lookup.cells, lookup.seen, lookup.bins, aim.mask


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


def _share(aim: Aim | None) -> float:
    """Return the share of the voxels that a camera sees."""
    return 0.0 if aim is None else float(aim.lookup.seen.float().mean())
