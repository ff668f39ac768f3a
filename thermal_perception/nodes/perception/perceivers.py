"""How nodes get at a model: by one function that tests replace."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TYPE_CHECKING

from thermal_perception.nodes.base.network_health import Network
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Collection

    from thermal_perception.nodes.parameters.perception import ModelParameters
    from thermal_perception.types import FrameSet, Modality, Output, Perception


class ModelInfoLike(Protocol):
    """What nodes read of `perceive.ModelInfo`."""

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Lower-case names in label order."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights and configuration."""

    @property
    def default_score_threshold(self) -> float:
        """Threshold the weights were chosen with."""

    @property
    def path(self) -> Path:
        """File of the weights."""


class PerceiverLike(Network, Protocol):
    """What nodes use of `perceive.Perceiver`."""

    @property
    def info(self) -> ModelInfoLike:
        """What runs."""

    def warm_up(self, size: tuple[int, int]) -> None:
        """Run once on a black image of (height, width)."""

    @property
    def cameras(self) -> tuple[Modality, ...]:
        """Cameras that it looks at, leading one first."""

    @property
    def outputs(self) -> frozenset[Output]:
        """What it can be asked for."""

    def __call__(
        self, frames: FrameSet, *, wanted: Collection[Output] | None = None
    ) -> Perception:
        """Perceive one set of frames; `wanted` is what to compute, None all that it can."""


def load_perceiver(parameters: ModelParameters, **limits: int) -> PerceiverLike:
    """Load the model that the parameters name.

    Args:
        parameters: of the node.
        limits: more of what `Perceiver.load` takes, for nodes that have a parameter for it.

    Raises:
        CheckpointError: if the weights are missing, damaged or of another model.
        BackendError: if the device is not there and falling back is not allowed, or the backend
            not installed.
    """
    # Importing torch takes seconds: wrong parameters are reported before it.
    from thermal_perception.perceive import Perceiver

    return Perceiver.load(
        weights_path(parameters),
        device=parameters.device,
        max_detections=parameters.max_detections,
        fallback_to_cpu=parameters.fallback_to_cpu,
        num_threads=parameters.num_threads or None,
        backend=parameters.backend,
        precision=parameters.precision,
        live=True,
        artefact=Path(parameters.artefact).expanduser() if parameters.artefact else None,
        **limits,
    )


def weights_path(parameters: ModelParameters) -> Path:
    """Return the weights file that the parameters name.

    Raises:
        CheckpointError: if no weights are shipped for the model.
    """
    if parameters.checkpoint:
        return Path(parameters.checkpoint).expanduser()
    return shipped_weights(parameters.model)
