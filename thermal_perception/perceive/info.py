"""What users may know of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class ModelInfo:
    """What users may know of the model that runs.

    Attributes:
        model: its name, for example `fusion_detr_lite`.
        class_names: lower-case names in label order.
        fingerprint: 16 hex digits over weights and configuration.
        parameters: number of trained values.
        input_size: (height, width) it was trained for; None if any.
        default_score_threshold: threshold the weights were chosen with.
        strides: strides whose fusion weights are reported; empty without selective fusion.
        path: file of the weights.
        metadata: training data, metrics and licence as the checkpoint states them.
    """

    model: str
    class_names: tuple[str, ...]
    fingerprint: str
    parameters: int
    input_size: tuple[int, int] | None
    default_score_threshold: float
    strides: tuple[int, ...]
    path: Path
    metadata: Mapping[str, Any]
