"""Graphs of a checkpoint that were made once: a folder of them, and a JSON file that tells all.

People share such folders, so nothing in one is executed: no pickle, no name that is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import hashlib
from importlib import metadata
import json
from pathlib import Path
import shutil
import tempfile
from typing import Any, NamedTuple, TYPE_CHECKING

import torch

from thermal_perception.backends.tracing import Signature
from thermal_perception.config import from_mapping, to_mapping
from thermal_perception.errors import BackendError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

FORMAT = 1
RECORD = 'artefact.json'
_PACKAGE = 'thermal_perception'
_DTYPES = {'float32': torch.float32, 'int64': torch.int64, 'bool': torch.bool}
_SUFFIXES = ('.xml', '.bin', '.onnx')
_MOST_RECORD_BYTES = 4_000_000


@dataclass(frozen=True)
class InputRecord:
    """One tensor that a graph takes.

    Attributes:
        shape: its lengths.
        dtype: `float32`, `int64` or `bool`.
    """

    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        """Refuse other numbers."""
        if self.dtype not in _DTYPES:
            raise ConfigError(f'dtype: found {self.dtype!r}, expected {" or ".join(_DTYPES)}')


@dataclass(frozen=True)
class GraphRecord:
    """One graph.

    Attributes:
        name: what it is for: cameras and outputs.
        graph: the file that the run-time is given.
        inputs: of the network, in the order of its `forward`; None for what is missing.
        options: switches of its `forward`; what is no switch, as Python writes it.
        opset: newest set of operations in it.
        layout: the output, with numbers of the graph's outputs; see `layout_to_json`.
        files: SHA-256 of every file, in hex digits.
        int8: how many operations of a kind multiply 8-bit integers.
        floating: with int8, how many of a kind multiply floating-point numbers.
    """

    name: str
    graph: str
    inputs: tuple[InputRecord | None, ...]
    options: dict[str, bool | str]
    opset: str
    layout: Any
    files: dict[str, str]
    int8: dict[str, int] = field(default_factory=dict)
    floating: dict[str, int] = field(default_factory=dict)

    @property
    def signature(self) -> Signature:
        """What it is made for."""
        kinds = tuple(None if i is None else (i.shape, _DTYPES[i.dtype]) for i in self.inputs)
        return Signature(kinds, tuple(sorted(self.options.items())))

    def __post_init__(self) -> None:
        """Refuse files elsewhere."""
        for name in (self.graph, *self.files):
            if not name or Path(name).name != name:
                raise ConfigError(f'files: found {name!r}, expected a plain name')
        if self.graph not in self.files:
            raise ConfigError(f'files: found no {self.graph!r}')


@dataclass(frozen=True)
class ArtefactRecord:
    """What an artefact says of itself.

    Attributes:
        backend: run-time that its graphs are for.
        model: name of the checkpoint's model.
        architecture: of its network.
        config: of its network.
        preprocess: of its images.
        class_names: lower-case names in label order.
        fingerprint: of the checkpoint.
        licence: of the checkpoint.
        precision: of the numbers in the graphs: `fp32` or `int8`.
        image_size: (height, width) of the camera images they are for.
        versions: of what made it.
        graphs: one per set of cameras and outputs, and for all cameras per number of images.
        calibration: how many images the ranges of int8 numbers were taken from.
        together: how many images of each camera go through the network at once, at most.
        format: of this record.
    """

    backend: str
    model: str
    architecture: str
    config: dict[str, Any]
    preprocess: dict[str, Any]
    class_names: tuple[str, ...]
    fingerprint: str
    licence: str
    precision: str
    image_size: tuple[int, int]
    versions: dict[str, str]
    graphs: tuple[GraphRecord, ...] = field(default_factory=tuple)
    calibration: int = 0
    together: int = 1
    format: int = FORMAT


class Origin(NamedTuple):
    """What a network was loaded from, and what its output is made of.

    Attributes:
        checkpoint: file of the weights.
        fingerprint: of the weights.
        kinds: named tuples that what is selected of its output may consist of.
        folder: artefact of it; None if it lies beside the weights, or is not there.
    """

    checkpoint: Path
    fingerprint: str
    kinds: tuple[type[Any], ...]
    folder: Path | None = None


class StoredGraph(NamedTuple):
    """A graph in a file.

    Attributes:
        path: what the run-time is given.
        numbers: the output of the network with a number in place of each tensor.
    """

    path: Path
    numbers: Any


class Artefact:
    """An artefact that fits a checkpoint.

    Attributes:
        folder: where it lies.
        record: what it says of itself.
    """

    def __init__(
        self, folder: Path, origin: Origin, backend: str, precision: str = 'fp32'
    ) -> None:
        """Read what it says, not its graphs.

        Args:
            folder: where it lies.
            origin: of the network.
            backend: run-time that it is for.
            precision: of its numbers: `fp32` or `int8`.

        Raises:
            BackendError: if it is no artefact, damaged, or anything else than expected; or of
                another version.
        """
        self.folder = folder
        self.record = read_record(folder)
        ours = versions_of(_PACKAGE)[_PACKAGE]
        for what, found, expected in (
            ('backend', self.record.backend, backend),
            ('precision', self.record.precision, precision),
            ('fingerprint', self.record.fingerprint, origin.fingerprint),
            (f'version of {_PACKAGE}', self.record.versions.get(_PACKAGE), ours),
        ):
            if found != expected:
                raise BackendError(f'{folder}: found {what} {found!r}, expected {expected!r}')
        where, kinds = str(folder), origin.kinds
        self._graphs = {
            graph.signature: (graph, layout_from_json(graph.layout, kinds, where=where))
            for graph in self.record.graphs
        }

    @classmethod
    def find(cls, origin: Origin, backend: str, precision: str = 'fp32') -> Artefact | None:
        """Open the artefact of a network; None if nobody named one and none lies beside it.

        Raises:
            BackendError: as the constructor.
        """
        if origin.folder is not None:
            return cls(origin.folder, origin, backend, precision)
        beside = artefact_folder(origin.checkpoint, backend, precision)
        return cls(beside, origin, backend, precision) if beside.exists() else None

    def __contains__(self, signature: Signature) -> bool:
        """Tell whether it has a graph for this."""
        return _plain(signature) in self._graphs

    def graph(self, signature: Signature) -> StoredGraph:
        """Return a graph, its files looked through.

        Raises:
            BackendError: if a file is missing or not what was written.
        """
        record, numbers = self._graphs[_plain(signature)]
        for name, expected in record.files.items():
            path = self.folder / name
            try:
                found = _sha256(path)
            except OSError as error:
                raise BackendError(f'{path}: cannot be read: {error.strerror}') from error
            if found != expected:
                raise BackendError(
                    f'{path}: found SHA-256 {found[:16]}..., expected {expected[:16]}...: damaged '
                    'or changed'
                )
        return StoredGraph(self.folder / record.graph, numbers)


def artefact_folder(checkpoint: Path, backend: str, precision: str = 'fp32') -> Path:
    """Return where the artefact of a checkpoint lies unless somebody says otherwise."""
    suffix = '-int8' if precision == 'int8' else ''
    return checkpoint.with_suffix(f'.{backend}{suffix}')


def read_record(folder: Path) -> ArtefactRecord:
    """Read what an artefact says of itself.

    Raises:
        BackendError: if there is none, or it is damaged or of another format.
    """
    path = folder / RECORD
    try:
        if path.stat().st_size > _MOST_RECORD_BYTES:
            raise BackendError(f'{path}: found {path.stat().st_size} bytes, too many for a record')
        values = json.loads(path.read_text(encoding='utf-8'))
        version = values.get('format')
    except OSError as error:
        raise BackendError(f'{path}: cannot be read: {error.strerror}') from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise BackendError(f'{path}: not a JSON object: {error}') from error
    if version != FORMAT:
        raise BackendError(f'{path}: found format {version!r}, this package reads {FORMAT}')
    try:
        return from_mapping(ArtefactRecord, values, where=str(path))
    except ConfigError as error:
        raise BackendError(str(error)) from error


class ArtefactWriter:
    """Writes an artefact beside its place; it appears there whole or not at all."""

    def __init__(self, folder: Path, *, replace: bool) -> None:
        """Begin.

        Raises:
            ConfigError: if there is something at its place already which may not be replaced, or
                the folder above is missing or read-only.
        """
        self._place = folder
        if folder.exists():
            _check_replaceable(folder, replace=replace)
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
        except OSError as error:
            raise ConfigError(f'{folder}: cannot be written: {error.strerror}') from error

    def finish(self, record: ArtefactRecord) -> None:
        """Write the record, and put all in its place."""
        text = json.dumps(to_mapping(record), indent=2, allow_nan=False) + '\n'
        (self.folder / RECORD).write_text(text, encoding='utf-8')
        self.folder.chmod(0o755)
        if self._place.exists():
            old = Path(tempfile.mkdtemp(prefix=f'.{self._place.name}.', dir=self._place.parent))
            self._place.rename(old / 'old')
            self.folder.rename(self._place)
            shutil.rmtree(old)
        else:
            self.folder.rename(self._place)

    def give_up(self) -> None:
        """Remove what was written, if it is not in its place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def record_of(
        self, name: str, graph: str, signature: Signature, *, opset: str, numbers: Any
    ) -> GraphRecord:
        """Return the record of a graph whose files, named as `graph`, have been written."""
        stem = Path(graph).stem
        files = sorted(path for path in self.folder.iterdir() if path.stem == stem)
        known = {dtype: text for text, dtype in _DTYPES.items()}
        return GraphRecord(
            name,
            graph,
            tuple(None if k is None else InputRecord(k[0], known[k[1]]) for k in signature.inputs),
            {name: _option(value) for name, value in signature.options},
            opset,
            layout_to_json(numbers),
            {path.name: _sha256(path) for path in files},
        )


