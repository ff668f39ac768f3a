"""One file per model: float16 weights and everything needed to use them, as safetensors."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save_file
import torch

from thermal_perception.config import to_mapping
from thermal_perception.errors import CheckpointError, ConfigError
from thermal_perception.models.build import make_model
from thermal_perception.models.record import as_metadata, CheckpointInfo, open_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn, Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        info: its record.
        state: parameters and buffers, float32.
        fingerprint: 16 hex digits over weights and configuration.
        path: where it came from.
    """

    info: CheckpointInfo
    state: dict[str, Tensor]
    fingerprint: str
    path: Path

    def make_model(self) -> nn.Module:
        """Build the network with these weights, in evaluation mode.

        Raises:
            CheckpointError: if the weights do not fit the configuration.
        """
        try:
            with torch.random.fork_rng(devices=[]):  # a GPU may be lost
                model = make_model(self.info.architecture, self.info.config, where=str(self.path))
            model.load_state_dict(self.state, strict=True)
        except (ConfigError, RuntimeError) as error:
            raise CheckpointError(f'{self.path}: weights do not fit: {error}') from error
        return model.eval()


def save_checkpoint(
    path: Path,
    state: Mapping[str, Tensor],
    info: CheckpointInfo,
    *,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a checkpoint; the file appears whole or not at all.

    A tensor with values beyond the range of `dtype` keeps its own precision.

    Raises:
        CheckpointError: if a weight is NaN or infinite.
    """
    tensors = stored_tensors(state, dtype)
    part = path.with_name(path.name + '.part')
    save_file(tensors, part, metadata=as_metadata(info))
    part.chmod(0o644)  # safetensors makes it private, but installed weights are for everyone
    os.replace(part, path)


def stored_tensors(
    state: Mapping[str, Tensor], dtype: torch.dtype = torch.float16
) -> dict[str, Tensor]:
    """Return weights as they stand in a file.

    Raises:
        CheckpointError: if a weight is NaN or infinite.
    """
    return {k: _stored(k, v.detach().cpu(), dtype).contiguous() for k, v in state.items()}


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: if the file is missing, truncated, no checkpoint of this package, or of
            another schema version.
    """
    with open_weights(path, 'pt') as (info, file):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    fingerprint = fingerprint_of(tensors, info)
    state = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    return Checkpoint(info, state, fingerprint, path)


def fingerprint_of(tensors: Mapping[str, Tensor], info: CheckpointInfo) -> str:
    """Return 16 hex digits that change with any weight, class name or setting of the model."""
    digest = hashlib.sha256()
    settings = ['architecture', 'config', 'preprocess', 'class_names']
    if info.suppress_iou < 1:  # files from before this setting keep their fingerprint
        settings.append('suppress_iou')
    described = {k: to_mapping(info)[k] for k in settings}
    digest.update(json.dumps(described, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def save_random(path: Path, info: CheckpointInfo, *, seed: int = 0) -> None:
    """Write a checkpoint with random weights, for tests and examples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make_model(info.architecture, info.config, where='save_random')
    save_checkpoint(path, model.state_dict(), info)


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(f'{name!r} holds NaN or Inf, expected finite weights')
    rounded = tensor.to(dtype)
    return rounded if bool(torch.isfinite(rounded).all()) else tensor
