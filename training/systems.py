"""The neural systems that can be trained, by architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from thermal_perception.models.record import CheckpointInfo
from training.config import TrainingConfig
from training.e2e_mfd.task import E2eMfdTask
from training.emiff.task import EmiffTask
from training.fusion_detr.task import FusionDetrTask
from training.rgbt_segmentation.task import RgbtSegmentationTask
from training.task import Task

if TYPE_CHECKING:
    from training.datasets.folder import PictureKind


@dataclass(frozen=True)
class System:
    """What training has to know of an architecture.

    Attributes:
        make_task: joins a network, its record and an experiment's options to what is trained.
        pictures: what every sample needs, leading image first; none for a system that sees a
            vehicle and the roadside, whose data `training.emiff.data` reads.
        metric: by which the best weights are chosen on dev.
    """

    make_task: Callable[[nn.Module, CheckpointInfo, TrainingConfig], Task]
    pictures: tuple[PictureKind, ...]
    metric: str = 'mAP50'


SYSTEMS = {
    'fusion_detr': System(FusionDetrTask.make, ('thermal',)),
    'e2e_mfd': System(E2eMfdTask.make, ('thermal', 'rgb')),
    'rgbt_segmentation': System(
        RgbtSegmentationTask.make, ('thermal', 'rgb', 'mask'), metric='mIoU'
    ),
    'emiff': System(EmiffTask.make, (), metric='AP3D_50'),
}
