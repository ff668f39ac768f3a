"""Convolutions that multiply 8-bit integers, in a graph in the form of ONNX.

Ranges of numbers are taken from images. What two convolutions hand each other stays in integers;
all else stays in floating point: coordinates and what is computed from them (`models.precise`),
attention, norms, heads.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from numpy.typing import NDArray
    from onnx import GraphProto
    from onnxscript.ir import Model, Node, Value

_MULTIPLIES = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
_DOUBLE = 11  # of ONNX's data types
_BETWEEN = ('Add', 'Clip', 'Relu')
# ONNX Runtime asks on the root logger for what an optimised graph has behind it, unless told.
_PREPARED = ('onnx.quant.pre_process', 'onnxruntime.quant')


class Choice(NamedTuple):
    """What is quantised of a graph.

    Attributes:
        names: of the operations.
        int8: how many of a kind multiply integers.
        floating: how many of a kind multiply floating-point numbers.
    """

    names: tuple[str, ...]
    int8: dict[str, int]
    floating: dict[str, int]


def choose(model: Model) -> Choice:
    """Pick convolutions, and additions and activations between them.

    The first of each path stays in floating point, as a 16-bit image has more levels than 256;
    the last one, as it is a head or hands over to what stays there; and what is computed from
    coordinates.

    Args:
        model: whose detours by double precision still mark the coordinates.
    """
    nodes = list(model.graph)
    marked = _met(nodes, _casts_to_double, _predecessors)
    after = _met(nodes, _convolves, _predecessors)
    before = _met(reversed(nodes), _convolves, _successors)
    chosen: dict[Node, None] = {}
    for node in nodes:
        inner = _convolves(node) and node in after and node in before
        if node not in marked and (inner or _between(node, chosen)):
            chosen[node] = None
    return Choice(
        tuple(str(node.name) for node in chosen),
        _count(node for node in nodes if node in chosen),
        _count(node for node in nodes if node not in chosen),
    )


def quantise(path: Path, names: tuple[str, ...], samples: Iterable[list[NDArray[Any]]]) -> None:
    """Rewrite a file with QuantizeLinear and DequantizeLinear around operations.

    Weights get a scale for each channel; what goes in and comes out, one for all of it: the least
    and the greatest number of all samples are the ends.

    Args:
        path: of a graph of floating-point numbers.
        names: of its operations to quantise.
        samples: arrays in the order of the graph's inputs.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, quantize_static, QuantType

    graph = onnx.load(path)
    inputs = [value.name for value in graph.graph.input]
    _rename_stored(graph.graph)
    graph.metadata_props.add(key=_PREPARED[0], value=_PREPARED[1])

    class Reader(CalibrationDataReader):
        """Hands over one sample after the other."""

        def __init__(self) -> None:
            self._left = iter(samples)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            """Return arrays by name; None at the end."""
            found = next(self._left, None)
            return None if found is None else dict(zip(inputs, found, strict=True))

    with TemporaryDirectory(prefix='thermal_perception_') as folder:
        source = Path(folder, 'float.onnx')
        onnx.save(graph, source)
        quantize_static(
            source,
            path,
            Reader(),
            op_types_to_quantize=['Conv', *_BETWEEN],
            nodes_to_quantize=list(names),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _rename_stored(graph: GraphProto) -> None:
    """Give weights names of their own kind.

    ONNX Runtime 1.31 copies a bias of two convolutions by adding a number to its name, which may
    be that of something computed: `sub_4` became `sub_49`.
    """
    given = {value.name for value in graph.output}
    names = {v.name: f'{v.name}_stored' for v in graph.initializer if v.name not in given}
    for value in graph.initializer:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _met(
    nodes: Iterable[Node],
    wanted: Callable[[Node], bool],
    neighbours: Callable[[Node], Iterable[Node]],
) -> set[Node]:
    """Return the nodes from which neighbours, and theirs, lead to one that is wanted."""
    found: set[Node] = set()
    for node in nodes:
        if any(wanted(other) or other in found for other in neighbours(node)):
            found.add(node)
    return found


def _predecessors(node: Node) -> Iterable[Node]:
    return node.predecessors()


def _successors(node: Node) -> Iterable[Node]:
    return node.successors()


def _convolves(node: Node) -> bool:
    return node.op_type == 'Conv' and all(i is None or _constant(i) for i in node.inputs[1:])


def _casts_to_double(node: Node) -> bool:
    return node.op_type == 'Cast' and node.attributes['to'].value == _DOUBLE


def _between(node: Node, chosen: Container[Node]) -> bool:
    given = [i.producer() for i in node.inputs if i is not None and not _constant(i)]
    return node.op_type in _BETWEEN and given != [] and all(source in chosen for source in given)


def _constant(value: Value) -> bool:
    return value.const_value is not None


def _count(nodes: Iterable[Node]) -> dict[str, int]:
    return dict(Counter(node.op_type for node in nodes if node.op_type in _MULTIPLIES))
