"""Graphs of a network in the form of ONNX."""

from __future__ import annotations

from contextlib import contextmanager
import logging
from typing import Any, TYPE_CHECKING
import warnings

import torch

from thermal_perception.backends.graph_format import GraphFormat, Quantised
from thermal_perception.backends.quantise import choose, quantise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxscript import ir
    from torch.onnx import ONNXProgram

    from thermal_perception.backends.tracing import Traced

_MOST_FOLDED = 1 << 22  # numbers; the largest kernel of a ResNet-50 has 2.4 million


def _write(traced: Traced, path: Path) -> str:
    program = _program(traced)
    _straighten(program.model)
    return _save(program, path)


def _quantise(traced: Traced, path: Path, samples: Iterable[list[NDArray[Any]]]) -> Quantised:
    return write_int8(traced, path, samples, straight=True)


def write_int8(
    traced: Traced, path: Path, samples: Iterable[list[NDArray[Any]]], *, straight: bool
) -> Quantised:
    """Write a network to a file, its convolutions quantised, and fill in its layout.

    Args:
        traced: the network.
        path: of the file.
        samples: arrays in the order of the network's inputs.
        straight: leave out the detours by double precision that mark coordinates.
    """
    program = _program(traced)
    choice = choose(program.model)
    if straight:
        _straighten(program.model)
    opset = _save(program, path)
    if choice.names:  # ONNX Runtime takes none for all
        quantise(path, choice.names, samples)
    return Quantised(opset, choice.int8, choice.floating)


def _program(traced: Traced) -> ONNXProgram:
    from onnxscript import optimizer

    with torch.no_grad(), _quiet():
        traced_once = torch.export.export(traced, tuple(traced.examples))
        program = torch.onnx.export(traced_once, dynamo=True, optimize=False, verbose=False)
        assert program is not None
        # Norms are folded into kernels here: ONNX Runtime 1.31 takes a kernel that is padded for
        # an image that is, and then refuses the graph (its rule Pad_Fusion).
        optimizer.optimize(
            program.model, input_size_limit=_MOST_FOLDED, output_size_limit=_MOST_FOLDED
        )
    return program


def _save(program: ONNXProgram, path: Path) -> str:
    from onnxscript import ir

    # Where in whose folders a line of code lies is nobody's business.
    ir.passes.common.ClearMetadataAndDocStringPass()(program.model)
    program.save(path, external_data=False)
    return f'opset{program.model.opset_imports[""]}'


def _straighten(model: ir.Model) -> None:
    """Take out detours by double precision, see `models.precise`: many devices have none."""
    from onnxscript import ir

    def casts(nodes: Iterable[ir.Node], to: ir.DataType) -> list[ir.Node]:
        return [n for n in nodes if n.op_type == 'Cast' and n.attributes['to'].value == to]

    for there in casts(model.graph, ir.DataType.DOUBLE):
        source = there.inputs[0]
        for back in casts(there.outputs[0].consumers(), ir.DataType.FLOAT):
            if source is not None and not back.outputs[0].is_graph_output():
                back.outputs[0].replace_all_uses_with(source)
    ir.passes.common.RemoveUnusedNodesPass()(model)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what PyTorch and ONNX Script say of their own parts."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


INT8_PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
FORMAT = GraphFormat(
    'onnxruntime', '.onnx', ('onnx', 'onnxscript'), _write, _quantise, INT8_PACKAGES
)
TENSORRT = FORMAT._replace(backend='tensorrt', quantise=None, int8_packages=())
