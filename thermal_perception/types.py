"""Records handed from room to room: frozen, numpy only, time in integer nanoseconds.

Sizes are `(height, width)`. Boxes are `(N, 4)` corners `x1, y1, x2, y2` in pixels of the raw
thermal image, where the centre of the first pixel is (0.5, 0.5) and the image spans
`0..width, 0..height`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Modality = Literal['thermal', 'rgb']
ThermalUnit = Literal['counts', 'kelvin', 'celsius']
Output = Literal['detections', 'fused_image', 'fused_grey', 'segmentation']
"""What a model can be asked for; `fused_image` is in colour where colours are known."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded camera image.

    Attributes:
        image: thermal (H, W) uint8, uint16 or float32; rgb (H, W, 3) uint8 in B, G, R order.
            May be a read-only view of the message's bytes.
        stamp_ns: when it was seen, nanoseconds since the epoch of the source clock.
        frame_id: optical frame of the camera.
        modality: `thermal` or `rgb`.
        encoding: the encoding named by the message, for reports.
        valid_bits: significant bits of an integer thermal image, 8, 14 or 16; None if unknown.
        scale: for thermal, `value_in_unit = image * scale + offset`.
        offset: see `scale`.
        unit: unit of the scaled thermal value; `counts` means no temperature is known.
    """

    image: NDArray[np.generic]
    stamp_ns: int
    frame_id: str
    modality: Modality
    encoding: str = ''
    valid_bits: int | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: ThermalUnit = 'counts'

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.image.shape[0]), int(self.image.shape[1])


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Frames of one moment. Thermal leads: its stamp and frame are those of the result."""

    thermal: Frame | None = None
    rgb: Frame | None = None

    def __post_init__(self) -> None:
        """Refuse a set without any frame."""
        if self.thermal is None and self.rgb is None:
            raise ValueError('FrameSet: found no frame, expected thermal, rgb or both')

    @property
    def leader(self) -> Frame:
        """The frame whose stamp, frame_id and size the result carries."""
        leader = self.thermal if self.thermal is not None else self.rgb
        assert leader is not None  # guaranteed by __post_init__
        return leader

    @property
    def stamp_ns(self) -> int:
        """Stamp of the leading frame, nanoseconds."""
        return self.leader.stamp_ns

    @property
    def frame_id(self) -> str:
        """Optical frame of the leading camera."""
        return self.leader.frame_id


@dataclass(frozen=True, eq=False)
class Detections:
    """Axis-aligned boxes found in one frame, best score first.

    Attributes:
        boxes_xyxy_px: (N, 4) float32 corners, pixels of the raw thermal image.
        scores: (N,) float32 in 0..1.
        labels: (N,) int64 indices into `class_names`.
        class_names: lower-case names, for example `('person', 'car')`.
        stamp_ns: stamp of the source frame, nanoseconds.
        frame_id: optical frame of the source camera.
        image_size: (height, width) of the source image, pixels.
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    stamp_ns: int
    frame_id: str
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        n = len(self.scores)
        if self.boxes_xyxy_px.shape != (n, 4) or self.labels.shape != (n,):
            raise ValueError(
                f'Detections: found boxes {self.boxes_xyxy_px.shape}, scores {self.scores.shape}, '
                f'labels {self.labels.shape}; expected (N, 4), (N,), (N,)'
            )

    @classmethod
    def none(cls, class_names: tuple[str, ...], frame: Frame) -> Detections:
        """Return no boxes, in a frame."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            class_names,
            frame.stamp_ns,
            frame.frame_id,
            frame.size,
        )

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.scores)

    def above(self, score_threshold: float) -> Detections:
        """Keep the boxes whose score is at least `score_threshold`."""
        keep = self.scores >= score_threshold
        return Detections(
            self.boxes_xyxy_px[keep],
            self.scores[keep],
            self.labels[keep],
            self.class_names,
            self.stamp_ns,
            self.frame_id,
            self.image_size,
        )


@dataclass(frozen=True, eq=False)
class FusionWeights:
    """What the selective fusion chose for one image (introspection, no effect on the result).

    Attributes:
        strides: stride of each scale, for example `(8, 16, 32, 64)`.
        alpha_hat: (S,) final weights, sum to one.
        alpha: (S,) image-dependent part, softmax of `logits`.
        prior: (S,) learned image-independent part, sums to one.
        logits: (S,) z before the softmax.
        beta_norm: Euclidean norm of the mixed scale embedding.
    """

    strides: tuple[int, ...]
    alpha_hat: NDArray[np.float32]
    alpha: NDArray[np.float32]
    prior: NDArray[np.float32]
    logits: NDArray[np.float32]
    beta_norm: float

    @property
    def dominant_stride(self) -> int:
        """Stride with the largest final weight."""
        return self.strides[int(np.argmax(self.alpha_hat))]

    @property
    def entropy(self) -> float:
        """Entropy of `alpha_hat` in nats; ln(S) when all scales weigh the same."""
        p = self.alpha_hat[self.alpha_hat > 0].astype(np.float64)
        return max(0.0, float(-(p * np.log(p)).sum()))


