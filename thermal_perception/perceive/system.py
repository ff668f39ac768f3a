"""What a neural system brings: from frames to its network's input, and from its output back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TYPE_CHECKING

import numpy as np

from thermal_perception.config import from_mapping
from thermal_perception.postprocess import MIN_AREA_PX
from thermal_perception.preprocess import PreprocessConfig, TakesRaw
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from torch import nn

    from thermal_perception.models.record import CheckpointInfo
    from thermal_perception.types import Modality, Output, Perception


@dataclass(frozen=True)
class Limits:
    """How much of what was found is handed on.

    Attributes:
        max_detections: boxes per frame at most, best first.
        min_area_px: pixels that a region of a label map has at least to get a box.
    """

    max_detections: int = 100
    min_area_px: int = MIN_AREA_PX


class Call(NamedTuple):
    """One call of a network.

    Attributes:
        inputs: tensors, or None for what is missing, in the order of its `forward`.
        options: arguments of its `forward` by name; another value may need another compiled graph.
        memo: what `finish` needs to find the way back.
    """

    inputs: tuple[Any, ...]
    options: Mapping[str, Hashable]
    memo: Any


class System(ABC):
    """Everything around one kind of network; knows frames and tensors, and no device.

    Attributes:
        cameras: what the network looks at, leading camera first.
        outputs: what it can give.
        warm_ups: sets of outputs for which the network does different work.
        strides: whose fusion weights it reports.
        kinds: the named tuples that `select` gives, and those in them.
    """

    cameras: tuple[Modality, ...] = ('thermal',)
    outputs: ClassVar[frozenset[Output]] = frozenset({'detections'})
    warm_ups: ClassVar[tuple[frozenset[Output], ...]] = (frozenset({'detections'}),)
    strides: tuple[int, ...] = ()
    kinds: ClassVar[tuple[type[Any], ...]]

    def __init__(
        self, record: CheckpointInfo, *, limits: Limits, where: str, raw: bool = False
    ) -> None:
        """Read the settings of a checkpoint.

        Args:
            record: of the checkpoint.
            limits: how much of what was found is handed on.
            where: the checkpoint lies, for errors.
            raw: leave to the network's device what can be prepared there.
        """
        self._record, self._limits, self._raw = record, limits, raw
        self._config = from_mapping(PreprocessConfig, record.preprocess, where=where)

    def network(self, model: nn.Module) -> nn.Module:
        """Return what takes the inputs of a call: the model, or it with preprocessing in front."""
        return TakesRaw(model, self._config) if self._raw else model

    @abstractmethod
    def prepare(self, frames: FrameSet, wanted: Collection[Output]) -> Call:
        """Turn frames into one call of the network.

        Raises:
            PreprocessError: if the frames cannot become its input.
        """

    @staticmethod
    @abstractmethod
    def select(output: Any) -> Any:
        """Return the part of the network's output that `finish` needs, tensors in named tuples."""

    @abstractmethod
    def finish(self, found: Any, call: Call, frames: FrameSet, index: int = 0) -> Perception:
        """Turn what was selected, on the CPU by now, into the result for the frames.

        `index` is their place in the batch.
        """


def black_frames(cameras: Collection[Modality], size: tuple[int, int]) -> FrameSet:
    """Return black 8-bit images of (height, width), one for each camera."""
    return FrameSet(**{modality: _black(modality, size) for modality in cameras})


def _black(modality: Modality, size: tuple[int, int]) -> Frame:
    shape, encoding = ((*size, 3), 'bgr8') if modality == 'rgb' else (size, 'mono8')
    return Frame(np.zeros(shape, np.uint8), 0, 'warm_up', modality, encoding, valid_bits=8)
