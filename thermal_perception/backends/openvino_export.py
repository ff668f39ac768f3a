"""Make a graph for OpenVINO of a network, in a process of its own.

`torch.export` patches PyTorch for the whole process while it traces: beside a network that runs,
that would change its results. So a robot lets another process do it.
"""

from __future__ import annotations

import os
from pathlib import Path
import pickle
import sys
import threading
from typing import Any, TYPE_CHECKING
import warnings

import torch

from thermal_perception.backends.tracing import Traced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import nn

    from thermal_perception.backends.artefact import ArtefactWriter, GraphRecord
    from thermal_perception.backends.tracing import Signature

NETWORK, SIGNATURE = 'network.pickle', 'signature.pickle'
GRAPH, LAYOUT = 'graph.xml', 'layout.pickle'


def export(traced: Traced) -> Any:
    """Return the `openvino.Model` of a network, and fill in its layout."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
    from openvino.frontend.pytorch.torchdynamo.export_decompositions import ops_to_not_decompose

    # `openvino.convert_model` does the same, and reports its use to its makers.
    operations = torch.export.default_decompositions()
    for known in ops_to_not_decompose():
        operations.pop(known, None)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)  # PyTorch's, of its own parts
        program = torch.export.export(traced, tuple(traced.examples))
        plain = program.run_decompositions(operations).module()
        decoder = TorchFXPythonDecoder(plain, dynamic_shapes=False)
    frontend = FrontEndManager().load_by_framework('pytorch')
    return frontend.convert(frontend.load(decoder))


def write_graphs(
    writer: ArtefactWriter,
    model: nn.Module,
    select: Callable[[Any], Any],
    names: Mapping[Signature, str],
) -> Iterator[GraphRecord]:
    """Write a graph for each signature, and yield its record."""
    from openvino import save_model

    for number, (signature, name) in enumerate(names.items()):
        traced = Traced(model, select, signature)
        graph, file = export(traced), f'graph_{number}.xml'
        save_model(graph, writer.folder / file, compress_to_fp16=False)
        yield writer.record_of(
            name, file, signature, opset=_opset(graph), numbers=traced.layout.numbers
        )


def _opset(graph: Any) -> str:
    kinds = {operation.get_type_info().version_id for operation in graph.get_ops()}
    numbers = [int(kind.removeprefix('opset')) for kind in kinds if kind.startswith('opset')]
    return f'opset{max(numbers, default=0)}'


def main() -> None:
    """Read NETWORK and SIGNATURE in the folder of the command line; write GRAPH and LAYOUT."""
    from openvino import save_model

    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    model, select = pickle.loads((folder / NETWORK).read_bytes())
    traced = Traced(model, select, pickle.loads((folder / SIGNATURE).read_bytes()))
    save_model(export(traced), folder / GRAPH, compress_to_fp16=False)
    (folder / LAYOUT).write_bytes(pickle.dumps(traced.layout.numbers))


def _end_with_parent() -> None:
    sys.stdin.read()  # which it holds open as long as it lives
    os._exit(1)


if __name__ == '__main__':
    main()
