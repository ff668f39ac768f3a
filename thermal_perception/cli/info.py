"""`thermal-perception info`: what a checkpoint or an artefact is, without running it."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from thermal_perception.backends.artefact import read_record
from thermal_perception.cli import console
from thermal_perception.config import to_mapping
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


# Half a terminal of 80 columns; the values need the other.
_KEY_WIDTH = 36


def info(checkpoint: Path | None, model: str, json_path: Path | None) -> None:
    """Print the facts of a checkpoint, or of a folder that `export` wrote; write them as JSON.

    Raises:
        CheckpointError: if the file is missing, damaged or not ours.
        BackendError: if the folder is no artefact.
        ConfigError: if the JSON file cannot be written.
    """
    console.check_writable(json_path)
    path = checkpoint or shipped_weights(model)
    facts = artefact_facts(path) if path.is_dir() else read_facts(path)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style='bold', overflow='fold', max_width=_KEY_WIDTH)
    table.add_column(overflow='fold')
    for name, value in _flat(facts):
        table.add_row(name, escape(value))
    console.out.print(table)
    if json_path:
        console.write_json(json_path, facts)


def read_facts(path: Path) -> dict[str, Any]:
    """Return the record of a checkpoint with file size in bytes, fingerprint and parameters.

    Raises:
        CheckpointError: if the file is missing, damaged, not ours, or its weights do not fit.
    """
    checkpoint = load_checkpoint(path)
    parameters = sum(p.numel() for p in checkpoint.make_model().parameters())
    record = to_mapping(checkpoint.info)
    return {
        'model': record.pop('model'),
        'file': str(path),
        'file_bytes': path.stat().st_size,
        'parameters': parameters,
        'fingerprint': checkpoint.fingerprint,
        **record,
    }


def artefact_facts(folder: Path) -> dict[str, Any]:
    """Return the record of an artefact, its graphs by their names, with its size in bytes.

    Raises:
        BackendError: if it is none, or damaged.
    """
    record = to_mapping(read_record(folder))
    graphs = {graph.pop('name'): graph for graph in record.pop('graphs')}
    for graph in graphs.values():
        kinds = (f'{_shape(i["shape"])} {i["dtype"]}' if i else 'none' for i in graph['inputs'])
        graph['inputs'] = list(kinds)
        del graph['layout']
    return {
        'model': record.pop('model'),
        'folder': str(folder),
        'folder_bytes': sum(path.stat().st_size for path in folder.iterdir()),
        **record,
        'graphs': graphs,
    }


def _shape(lengths: Sequence[int]) -> str:
    return 'x'.join(map(str, lengths))


def _flat(values: Any, prefix: str = '') -> Iterator[tuple[str, str]]:
    """Yield (dotted name, text) of nested mappings; lists become one line."""
    for key, value in values.items():
        name = f'{prefix}{key}'
        if isinstance(value, dict) and value:
            yield from _flat(value, f'{name}.')
        elif isinstance(value, list):
            yield name, ', '.join(map(str, value))
        elif isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:
            yield name, f'{value:,}'
        elif value not in (None, '', {}):
            yield name, f'{value:.4g}' if isinstance(value, float) else str(value)
