"""A graph in two: one that may round what it multiplies, and one that must not.

OpenVINO rounds a graph for a CPU as a whole. What `models.precise` marks, and everything that is
computed from it, is made a graph of its own, which then is compiled without rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Parts(NamedTuple):
    """Two graphs that give together what one gave.

    Attributes:
        coarse: takes the inputs; gives all that `fine` takes, then results of its own.
        fine: takes what `coarse` gives first; gives the other results.
        between: how many numbers go from one to the other.
        order: for each result of the one graph, its place in those of `coarse` beyond `between`
            followed by those of `fine`.
    """

    coarse: Any
    fine: Any
    between: int
    order: tuple[int, ...]


def split(model: Any) -> Parts | None:
    """Take an `openvino.Model` apart, which is used up by it; None if nothing in it is marked."""
    from openvino import Model, opset13

    fine = _marked_and_after(model)
    if not fine:
        return None
    crossing: dict[tuple[str, int], tuple[Any, list[Any]]] = {}
    for operation in model.get_ordered_ops():
        if operation.get_name() in fine:
            for taken in operation.inputs():
                source = taken.get_source_output()
                name = source.get_node().get_name()
                if name not in fine and not _constant(source.get_node()):
                    key = (name, source.get_index())
                    crossing.setdefault(key, (source, []))[1].append(taken)
    results = model.get_results()
    late = [r.input_value(0).get_node().get_name() in fine for r in results]
    parameters = []
    for source, takers in crossing.values():
        parameter = opset13.parameter(source.get_partial_shape(), source.get_element_type())
        parameters.append(parameter)
        for taken in takers:
            taken.replace_source_output(parameter.output(0))
    own = [r for r, is_late in zip(results, late) if not is_late]
    others = [r for r, is_late in zip(results, late) if is_late]
    given = [opset13.result(source) for source, _ in crossing.values()]
    order = sorted(range(len(results)), key=lambda i: late[i])
    return Parts(
        Model([*given, *own], model.get_parameters(), 'coarse'),
        Model(others, parameters, 'fine'),
        len(given),
        tuple(order.index(i) for i in range(len(results))),
    )


def _marked_and_after(model: Any) -> set[str]:
    """Return the names of all operations that compute with what is marked."""
    from openvino import Type

    found: set[str] = set()
    for operation in model.get_ordered_ops():
        if operation.get_type_name() in ('Parameter', 'Constant', 'Result'):
            continue
        sources = {i.get_source_output().get_node().get_name() for i in operation.inputs()}
        marked = (
            operation.get_type_name() == 'Convert' and operation.get_element_type() == Type.f64
        )
        if marked or sources & found:
            found.add(operation.get_name())
    return found


def _constant(node: Any) -> bool:
    """Tell whether an operation depends on no input; OpenVINO folds those into both graphs."""
    left, seen = [node], set()
    while left:
        node = left.pop()
        if node.get_type_name() == 'Parameter':
            return False
        for source in node.input_values():
            name = source.get_node().get_name()
            if name not in seen:
                seen.add(name)
                left.append(source.get_node())
    return True
