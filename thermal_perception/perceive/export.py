"""Make the graphs that a node may ask for, once and for all starts."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple, TYPE_CHECKING

from thermal_perception.backends.artefact import (
    artefact_folder,
    ArtefactRecord,
    ArtefactWriter,
    versions_of,
)
from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.graph_format import write_graphs
from thermal_perception.backends.tracing import Signature
from thermal_perception.errors import BackendError
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.perceive.cooperative import RoadsidePerceiver, VehiclePerceiver
from thermal_perception.perceive.system import black_frames
from thermal_perception.perceive.systems import make_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import nn

    from thermal_perception.backends.artefact import GraphRecord
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.perceive.system import System
    from thermal_perception.types import Modality


class Exported(NamedTuple):
    """An artefact that was written.

    Attributes:
        folder: where it lies.
        record: what it says of itself.
    """

    folder: Path
    record: ArtefactRecord


def export(
    path: Path,
    kind: str,
    *,
    folder: Path | None = None,
    size: tuple[int, int] | None = None,
    replace: bool = False,
    on_graph: Callable[[str, int], None] = lambda name, of: None,
) -> Exported:
    """Write the artefact of a checkpoint.

    Args:
        path: the checkpoint.
        kind: of its graphs: `openvino`, `onnx` for ONNX Runtime, or `tensorrt`.
        folder: where it goes; None: beside the checkpoint.
        size: (height, width) of the camera images; None: what the model was trained for.
        replace: replace one that is there.
        on_graph: is told the name of each graph that is written, and how many there are.

    Raises:
        CheckpointError: if the checkpoint cannot be read, or its network not be exported.
        ConfigError: if the artefact may not be written there.
        BackendError: if the kind is unknown, or what writes it is not installed.
    """
    if kind not in FORMATS:
        raise BackendError(f'--to: found {kind!r}, expected {" or ".join(FORMATS)}')
    graph_format = FORMATS[kind]
    graph_format.check()
    checkpoint = load_checkpoint(path)
    info = checkpoint.info
    size = size or info.input_size
    if size is None:
        raise BackendError(f'{path}: states no size of images, expected one by --size')
    networks = _networks(checkpoint, size)
    folder = folder or artefact_folder(path, graph_format.backend)
    writer = ArtefactWriter(folder, replace=replace)
    try:
        number = sum(len(network.names) for network in networks)
        graphs: list[GraphRecord] = []
        for network in networks:
            for graph in write_graphs(writer, graph_format, *network, first=len(graphs)):
                on_graph(graph.name, number)
                graphs.append(graph)
        record = ArtefactRecord(
            backend=graph_format.backend,
            model=info.model,
            architecture=info.architecture,
            config=info.config,
            preprocess=info.preprocess,
            class_names=info.class_names,
            fingerprint=checkpoint.fingerprint,
            licence=info.licence,
            precision='fp32',
            image_size=size,
            versions=versions_of('thermal_perception', 'torch', *graph_format.packages),
            graphs=tuple(graphs),
        )
        writer.finish(record)
    finally:
        writer.give_up()
    return Exported(folder, record)


class _Network(NamedTuple):
    """A network to be written, with names for what a node may ask of it."""

    model: nn.Module
    select: Callable[[Any], Any]
    names: dict[Signature, str]


def _networks(checkpoint: Checkpoint, size: tuple[int, int]) -> list[_Network]:
    if checkpoint.info.architecture != 'emiff':
        system = make_system(checkpoint)
        return [_Network(checkpoint.make_model(), system.select, graphs_of(system, size))]
    parts = [kind(checkpoint, device='cpu') for kind in (RoadsidePerceiver, VehiclePerceiver)]
    if size != parts[0].image_size:
        height, width = parts[0].image_size
        raise BackendError(
            f'--size: found {size[0]} {size[1]}, but these weights resize images to {height} '
            f'{width}'
        )
    return [_Network(part.network, part.select, part.graphs()) for part in parts]


def graphs_of(system: System, size: tuple[int, int]) -> dict[Signature, str]:
    """Return what a node may ask of a network for images of (height, width), each with a name.

    All cameras come first, then what is left when one of them fails.
    """
    names: dict[Signature, str] = {}
    for cameras in _subsets(system.cameras):
        frames = black_frames(cameras, size)
        for wanted in system.warm_ups:
            call = system.prepare(frames, wanted)
            name = f'{" + ".join(cameras)}: {" + ".join(sorted(wanted))}'
            names.setdefault(Signature.of(call.inputs, call.options), name)
    return names


def _subsets(cameras: tuple[Modality, ...]) -> Iterator[tuple[Any, ...]]:
    for number in range(len(cameras), 0, -1):
        yield from combinations(cameras, number)
