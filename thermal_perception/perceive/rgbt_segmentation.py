"""RGB-T segmentation around its network: two images in, the class of every pixel out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, TYPE_CHECKING

from thermal_perception.class_sets import countable_labels
from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError, PreprocessError
from thermal_perception.models.rgbt_segmentation.config import RgbtSegmentationConfig
from thermal_perception.models.rgbt_segmentation.network import cell_side, smallest_side
from thermal_perception.perceive.system import Call, System
from thermal_perception.postprocess import find_components, label_map
from thermal_perception.preprocess import PairPreprocess, PreprocessConfig
from thermal_perception.types import Detections, Perception, SegmentationMask

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from thermal_perception.models.record import CheckpointInfo
    from thermal_perception.perceive.system import Limits
    from thermal_perception.preprocess import PreparedPair
    from thermal_perception.types import FrameSet, Modality, Output


class Pixels(NamedTuple):
    """What the network found.

    Attributes:
        logits: (B, K, h, w), of cells of several pixels.
    """

    logits: Tensor


class _Memo(NamedTuple):
    prepared: PreparedPair
    wanted: frozenset[Output]


class RgbtSegmentationSystem(System):
    """Both images to tensors; labels, and the objects they show."""

    outputs: ClassVar[frozenset[Output]] = frozenset({'detections', 'segmentation'})
    warm_ups: ClassVar[tuple[frozenset[Output], ...]] = (outputs,)
    kinds: ClassVar[tuple[type[Any], ...]] = (Pixels,)

    def __init__(self, record: CheckpointInfo, *, limits: Limits, where: str) -> None:
        """Read the settings of a checkpoint that lies at `where`."""
        config = from_mapping(RgbtSegmentationConfig, record.config, where=where)
        self.cameras: tuple[Modality, ...] = (
            ('thermal', 'rgb') if config.cameras == 'both' else (config.cameras,)
        )
        self._record, self._limits = record, limits
        self._countable = countable_labels(record.class_names)
        self._smallest = smallest_side(config)
        self._cell = cell_side(config)
        preprocess = from_mapping(PreprocessConfig, record.preprocess, where=where)
        if preprocess.pad_multiple % self._cell:
            raise ConfigError(
                f'{where}: found pad_multiple {preprocess.pad_multiple}, expected a multiple of '
                f'{self._cell}'
            )
        self._preprocess = PairPreprocess(preprocess)

    def prepare(self, frames: FrameSet, wanted: Collection[Output]) -> Call:
        """Bring the frames to the network's input; see `System`."""
        if all(getattr(frames, camera) is None for camera in self.cameras):
            raise PreprocessError(
                f'{self._record.model}: found no {" and no ".join(self.cameras)} frame, expected '
                'one'
            )
        pair = self._preprocess(frames if 'rgb' in self.cameras else replace(frames, rgb=None))
        self._check_size(pair)
        memo = _Memo(pair, self.outputs.intersection(wanted))
        return Call((pair.thermal, pair.rgb, pair.padding), {'enlarge': False}, memo)

    @staticmethod
    def select(output: Any) -> Pixels:
        """Leave out what only training needs, and what the fusion tells of itself."""
        return Pixels(output.logits)

    def finish(self, found: Pixels, call: Call, frames: FrameSet, index: int = 0) -> Perception:
        """Label the pixels of the leading frame, and find objects in them, if asked for."""
        memo: _Memo = call.memo
        names = self._record.class_names
        nothing = Perception(Detections.none(names, frames.leader))
        if not memo.wanted:
            return nothing
        prepared, logits = memo.prepared, found.logits[index].float()
        labels = label_map(logits, self._cell, prepared.content_size, prepared.source_size)
        mask = SegmentationMask(labels, names, frames.stamp_ns, frames.frame_id)
        if 'detections' not in memo.wanted:
            return replace(nothing, segmentation=mask)
        return Perception(self._objects(mask, logits, prepared), segmentation=mask)

    def _objects(
        self, mask: SegmentationMask, logits: Tensor, prepared: PreparedPair
    ) -> Detections:
        height, width = (-(-length // self._cell) for length in prepared.content_size)
        shares = logits[:, :height, :width].softmax(0).numpy()
        return find_components(
            mask,
            shares,
            self._countable,
            min_area_px=self._limits.min_area_px,
            limit=self._limits.max_detections,
        )

    def _check_size(self, pair: PreparedPair) -> None:
        images = [image for image in (pair.thermal, pair.rgb) if image is not None]
        height, width = images[0].shape[-2:]
        if min(height, width) < self._smallest:
            raise PreprocessError(
                f'{self._record.model}: found an image of {pair.source_size[1]} x '
                f'{pair.source_size[0]} pixels, {width} x {height} as padded, expected sides of '
                f'{self._smallest} pixels or more'
            )
