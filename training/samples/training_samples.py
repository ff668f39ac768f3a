"""Which samples an epoch holds, in which order, and the batches made of them.

A sample is a function of (seed, epoch, position), so that an interrupted run continues with
exactly the same data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.samples.batch import collate
from training.samples.drawer import SampleDrawer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.preprocess import Preprocess
    from training.augment import AugmentConfig
    from training.datasets import DataFolder
    from training.samples.batch import Batch
    from training.samples.sample import Sample


class TrainingSamples:
    """Draws augmented crops from several folders."""

    def __init__(
        self,
        folders: Sequence[DataFolder],
        augment: AugmentConfig,
        preprocess: Preprocess,
        *,
        seed: int,
    ) -> None:
        """Count how often each image appears.

        Args:
            folders: data sets, all with the same kinds of pictures.
            augment: how samples are varied.
            preprocess: what the robot does with its frames.
            seed: of order and augmentation.

        Raises:
            ConfigError: if what is asked for needs other pictures than the folders have.
        """
        self.folders, self.preprocess, self.seed = folders, preprocess, seed
        self.drawer = SampleDrawer(folders, augment, preprocess)
        self._expected = [_appearances(f) for f in folders]

    @property
    def per_epoch(self) -> int:
        """Expected number of samples of an epoch."""
        return int(sum(e.sum() for e in self._expected))

    def order(self, epoch: int) -> list[tuple[int, int]]:
        """Return the (folder, image) pairs of an epoch, shuffled; exactly `per_epoch` of them."""
        rng = np.random.default_rng((self.seed, epoch))
        pairs = []
        for f, expected in enumerate(self._expected):
            whole = np.floor(expected + rng.random(len(expected))).astype(int)
            pairs += [(f, int(i)) for i in np.repeat(np.arange(len(whole)), whole)]
        picked = rng.permutation(len(pairs))
        short = self.per_epoch - len(picked)
        if short > 0:
            picked = np.concatenate((picked, rng.integers(len(pairs), size=short)))
        return [pairs[i] for i in picked[: self.per_epoch]]

    def sample(self, pair: tuple[int, int], *, epoch: int, position: int) -> Sample:
        """Return the sample of a (folder, image) pair at a position of an epoch."""
        return self.drawer.draw(pair, np.random.default_rng((self.seed, epoch, position)))

    def batch(self, pairs: Sequence[tuple[int, int]], *, epoch: int, first: int) -> Batch:
        """Return the batch whose first sample has position `first` in the epoch."""
        samples = [
            self.sample(pair, epoch=epoch, position=first + i) for i, pair in enumerate(pairs)
        ]
        return collate(samples, self.preprocess.config)


def _appearances(folder: DataFolder) -> NDArray[np.float64]:
    """Return how often each image is expected in an epoch."""
    classes = len(folder.class_names)
    has = np.array([np.bincount(r.labels, minlength=classes) > 0 for r in folder.records])
    frequency = np.maximum(has.mean(0), 1e-6)
    boost = np.maximum(np.sqrt(folder.config.rare_repeat / frequency), 1.0)
    rarest = np.where(has, boost, 1.0).max(1)
    return rarest * folder.config.repeat
