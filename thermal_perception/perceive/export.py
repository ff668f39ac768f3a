"""Make the graphs that a node may ask for, once and for all starts."""

from __future__ import annotations

from itertools import combinations, cycle, islice
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np

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
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from thermal_perception.backends.artefact import GraphRecord
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.perceive.system import System
    from thermal_perception.types import FrameSet, Modality, Output

    Images = Callable[[Collection[Modality]], Iterable[FrameSet]]


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
    together: int = 1,
    replace: bool = False,
    calibrate: Images | None = None,
    on_graph: Callable[[str, int], None] = lambda name, of: None,
) -> Exported:
    """Write the artefact of a checkpoint.

    Args:
        path: the checkpoint.
        kind: of its graphs: `openvino`, `onnx` for ONNX Runtime, or `tensorrt`.
        folder: where it goes; None: beside the checkpoint.
        size: (height, width) of the camera images; None: what the model was trained for.
        together: there are graphs for 1, 2, ... so many images of all cameras in one call, as
            nodes that share a network ask for them.
        replace: replace one that is there.
        calibrate: gives what the cameras of a graph saw, which are images like those the node
            will get; the numbers of convolutions then become int8 of the ranges found in them.
            None: they stay fp32.
        on_graph: is told the name of each graph that is written, and how many there are.

    Raises:
        CheckpointError: if the checkpoint cannot be read, or its network not be exported.
        ConfigError: if the artefact may not be written there.
        BackendError: if the kind is unknown, or what writes it is not installed; or if it or the
            network is not there in int8 or for images together, or an image does not fit.
        PreprocessError: if an image cannot become the network's input.
    """
    if kind not in FORMATS:
        raise BackendError(f'--to: found {kind!r}, expected {" or ".join(FORMATS)}')
    graph_format, precision = FORMATS[kind], 'fp32' if calibrate is None else 'int8'
    graph_format.check(precision)
    checkpoint = load_checkpoint(path)
    info = checkpoint.info
    size = size or info.input_size
    if size is None:
        raise BackendError(f'{path}: states no size of images, expected one by --size')
    samples = None
    if calibrate is not None:
        samples = _Samples(_calibrated(checkpoint), size, together, calibrate)
    networks = _networks(checkpoint, size, together)
    folder = folder or artefact_folder(path, graph_format.backend, precision)
    writer = ArtefactWriter(folder, replace=replace)
    try:
        number = sum(len(network.names) for network in networks)
        graphs: list[GraphRecord] = []
        for network in networks:
            for graph in write_graphs(
                writer, graph_format, *network, first=len(graphs), samples=samples
            ):
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
            precision=precision,
            image_size=size,
            versions=versions_of('thermal_perception', 'torch', *graph_format.writers(precision)),
            graphs=tuple(graphs),
            calibration=0 if samples is None else samples.images,
            together=together,
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


def _networks(checkpoint: Checkpoint, size: tuple[int, int], together: int) -> list[_Network]:
    if checkpoint.info.architecture != 'emiff':
        system = make_system(checkpoint)
        names = graphs_of(system, size, together)
        return [_Network(checkpoint.make_model(), system.select, names)]
    if together > 1:
        raise BackendError(
            f'--cameras: found {together}, expected 1: vehicle and roadside each have a network '
            'for one camera'
        )
    parts = [kind(checkpoint, device='cpu') for kind in (RoadsidePerceiver, VehiclePerceiver)]
    if size != parts[0].image_size:
        height, width = parts[0].image_size
        raise BackendError(
            f'--size: found {size[0]} {size[1]}, but these weights resize images to {height} '
            f'{width}'
        )
    return [_Network(part.network, part.select, part.graphs()) for part in parts]


def graphs_of(system: System, size: tuple[int, int], together: int = 1) -> dict[Signature, str]:
    """Return what nodes may ask of a network for images of (height, width), each with a name.

    All cameras come first, then what is left when one of them fails, then up to so many images
    of all cameras together.
    """
    return {signature: use.name for signature, use in _uses(system, size, together).items()}


class _Use(NamedTuple):
    """What a node may ask of a network."""

    cameras: tuple[Modality, ...]
    wanted: frozenset[Output]
    together: int = 1

    @property
    def name(self) -> str:
        number = f', {self.together} together' if self.together > 1 else ''
        return f'{" + ".join(self.cameras)}: {" + ".join(sorted(self.wanted))}{number}'


def _uses(system: System, size: tuple[int, int], together: int) -> dict[Signature, _Use]:
    uses: dict[Signature, _Use] = {}
    for cameras in _subsets(system.cameras):
        frames = black_frames(cameras, size)
        for wanted in system.warm_ups:
            call = system.prepare(frames, wanted)
            uses.setdefault(Signature.of(call.inputs, call.options), _Use(cameras, wanted))
    whole = {kind: use for kind, use in uses.items() if use.cameras == system.cameras}
    for number in range(2, together + 1):
        for kind, use in whole.items():
            uses[kind.together(number)] = use._replace(together=number)
    return uses


class _Samples:
    """Inputs of a network, made of images.

    Attributes:
        images: how many images, or sets of them, the last graph was given.
    """

    def __init__(
        self, system: System, size: tuple[int, int], together: int, images: Images
    ) -> None:
        """Look at the first image.

        Raises:
            BackendError: if there is none, or it is of another size.
        """
        self.images = 0
        self._system, self._size, self._given = system, size, images
        self._uses = _uses(system, size, together)
        if next(self(next(iter(self._uses))), None) is None:  # before networks are traced
            raise BackendError('--calibrate: found no image, expected at least one')

    def __call__(self, signature: Signature) -> Iterator[list[NDArray[Any]]]:
        """Yield the inputs of a graph.

        One for several images gets each of them as often as one for a single image does, but for
        the last images, which fill up their batch.

        Raises:
            BackendError: if an image is of another size.
        """
        use = self._uses[signature]
        singles = self._singles(use, signature)
        while left := list(islice(singles, use.together)):
            batch = islice(cycle(left), use.together)
            yield [np.concatenate(parts) for parts in zip(*batch)]

    def _singles(self, use: _Use, signature: Signature) -> Iterator[list[NDArray[Any]]]:
        self.images = 0
        for frames in self._given(use.cameras):
            call = self._system.prepare(frames, use.wanted)
            if Signature.of(call.inputs, call.options).together(use.together) != signature:
                height, width = frames.leader.image.shape[:2]
                raise BackendError(
                    f'--calibrate: found {frames.frame_id} of {width} x {height} pixels, '
                    f'expected {self._size[1]} x {self._size[0]}, see --size'
                )
            self.images += 1
            # The next image comes into the same buffers.
            yield [value.numpy().copy() for value in call.inputs if value is not None]


def _calibrated(checkpoint: Checkpoint) -> System:
    if checkpoint.info.architecture == 'emiff':
        raise BackendError(
            f'{checkpoint.path}: found precision int8, which there is not for a vehicle and the '
            'roadside: its 3D convolutions and the features it is sent cannot be calibrated by '
            'images; expected fp32'
        )
    return make_system(checkpoint)


def _subsets(cameras: tuple[Modality, ...]) -> Iterator[tuple[Any, ...]]:
    for number in range(len(cameras), 0, -1):
        yield from combinations(cameras, number)
