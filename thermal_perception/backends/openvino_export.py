"""Graphs of a network in the form of OpenVINO."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TYPE_CHECKING
import warnings

import torch

from thermal_perception.backends.graph_format import GraphFormat, Quantised
from thermal_perception.backends.onnx_export import INT8_PACKAGES, write_int8
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from thermal_perception.backends.tracing import Traced


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


def _write(traced: Traced, path: Path) -> str:
    from openvino import save_model

    graph = export(traced)
    save_model(graph, path, compress_to_fp16=False)
    return _opset(graph)


def _quantise(traced: Traced, path: Path, samples: Iterable[list[NDArray[Any]]]) -> Quantised:
    from openvino import save_model
    from openvino.frontend import FrontEndManager

    frontend = FrontEndManager().load_by_framework('onnx')
    with TemporaryDirectory(prefix='thermal_perception_') as folder:
        file = Path(folder, 'int8.onnx')
        done = write_int8(traced, file, samples, straight=False)
        try:
            graph = frontend.convert(frontend.load(str(file)))
        except Exception as error:  # its many have nothing else in common
            raise BackendError(
                'graphs for openvino: int8 takes the detour by ONNX, of which OpenVINO '
                f'{version("openvino")} cannot read this network; expected fp32, or --to onnx'
            ) from error
    save_model(graph, path, compress_to_fp16=False)
    return done._replace(opset=_opset(graph))


def _opset(graph: Any) -> str:
    kinds = {operation.get_type_info().version_id for operation in graph.get_ops()}
    numbers = [int(kind.removeprefix('opset')) for kind in kinds if kind.startswith('opset')]
    return f'opset{max(numbers, default=0)}'


FORMAT = GraphFormat(
    'openvino', '.xml', ('openvino',), _write, _quantise, ('openvino', *INT8_PACKAGES)
)
