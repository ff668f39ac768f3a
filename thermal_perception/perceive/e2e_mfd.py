"""E2E-MFD around its network: thermal and colour image in, fused image and boxes out."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, TYPE_CHECKING

import numpy as np

from thermal_perception.perceive.system import Call, System
from thermal_perception.postprocess import fused_image, top_detections
from thermal_perception.preprocess import PairPreprocess, RawPairPreprocess
from thermal_perception.preprocess.image import resize
from thermal_perception.types import Detections, FusedImage, Perception

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from thermal_perception.models.record import CheckpointInfo
    from thermal_perception.perceive.system import Limits
    from thermal_perception.types import FrameSet, Modality, Output


class Found(NamedTuple):
    """What the network found; parts that were not asked for are None.

    Attributes:
        fused: (B, 1, H, W) brightness.
        logits: (B, M, K).
        boxes: (B, M, 4) cxcywh relative to the unpadded image.
    """

    fused: Tensor | None
    logits: Tensor | None
    boxes: Tensor | None


class _Memo(NamedTuple):
    content_size: tuple[int, int]
    colour: bool


class E2eMfdSystem(System):
    """Both images to tensors; ranking of boxes, and the fused brightness as an image."""

    cameras: tuple[Modality, ...] = ('thermal', 'rgb')
    outputs: ClassVar[frozenset[Output]] = frozenset({'detections', 'fused_image'})
    warm_ups: ClassVar[tuple[frozenset[Output], ...]] = (
        outputs,
        frozenset({'detections'}),
        frozenset({'fused_image'}),
    )
    kinds: ClassVar[tuple[type[Any], ...]] = (Found,)

    def __init__(
        self, record: CheckpointInfo, *, limits: Limits, where: str, raw: bool = False
    ) -> None:
        """Read the settings of a checkpoint; see `System`."""
        super().__init__(record, limits=limits, where=where, raw=raw)
        self._preprocess: PairPreprocess | RawPairPreprocess = (
            RawPairPreprocess(self._config) if raw else PairPreprocess(self._config)
        )

    def prepare(self, frames: FrameSet, wanted: Collection[Output]) -> Call:
        """Bring the frames to the network's input; see `System`."""
        pair = self._preprocess(frames)
        options = {
            'fuse': not {'fused_image', 'fused_grey'}.isdisjoint(wanted),
            'detect': 'detections' in wanted,
        }
        memo = _Memo(pair.content_size, 'fused_image' in wanted)
        return Call(pair.inputs, options, memo)

    @staticmethod
    def select(output: Any) -> Found:
        """Leave out the weight maps."""
        found, fusion = output.detections, output.fusion
        return Found(
            None if fusion is None else fusion.fused,
            None if found is None else found.logits,
            None if found is None else found.boxes,
        )

    def finish(self, found: Found, call: Call, frames: FrameSet, index: int = 0) -> Perception:
        """Rank the boxes, and make the fused image; see `System`."""
        return Perception(
            self._detections(found, frames, index), fused=_fused(found, call.memo, frames, index)
        )

    def _detections(self, found: Found, frames: FrameSet, index: int) -> Detections:
        if found.logits is None or found.boxes is None:
            return Detections.none(self._record.class_names, frames.leader)
        return top_detections(
            found.logits[index],
            found.boxes[index],
            activation='sigmoid',
            source_size=frames.leader.size,
            class_names=self._record.class_names,
            stamp_ns=frames.stamp_ns,
            frame_id=frames.frame_id,
            limit=self._limits.max_detections,
            suppress_iou=self._record.suppress_iou,
        )


def _fused(found: Found, memo: _Memo, frames: FrameSet, index: int) -> FusedImage | None:
    """Return the fused image in pixels of the leading frame, in colour if asked and known."""
    if found.fused is None:
        return None
    height, width = memo.content_size
    brightness = np.ascontiguousarray(found.fused[index, 0, :height, :width].float().numpy())
    if brightness.shape != frames.leader.size:
        brightness = resize(brightness, frames.leader.size)
    colours = np.asarray(frames.rgb.image, np.uint8) if memo.colour and frames.rgb else None
    cameras = tuple(f.modality for f in (frames.thermal, frames.rgb) if f is not None)
    image = fused_image(brightness, colours)
    return FusedImage(image, cameras, frames.stamp_ns, frames.frame_id)
