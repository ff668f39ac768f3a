"""Typed configuration of a training run, read from one YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TYPE_CHECKING

from thermal_perception.config import from_mapping, read_yaml, set_by_path
from thermal_perception.errors import ConfigError
from training.augment import AugmentConfig
from training.datasets import DatasetConfig
from training.emiff.augment import CooperativeAugmentConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Averaging = Literal['rising', 'constant']
"""How weights are averaged, see `AveragedWeights`."""


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW and its schedule.

    Attributes:
        lr: learning rate of everything but the backbone.
        backbone_lr: learning rate of the backbone.
        weight_decay: not applied to biases, norms, w, beta and query embeddings.
        warmup_steps: linear rise from zero.
        schedule: `step` multiplies by 0.1 at `drop_at`, `cosine` falls to `final_factor`.
        drop_at: share of all steps after which `step` drops.
        final_factor: where `cosine` ends.
        clip_norm: global L2 norm of the gradients at most.
        ema_decay: of the averaged weights; 0 turns averaging off.
        ema: `rising` averages all there is and forgets fast at first; `constant` has the one
            decay from the first step on and averages what is trained, as RGB-T segmentation was
            published, with 0.999: for runs of many thousand steps.
        accumulate: micro-batches per step.
        normaliser: divide box losses by the objects of each `micro` batch, as DETR does, or of
            the whole `step`; with `step`, accumulating equals one large batch.
        decay_all: decay every parameter, as DETR does.
        recipe: `own` takes rates, decays and schedule that the system was published with, where
            there are such; then `lr`, `backbone_lr`, `weight_decay`, `decay_all`, `warmup_steps`,
            `schedule`, `drop_at` and `final_factor` do nothing.
    """

    lr: float = 1e-4
    backbone_lr: float = 1e-5
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    schedule: Literal['step', 'cosine'] = 'step'
    drop_at: float = 0.8
    final_factor: float = 0.05
    clip_norm: float = 0.1
    ema_decay: float = 0.0
    ema: Averaging = 'rising'
    accumulate: int = 1
    normaliser: Literal['micro', 'step'] = 'micro'
    decay_all: bool = False
    recipe: Literal['common', 'own'] = 'common'


@dataclass(frozen=True)
class TrainingConfig:
    """One experiment.

    Attributes:
        model: name of a model config, `config/models/NAME.yaml`.
        model_options: values of that file's `config` to replace, for an ablation.
        train: sources of training samples.
        dev: what choices are made on; never a test or val split.
        epochs: number of epochs.
        batch: samples per micro-batch.
        seed: of weights, order and augmentation.
        augment: see `AugmentConfig`; of systems that see single images or pairs.
        cooperative: see `CooperativeAugmentConfig`; of those that see a vehicle and the roadside.
        loss: options of the system's losses, for Fusion DETR those of `LossConfig`.
        optimiser: see `OptimiserConfig`.
        precision: `fp32`, `bf16` (autocast) or `fp16` (autocast with loss scaling, GPU).
        evaluate_every: epochs between evaluations on `dev`.
        backbone_weights: published weights to start the backbone from, by name.
        threads: PyTorch threads; 0 keeps its choice.
        workers: processes per training process that make batches ahead; 0 makes them in between,
            which is right on a CPU.
        deterministic: refuse operations whose result differs from run to run; slower on a GPU.
        patience: stop after this many evaluations without a better one; 0 never does.
        save_minutes: longest time between two saved states.
    """

    model: str
    train: tuple[DatasetConfig, ...]
    dev: tuple[DatasetConfig, ...]
    model_options: dict[str, Any] = field(default_factory=dict)
    epochs: int = 50
    batch: int = 4
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    cooperative: CooperativeAugmentConfig = field(default_factory=CooperativeAugmentConfig)
    loss: dict[str, Any] = field(default_factory=dict)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    precision: Literal['fp32', 'bf16', 'fp16'] = 'fp32'
    evaluate_every: int = 1
    backbone_weights: Literal['none', 'efficientnet_lite0_imagenet'] = 'none'
    threads: int = 0
    workers: int = 0
    deterministic: bool = False
    patience: int = 0
    save_minutes: float = 10.0

    def __post_init__(self) -> None:
        """Refuse runs that cannot be."""
        if self.epochs < 1 or self.batch < 1 or self.optimiser.accumulate < 1:
            raise ConfigError(
                f'found epochs {self.epochs}, batch {self.batch}, accumulate '
                f'{self.optimiser.accumulate}; expected at least 1'
            )
        if not self.train:
            raise ConfigError('train: found no data set, expected at least one')


def training_config(path: Path, assignments: Sequence[str] = ()) -> TrainingConfig:
    """Read an experiment from its YAML file.

    Args:
        path: the file.
        assignments: `dotted.key=value` each, applied in order.

    Raises:
        ConfigError: if the file cannot be read, or holds an unknown key or a wrong value.
    """
    values = read_yaml(path)
    for assignment in assignments:
        set_by_path(values, assignment)
    return from_mapping(TrainingConfig, values, where=str(path))
