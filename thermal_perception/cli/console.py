"""Where the commands print: tables for people, lines for logs, JSON for scripts."""

from __future__ import annotations

import json
import os
from typing import Any, TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from thermal_perception.errors import ConfigError
from thermal_perception.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def progress_bar(description: str, total: int | None = None) -> Progress:
    """Return a bar on stderr with one task, hidden when stderr is no terminal."""
    progress = Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    progress.add_task(description, total=total)
    return progress


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file in one step, so that a reader never sees half of it.

    Raises:
        ConfigError: if the folder does not exist or cannot be written.
    """
    text = json.dumps(values, indent=2, allow_nan=False) + '\n'
    try:
        write_whole(path, text)
    except OSError as error:
        raise ConfigError(f'--json {path}: cannot be written: {error.strerror}') from error


def check_writable(path: Path | None) -> None:
    """Refuse an output file that cannot be written, before hours of work go into it.

    Raises:
        ConfigError: if the folder does not exist or is read-only.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise ConfigError(f'{path}: the folder {path.parent} does not exist')
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f'{path}: cannot be written')


def fraction(value: float | None) -> str:
    """Return a fraction as a per cent text, `-` if it is unknown."""
    return '-' if value is None else f'{100 * value:.1f}'
