"""Graphs of a network in the form of ONNX."""

from __future__ import annotations

from contextlib import contextmanager
import logging
from typing import TYPE_CHECKING
import warnings

import torch

from thermal_perception.backends.graph_format import GraphFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from onnxscript import ir

    from thermal_perception.backends.tracing import Traced

_MOST_FOLDED = 1 << 22  # numbers; the largest kernel of a ResNet-50 has 2.4 million


def _write(traced: Traced, path: Path) -> str:
    from onnxscript import ir, optimizer

    with torch.no_grad(), _quiet():
        traced_once = torch.export.export(traced, tuple(traced.examples))
        program = torch.onnx.export(traced_once, dynamo=True, optimize=False, verbose=False)
        assert program is not None
        # Norms are folded into kernels here: ONNX Runtime 1.31 takes a kernel that is padded for
        # an image that is, and then refuses the graph (its rule Pad_Fusion).
        optimizer.optimize(
            program.model, input_size_limit=_MOST_FOLDED, output_size_limit=_MOST_FOLDED
        )
    _straighten(program.model)
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


FORMAT = GraphFormat('onnxruntime', '.onnx', ('onnx', 'onnxscript'), _write)
TENSORRT = FORMAT._replace(backend='tensorrt')
