"""Training samples: augmented crops of the images of several data sets, one camera or two."""

from __future__ import annotations

from training.samples.batch import Batch, collate
from training.samples.sample import Sample
from training.samples.training_samples import TrainingSamples

__all__ = ['Batch', 'collate', 'Sample', 'TrainingSamples']
