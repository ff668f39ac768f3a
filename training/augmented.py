"""What `fit` would see: the first samples of an experiment, with their boxes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TYPE_CHECKING

from thermal_perception.config import from_mapping
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from training.datasets import DataFolder
from training.fit import model_info
from training.samples import TrainingSamples
from training.systems import SYSTEMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thermal_perception.types import Frame
    from training.config import TrainingConfig
    from training.samples import Sample


class FirstSamples(NamedTuple):
    """What one process of `fit` would draw first.

    Attributes:
        samples: as the network gets them.
        captions: data set, depth and image of each.
        class_names: in label order.
    """

    samples: list[Sample]
    captions: list[str]
    class_names: tuple[str, ...]


class _Witness(Preprocess):
    """Notes the depth of the frames that it turns into the network's input."""

    def __init__(self, config: PreprocessConfig) -> None:
        super().__init__(config)
        self.bits: set[int] = set()

    def thermal(self, frame: Frame, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Apply the thermal transform for the frame's depth."""
        self.bits.add(8 * frame.image.dtype.itemsize)
        return super().thermal(frame, out)


def first_samples(config: TrainingConfig, root: Path, count: int) -> FirstSamples:
    """Draw what one process of `fit` would draw first.

    Args:
        config: the experiment.
        root: folder that relative data sets are in.
        count: samples at most.
    """
    info = model_info(config)
    witness = _Witness(from_mapping(PreprocessConfig, info.preprocess, where=config.model))
    # Decoded when drawn: a sheet needs few of the images.
    pictures = SYSTEMS[info.architecture].pictures
    folders = [
        DataFolder(replace(d, lazy=True), info.class_names, root, pictures=pictures)
        for d in config.train
    ]
    samples = TrainingSamples(folders, config.augment, witness, seed=config.seed)
    first = FirstSamples([], [], info.class_names)
    for position, pair in enumerate(samples.order(0)[:count]):
        witness.bits.clear()
        first.samples.append(samples.sample(pair, epoch=0, position=position))
        folder = folders[pair[0]]
        depth = ' and '.join(str(b) for b in sorted(witness.bits))
        name = Path(folder.config.directory).name
        first.captions.append(f'{name}, {depth} bit, {folder.records[pair[1]].name}')
    return first


def describe(first: FirstSamples) -> str:
    """Return how many samples of which data set and depth there are, and boxes per class."""
    sources = Counter(', '.join(caption.split(', ')[:2]) for caption in first.captions)
    boxes = Counter(first.class_names[n] for s in first.samples for n in s.labels.tolist())
    lines = [f'{n:4} samples of {source}' for source, n in sorted(sources.items())]
    lines += [f'{boxes[name]:4} boxes of {name}' for name in first.class_names]
    return '\n'.join(lines)
