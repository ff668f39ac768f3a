"""What `fit` would see: the first samples of an experiment, with their boxes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.config import from_mapping
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from training.datasets import DataFolder
from training.datasets.sheet import Sample
from training.fit import model_info
from training.samples import TrainingSamples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import Frame
    from training.config import TrainingConfig


class _Witness(Preprocess):
    """Notes the depth of the frames that it turns into the network's input."""

    def __init__(self, config: PreprocessConfig) -> None:
        super().__init__(config)
        self.bits: set[int] = set()

    def thermal(self, frame: Frame, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Apply the thermal transform for the frame's depth."""
        self.bits.add(8 * frame.image.dtype.itemsize)
        return super().thermal(frame, out)


def first_samples(
    config: TrainingConfig, root: Path, count: int
) -> tuple[list[Sample], tuple[str, ...]]:
    """Draw what one process of `fit` would draw first.

    Args:
        config: the experiment.
        root: folder that relative data sets are in.
        count: samples at most.

    Returns:
        Samples, their captions telling data set, depth and image; and the names of the classes.
    """
    info = model_info(config)
    witness = _Witness(from_mapping(PreprocessConfig, info.preprocess, where=config.model))
    # Decoded when drawn: a sheet needs few of the images.
    folders = [DataFolder(replace(d, lazy=True), info.class_names, root) for d in config.train]
    samples = TrainingSamples(folders, config.augment, witness, seed=config.seed)
    drawn = []
    for position, pair in enumerate(samples.order(0)[:count]):
        witness.bits.clear()
        image, target = samples.sample(pair, epoch=0, position=position)
        folder = folders[pair[0]]
        depth = ' and '.join(str(b) for b in sorted(witness.bits))
        name = Path(folder.config.directory).name
        caption = f'{name}, {depth} bit, {folder.records[pair[1]].name}'
        boxes = _to_pixels(target.boxes.numpy(), image.shape)
        drawn.append(Sample(image, boxes, target.labels.numpy(), caption))
    return drawn, info.class_names


def describe(samples: Sequence[Sample], class_names: Sequence[str]) -> str:
    """Return how many samples of which data set and depth there are, and boxes per class."""
    sources = Counter(', '.join(s.caption.split(', ')[:2]) for s in samples)
    boxes = Counter(class_names[label] for s in samples for label in s.labels.tolist())
    lines = [f'{n:4} samples of {source}' for source, n in sorted(sources.items())]
    lines += [f'{boxes[name]:4} boxes of {name}' for name in class_names]
    return '\n'.join(lines)


def _to_pixels(
    boxes_cxcywh_norm: NDArray[np.float32], size: tuple[int, ...]
) -> NDArray[np.float32]:
    centre, extent = boxes_cxcywh_norm[:, :2], boxes_cxcywh_norm[:, 2:]
    corners = np.concatenate((centre - extent / 2, centre + extent / 2), 1)
    sides = np.array([size[1], size[0]] * 2, np.float32)
    return np.asarray(corners * sides, np.float32)
