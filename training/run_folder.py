"""The files of a run; each is whole or not there at all.

config.yaml          the experiment, every value resolved
log.jsonl            a line per step, epoch and evaluation
tensorboard/         the same as curves, where TensorBoard is installed
last.pt              everything needed to go on
last.safetensors     weights to evaluate and to run, after each epoch
best.safetensors     the ones with the best score on dev
"""

from __future__ import annotations

from contextlib import suppress
import json
import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

import torch
import yaml

from thermal_perception.files import write_whole
from thermal_perception.models.checkpoint import save_checkpoint
from thermal_perception.models.record import CheckpointInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class RunFolder:
    """A folder that one process writes and others only read."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        """Open or make the folder; without `writes` only `keep` writes."""
        self.path, self._writes = path, writes
        self._board: Any = None
        if writes:
            path.mkdir(parents=True, exist_ok=True)

    @property
    def state_file(self) -> Path:
        """Where the state is."""
        return self.path / 'last.pt'

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved experiment."""
        if self._writes:
            text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
            (self.path / 'config.yaml').write_text(text, encoding='utf-8')

    def log(self, values: Mapping[str, Any]) -> None:
        """Append a line, and its numbers as points of curves if it has a `step`."""
        if not self._writes:
            return
        with (self.path / 'log.jsonl').open('a', encoding='utf-8') as file:
            file.write(json.dumps(values) + '\n')
        self._draw(values)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state; a full disk or a killed process leaves the one before."""
        self.save(state, self.state_file.name)

    def save(self, content: Any, name: str) -> None:
        """Write what torch can save under a name."""
        if self._writes:
            self.keep(content, name)

    def keep(self, content: Any, name: str) -> Path:
        """Write what torch can save, from whichever process; returns the file."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / name
        part = file.with_name(f'{name}.part')
        try:
            torch.save(content, part)
            _to_disk(part)
            os.replace(part, file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return file

    def save_weights(self, name: str, state: Mapping[str, Tensor], info: CheckpointInfo) -> None:
        """Write a checkpoint for the robot."""
        if self._writes:
            save_checkpoint(self.path / f'{name}.safetensors', state, info)

    def load_state(self, device: torch.device) -> dict[str, Any] | None:
        """Return the state, None if there is none."""
        if not self.state_file.is_file():
            return None
        state: dict[str, Any] = torch.load(
            self.state_file, map_location=device, weights_only=True
        )
        return state

    def cut_log(self, step: int) -> None:
        """Forget what the log says of step `step` and later: a resumed run takes them again."""
        file = self.path / 'log.jsonl'
        if not (self._writes and file.is_file()):
            return
        lines = file.read_text(encoding='utf-8').splitlines(keepends=True)
        kept = [line for line in lines if _step_of(line) < step]
        if len(kept) < len(lines):
            write_whole(file, ''.join(kept))

    def close(self) -> None:
        """Finish the curves."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _draw(self, values: Mapping[str, Any]) -> None:
        if 'step' not in values:
            return
        if self._board is None:
            self._board = _summary_writer(self.path / 'tensorboard')
        for name, value in values.items():
            if name != 'step' and isinstance(value, int | float):
                self._board.add_scalar(name, value, values['step'])


class _NoBoard:
    """Stands in where TensorBoard is not installed."""

    def add_scalar(self, *_: object) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """Finish nothing."""


def _summary_writer(path: Path) -> Any:
    with suppress(ImportError):
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(path))
    return _NoBoard()


def _step_of(line: str) -> float:
    """Return the step a line of the log is about; infinity for a line that was cut off."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError:
        return float('inf')
    return float(values.get('step', values.get('after_step', -1)))


def _to_disk(file: Path) -> None:
    """Return when the content is on the disk, not only in the kernel."""
    with file.open('rb') as opened:
        os.fsync(opened.fileno())