def versions_of(*packages: str) -> dict[str, str]:
    """Return the installed versions of packages, `unknown` where nothing tells."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = 'unknown'
    return found


def layout_to_json(numbers: Any) -> Any:
    """Return an output as JSON can hold it.

    Args:
        numbers: a number or None, or a tuple, named or not, of such.

    Returns:
        A tuple as a list, a named one as `{name: {field: ...}}`.
    """
    if not isinstance(numbers, tuple):
        return numbers
    parts = [layout_to_json(part) for part in numbers]
    if not hasattr(numbers, '_fields'):
        return parts
    return {type(numbers).__name__: dict(zip(numbers._fields, parts, strict=True))}


def layout_from_json(layout: Any, kinds: Sequence[type[Any]], *, where: str) -> Any:
    """Return what `layout_to_json` was given.

    Args:
        layout: from a file.
        kinds: the named tuples there may be.
        where: the file, for messages.

    Raises:
        BackendError: if it is anything else.
    """
    if layout is None or type(layout) is int:
        return layout
    if isinstance(layout, list):
        return tuple(layout_from_json(part, kinds, where=where) for part in layout)
    if isinstance(layout, dict) and len(layout) == 1:
        (name, parts), known = *layout.items(), {kind.__name__: kind for kind in kinds}
        kind = known.get(name)
        if kind is not None and isinstance(parts, dict) and tuple(parts) == kind._fields:
            return kind(*(layout_from_json(part, kinds, where=where) for part in parts.values()))
    names = ' and '.join(f'{kind.__name__}({", ".join(kind._fields)})' for kind in kinds)
    raise BackendError(f'{where}: found the output {layout!r:.200}, expected one made of {names}')


def _check_replaceable(folder: Path, *, replace: bool) -> None:
    if not replace:
        raise ConfigError(f'{folder}: exists already; --force replaces it')
    if not (folder / RECORD).is_file():
        raise ConfigError(f'{folder}: found no {RECORD} in it, so it is not replaced')
    for path in folder.iterdir():
        if path.name != RECORD and (path.suffix not in _SUFFIXES or path.is_dir()):
            raise ConfigError(f'{path}: no part of an artefact, so {folder} is not replaced')


def _plain(signature: Signature) -> Signature:
    options = tuple((name, _option(value)) for name, value in signature.options)
    return signature._replace(options=options)


def _option(value: Hashable) -> bool | str:
    """Return an option as a file can hold it."""
    return value if isinstance(value, bool) else str(value)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
