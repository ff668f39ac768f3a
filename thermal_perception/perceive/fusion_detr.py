"""Fusion DETR around its network: one thermal image in, boxes out."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple, TYPE_CHECKING

from thermal_perception.config import from_mapping
from thermal_perception.errors import PreprocessError
from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.models.fusion import FusionOutput
from thermal_perception.models.fusion_detr import fusion_strides
from thermal_perception.perceive.system import Call, System
from thermal_perception.postprocess import top_detections
from thermal_perception.preprocess import Preprocess, RawPreprocess
from thermal_perception.types import FusionWeights, Perception

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from thermal_perception.models.record import CheckpointInfo
    from thermal_perception.perceive.system import Limits
    from thermal_perception.types import FrameSet, Output


class Predictions(NamedTuple):
    """What the network found.

    Attributes:
        logits: (B, Q, K or K+1).
        boxes: (B, Q, 4) cxcywh relative to the unpadded image.
        fusion: weights of the scales without the fused map; None where nothing is mixed.
    """

    logits: Tensor
    boxes: Tensor
    fusion: FusionOutput | None


class FusionDetrSystem(System):
    """Thermal transform, ranking of queries, weights of the scales."""

    kinds: ClassVar[tuple[type[Any], ...]] = (Predictions, FusionOutput)

    def __init__(
        self, record: CheckpointInfo, *, limits: Limits, where: str, raw: bool = False
    ) -> None:
        """Read the settings of a checkpoint; see `System`."""
        super().__init__(record, limits=limits, where=where, raw=raw)
        config = from_mapping(FusionDetrConfig, record.config, where=where)
        self.strides = fusion_strides(config)
        self._activation: Literal['softmax', 'sigmoid'] = (
            'softmax' if config.class_loss == 'softmax' else 'sigmoid'
        )
        self._preprocess: Preprocess | RawPreprocess = (
            RawPreprocess(self._config) if raw else Preprocess(self._config)
        )

    def prepare(self, frames: FrameSet, wanted: Collection[Output]) -> Call:
        """Bring the thermal frame to the network's input; see `System`."""
        if frames.thermal is None:
            raise PreprocessError(f'{self._record.model}: found no thermal frame, expected one')
        prepared = self._preprocess(frames.thermal)
        options = {'content': prepared.content_size}
        return Call(prepared.inputs, options, prepared.source_size)

    @staticmethod
    def select(output: Any) -> Predictions:
        """Leave out what only training needs, and the fused map."""
        fusion = output.fusion
        if fusion is not None:
            fusion = fusion._replace(features=fusion.features[:, :0])
        return Predictions(output.logits, output.boxes, fusion)

    def finish(
        self, found: Predictions, call: Call, frames: FrameSet, index: int = 0
    ) -> Perception:
        """Rank the queries; see `System`."""
        detections = top_detections(
            found.logits[index],
            found.boxes[index],
            activation=self._activation,
            source_size=call.memo,
            class_names=self._record.class_names,
            stamp_ns=frames.stamp_ns,
            frame_id=frames.frame_id,
            limit=self._limits.max_detections,
            suppress_iou=self._record.suppress_iou,
        )
        return Perception(detections, fusion=_fusion_weights(found.fusion, index, self.strides))


def _fusion_weights(
    fusion: FusionOutput | None, index: int, strides: tuple[int, ...]
) -> FusionWeights | None:
    """Return the weights of one image of a batch; the prior is that of the network."""
    if fusion is None:
        return None
    alpha_hat, alpha, prior, logits = (
        t.float().numpy()
        for t in (fusion.alpha_hat[index], fusion.alpha[index], fusion.prior, fusion.logits[index])
    )
    return FusionWeights(
        strides, alpha_hat, alpha, prior, logits, float(fusion.beta_bar[index].norm())
    )
