"""What a run of EMIFF is trained on and scored by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TYPE_CHECKING

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.cooperative import (
    CooperativeModel,
    CooperativeOptions,
    score_frames,
    to_json,
)
from thermal_perception.evaluation.dair import read_frames
from thermal_perception.models.checkpoint import Checkpoint
from thermal_perception.models.emiff.config import EmiffConfig
from thermal_perception.perceive.cooperative import RoadsidePerceiver, VehiclePerceiver
from thermal_perception.preprocess import ViewConfig, ViewPreprocess
from training.emiff.samples import CooperativeSamples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thermal_perception.evaluation.cooperative import Cameras
    from thermal_perception.evaluation.dair import CooperativeFrame
    from thermal_perception.models.record import CheckpointInfo
    from training.config import TrainingConfig
    from training.datasets import DatasetConfig

_CAMERAS: tuple[Cameras, ...] = ('both', 'ego', 'infra')


def training_samples(
    config: TrainingConfig, info: CheckpointInfo, data: Path
) -> CooperativeSamples:
    """Read the training sets of an experiment.

    Raises:
        ConfigError: if one has another layout than `dair`.
        DatasetError: if one is not as it should be.
    """
    model = from_mapping(EmiffConfig, info.config, where=config.model)
    preprocess = ViewPreprocess(from_mapping(ViewConfig, info.preprocess, where=config.model))
    folders = [(_folder(data, source), source.split) for source in config.train]
    return CooperativeSamples(
        folders, config.cooperative, preprocess, model.grid, seed=config.seed
    )


def dev_frames(config: TrainingConfig, data: Path) -> list[CooperativeFrame]:
    """Read the frames that choices are made on."""
    return [
        frame
        for source in config.dev
        for frame in read_frames(_folder(data, source), source.split)
    ]


def evaluate(
    state: Mapping[str, Tensor],
    frames: Sequence[CooperativeFrame],
    info: CheckpointInfo,
    device: str,
) -> dict[str, Any]:
    """Score weights, through the same code as on the robots.

    Returns:
        The figures with both cameras; those with one alone under `ego` and `infra`.
    """
    checkpoint = Checkpoint(info, dict(state), 'training', Path('memory'))
    model = CooperativeModel(
        RoadsidePerceiver(checkpoint, device=device), VehiclePerceiver(checkpoint, device=device)
    )
    both, ego, infra = (
        to_json(score_frames(model, frames, CooperativeOptions(cameras)).score())
        for cameras in _CAMERAS
    )
    return {**both, 'ego': ego, 'infra': infra}


def _folder(data: Path, source: DatasetConfig) -> Path:
    if source.layout != 'dair':
        raise ConfigError(
            f'{source.directory}: found layout {source.layout!r}, expected dair for this model'
        )
    return data / source.directory
