"""Where installed data files are: configuration, weights, launch files."""

from __future__ import annotations

import os
from pathlib import Path
import sys

from thermal_perception.errors import CheckpointError, ConfigError

_PACKAGE = 'thermal_perception'
_LITE = {'rgbt_segmentation': 'rgbt_lite'}


def share_path(*parts: str) -> Path:
    """Return the path of a data file or folder of this package.

    The source tree comes first when the package is imported from it; else every prefix of
    `AMENT_PREFIX_PATH` and of this Python is looked at.

    Raises:
        ConfigError: if it is nowhere; the message lists the places.
    """
    candidates = [root.joinpath(*parts) for root in _roots()]
    for path in candidates:
        if path.exists():
            return path
    looked = ', '.join(map(str, candidates))
    raise ConfigError(f'{"/".join(parts)}: not found, looked at {looked}')


def shipped_weights(model: str) -> Path:
    """Return the weights file of a shipped model.

    Args:
        model: its name; that of a system, as `e2e_mfd`, means its lite model.

    Raises:
        CheckpointError: if none are shipped under this name.
    """
    try:
        return share_path('weights', f'{model}.safetensors')
    except ConfigError as error:
        lite = _LITE.get(model, f'{model}_lite')
        try:
            return share_path('weights', f'{lite}.safetensors')
        except ConfigError:
            raise CheckpointError(
                f'no weights are shipped for model {model!r}: {error}'
            ) from error


def _roots() -> list[Path]:
    source = Path(__file__).resolve().parents[1]
    roots = [source] if (source / 'package.xml').is_file() else []
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    return roots + [Path(p) / 'share' / _PACKAGE for p in [*prefixes, sys.prefix]]
