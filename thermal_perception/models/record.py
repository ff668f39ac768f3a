"""What a checkpoint says of itself, readable without PyTorch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
import json
from typing import Any, Literal, TYPE_CHECKING

from safetensors import safe_open, SafetensorError

from thermal_perception.config import from_mapping, to_mapping
from thermal_perception.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCHEMA_VERSION = 1
_KEY = 'thermal_perception'


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself.

    Attributes:
        model: name users know it by, for example `fusion_detr_lite`.
        architecture: class of network, for example `fusion_detr`.
        config: fields of the architecture's config dataclass.
        preprocess: fields of the preprocessing config.
        class_names: lower-case names in label order.
        input_size: (height, width) it was trained for; None if any.
        score_threshold: default for showing detections.
        suppress_iou: a box that overlaps a better one of its class by more than this repeats it
            and is left out; 1 keeps all.
        training: data, seed, epochs, hardware, command.
        metrics: results of this very file, by data set.
        licence: SPDX name and attribution.
        source_commit: commit of the code that trained it.
        schema_version: of this record.
    """

    model: str
    architecture: str
    config: dict[str, Any]
    preprocess: dict[str, Any]
    class_names: tuple[str, ...]
    input_size: tuple[int, int] | None = None
    score_threshold: float = 0.5
    suppress_iou: float = 1.0
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    licence: str = ''
    source_commit: str = ''
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Refuse what is no overlap."""
        if not 0 < self.suppress_iou <= 1:
            raise ConfigError(f'suppress_iou: found {self.suppress_iou}, expected in (0, 1]')


def read_record(path: Path) -> CheckpointInfo:
    """Read the record of a checkpoint, not its weights.

    Raises:
        CheckpointError: if the file is missing, truncated, no checkpoint of this package, or of
            another schema version.
    """
    with open_weights(path, 'numpy') as (info, _):
        return info


@contextmanager
def open_weights(
    path: Path, framework: Literal['pt', 'numpy']
) -> Iterator[tuple[CheckpointInfo, Any]]:
    """Open a checkpoint; gives its record and the safetensors file.

    Args:
        path: the file.
        framework: what its tensors are read as.

    Raises:
        CheckpointError: as `read_record`, and if a tensor cannot be read in the context.
    """
    if not path.is_file():
        raise CheckpointError(f'{path}: no such file, expected a .safetensors checkpoint')
    try:
        with safe_open(path, framework=framework) as file:
            yield _read_info(path, file.metadata() or {}), file
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f'{path}: damaged or not safetensors: {error}') from error


def as_metadata(info: CheckpointInfo) -> dict[str, str]:
    """Return a record as the metadata of a safetensors file."""
    return {_KEY: json.dumps(to_mapping(info), sort_keys=True)}


def _read_info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    if _KEY not in metadata:
        raise CheckpointError(
            f'{path}: found safetensors without {_KEY!r} metadata, expected a checkpoint '
            'written by this package'
        )
    try:
        values = json.loads(metadata[_KEY])
        version = values.get('schema_version')
    except (json.JSONDecodeError, AttributeError) as error:
        raise CheckpointError(f'{path}: metadata is not a JSON object: {error}') from error
    if version != SCHEMA_VERSION:
        raise CheckpointError(
            f'{path}: found schema version {version!r}, this package reads {SCHEMA_VERSION}'
        )
    try:
        return from_mapping(CheckpointInfo, values, where=str(path))
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
