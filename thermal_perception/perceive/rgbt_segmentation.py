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
from thermal_perception.preprocess import PairPreprocess, RawPairPreprocess
from thermal_perception.types import Detections, Perception, SegmentationMask

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from thermal_perception.models.record import CheckpointInfo
    from thermal_perception.perceive.system import Limits
    from thermal_perception.types import FrameSet, Modality, Output


class Pixels(NamedTuple):
    """What the network found.

    Attributes:
        logits: (B, K, h, w), of cells of several pixels.
    """

    logits: Tensor


class _Memo(NamedTuple):
    content_size: tuple[int, int]
    wanted: frozenset[Output]


class RgbtSegmentationSystem(System):
    """Both images to tensors; labels, and the objects they show."""

    outputs: ClassVar[frozenset[Output]] = frozenset({'detections', 'segmentation'})
    warm_ups: ClassVar[tuple[frozenset[Output], ...]] = (outputs,)
    kinds: ClassVar[tuple[type[Any], ...]] = (Pixels,)

    def __init__(
        self, record: CheckpointInfo, *, limits: Limits, where: str, raw: bool = False
    ) -> None:
        """Read the settings of a checkpoint; see `System`."""
        super().__init__(record, limits=limits, where=where, raw=raw)
        config = from_mapping(RgbtSegmentationConfig, record.config, where=where)
        self.cameras: tuple[Modality, ...] = (
            ('thermal', 'rgb') if config.cameras == 'both' else (config.cameras,)
        )
        self._countable = countable_labels(record.class_names)
        self._smallest = smallest_side(config)
        self._cell = cell_side(config)
        if self._config.pad_multiple % self._cell:
            raise ConfigError(
                f'{where}: found pad_multiple {self._config.pad_multiple}, expected a multiple of '
                f'{self._cell}'
            )
        self._preprocess: PairPreprocess | RawPairPreprocess = (
            RawPairPreprocess(self._config) if raw else PairPreprocess(self._config)
        )

    def prepare(self, frames: FrameSet, wanted: Collection[Output]) -> Call:
        """Bring the frames to the network's input; see `System`."""
        if all(getattr(frames, camera) is None for camera in self.cameras):
            raise PreprocessError(
                f'{self._record.model}: found no {" and no ".join(self.cameras)} frame, expected '
                'one'
            )
        pair = self._preprocess(frames if 'rgb' in self.cameras else replace(frames, rgb=None))
        self._check_size(pair.source_size, pair.content_size)
        memo = _Memo(pair.content_size, self.outputs.intersection(wanted))
        return Call(pair.inputs, {'enlarge': False}, memo)

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
        logits = found.logits[index].float()
        labels = label_map(logits, self._cell, memo.content_size, frames.leader.size)
        mask = SegmentationMask(labels, names, frames.stamp_ns, frames.frame_id)
        if 'detections' not in memo.wanted:
            return replace(nothing, segmentation=mask)
        return Perception(self._objects(mask, logits, memo.content_size), segmentation=mask)

    def _objects(
        self, mask: SegmentationMask, logits: Tensor, content_size: tuple[int, int]
    ) -> Detections:
        height, width = (-(-length // self._cell) for length in content_size)
        shares = logits[:, :height, :width].softmax(0).numpy()
        return find_components(
            mask,
            shares,
            self._countable,
            min_area_px=self._limits.min_area_px,
            limit=self._limits.max_detections,
        )

    def _check_size(self, source_size: tuple[int, int], content_size: tuple[int, int]) -> None:
        height, width = self._config.padded(content_size)
        if min(height, width) < self._smallest:
            raise PreprocessError(
                f'{self._record.model}: found an image of {source_size[1]} x '
                f'{source_size[0]} pixels, {width} x {height} as padded, expected sides of '
                f'{self._smallest} pixels or more'
            )
