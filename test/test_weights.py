"""What the repository ships as weights."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('torch')

from thermal_perception.models.checkpoint import load_checkpoint

SHIPPED = sorted((Path(__file__).parents[1] / 'weights').glob('*.safetensors'))
LIMIT_BYTES, LIMIT_OF_ALL_BYTES = 24_000_000, 80_000_000


def directories(values):
    """Yield every `directory` of nested lists and mappings."""
    if isinstance(values, dict):
        yield from ([values['directory']] if 'directory' in values else [])
        values = values.values()
    if not isinstance(values, str):
        for value in values if hasattr(values, '__iter__') else ():
            yield from directories(value)


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_load_with_a_card_that_names_them(path):
    checkpoint = load_checkpoint(path)
    assert f'`{checkpoint.fingerprint}`' in path.with_suffix('.md').read_text()
    assert checkpoint.info.metrics
    assert path.stat().st_size <= LIMIT_BYTES


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_tell_no_folder_of_a_machine(path):
    found = list(directories(load_checkpoint(path).info.training))
    assert found
    assert not [folder for folder in found if Path(folder).is_absolute()]


def test_all_shipped_weights_together_are_small():
    assert SHIPPED
    assert sum(path.stat().st_size for path in SHIPPED) <= LIMIT_OF_ALL_BYTES