@dataclass(frozen=True, eq=False)
class FusedImage:
    """One image made of what both cameras saw.

    Attributes:
        image: (H, W) uint8 grey, or (H, W, 3) uint8 in B, G, R order; pixels of the raw thermal
            image.
        cameras: those it is made of; with one, it is that camera's brightness.
        stamp_ns: stamp of the leading frame, nanoseconds.
        frame_id: optical frame of the leading camera.
    """

    image: NDArray[np.uint8]
    cameras: tuple[Modality, ...]
    stamp_ns: int
    frame_id: str


@dataclass(frozen=True, eq=False)
class SegmentationMask:
    """A class index per pixel.

    Attributes:
        labels: (H, W) uint8 indices into `class_names`.
        class_names: lower-case names; index 0 is usually `unlabelled`.
        stamp_ns: stamp of the source frame, nanoseconds.
        frame_id: optical frame of the source camera.
    """

    labels: NDArray[np.uint8]
    class_names: tuple[str, ...]
    stamp_ns: int
    frame_id: str


@dataclass(frozen=True, eq=False)
class Perception:
    """Everything one call of `perceive` gives.

    Attributes:
        detections: the boxes; none where they were not asked for.
        fusion: scale weights of the model, None for models without selective fusion.
        stages_s: seconds spent per stage: `preprocess`, `model`, `postprocess`.
        fused: image made of both cameras; None where it was not asked for or cannot be made.
        segmentation: class of every pixel of the leading image; None where it was not asked for
            or the model gives none.
    """

    detections: Detections
    fusion: FusionWeights | None = None
    stages_s: Mapping[str, float] = field(default_factory=dict)
    fused: FusedImage | None = None
    segmentation: SegmentationMask | None = None


_ROWS = ('centres_m', 'sizes_m', 'yaws_rad', 'scores', 'labels', 'track_ids')  # of Boxes3D


@dataclass(frozen=True, eq=False)
class Boxes3D:
    """Upright 3D boxes in one frame.

    Attributes:
        centres_m: (N, 3) float64 box centres, metres, in `frame_id`.
        sizes_m: (N, 3) float64 length (along heading), width, height, metres.
        yaws_rad: (N,) float64 heading about the frame's z axis, radians, 0 along x.
        scores: (N,) float32 in 0..1.
        labels: (N,) int64 indices into `class_names`.
        class_names: lower-case names.
        track_ids: (N,) int64, -1 where unknown.
        stamp_ns: time the boxes hold for, nanoseconds.
        frame_id: frame of the centres (x forward, y left, z up).
    """

    centres_m: NDArray[np.float64]
    sizes_m: NDArray[np.float64]
    yaws_rad: NDArray[np.float64]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    track_ids: NDArray[np.int64]
    stamp_ns: int
    frame_id: str

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.scores)

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Boxes3D:
        """Return some of the boxes: a mask (N,), or indices in the order wanted."""
        rows: dict[str, Any] = {name: getattr(self, name)[chosen] for name in _ROWS}
        return replace(self, **rows)

    def joined(self, other: Boxes3D) -> Boxes3D:
        """Return these boxes and then the other ones; the stamp is that of these.

        Raises:
            ValueError: if classes or frames differ.
        """
        mine, theirs = (self.class_names, self.frame_id), (other.class_names, other.frame_id)
        if mine != theirs:
            raise ValueError(f'Boxes3D: found {theirs}, expected {mine} to join')
        rows: dict[str, Any] = {
            name: np.concatenate((getattr(self, name), getattr(other, name))) for name in _ROWS
        }
        return replace(self, **rows)


@dataclass(frozen=True, eq=False)
class InfrastructureFeatures:
    """What a roadside camera sent of one image, and where that camera is.

    Attributes:
        features: (C, h, w) float32 compressed map, finite, not negative.
        level: (c, s) of its compression: channels divided by c, height and width halved s times.
        K: (3, 3) float64 intrinsics of the original image, pixels.
        D: float64 distortion of the original image; empty for none.
        image_size: (height, width) of the original image, pixels.
        resize_factor: by which the image was resized before it was padded, the same along both
            sides.
        padded_size: (height, width) of the image that the network got, pixels.
        T_camera_world: (4, 4) float64, world to the camera's optical frame.
        world_frame: name of the world frame.
        sender_id: who sent it.
        sequence: number of the message, counted by the sender.
        fingerprint: of the model that made the features.
        stamp_ns: when the image was taken, nanoseconds.
        frame_id: optical frame of the camera.
    """

    features: NDArray[np.float32]
    level: tuple[int, int]
    K: NDArray[np.float64]
    D: NDArray[np.float64]
    image_size: tuple[int, int]
    resize_factor: float
    padded_size: tuple[int, int]
    T_camera_world: NDArray[np.float64]
    world_frame: str
    sender_id: str
    sequence: int
    fingerprint: str
    stamp_ns: int
    frame_id: str
