"""ROS parameters declared once, as fields of a frozen dataclass."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TYPE_CHECKING, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rclpy.node import Node
    from rclpy.parameter import Parameter

T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class _Declaration:
    """What a parameter is, beside its name and default."""

    description: str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[Any, ...]
    changeable: bool


def parameter(
    default: Any,
    description: str,
    *,
    unit: str = '',
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] = (),
    changeable: bool = False,
) -> Any:
    """Declare a ROS parameter as a dataclass field; its type is that of the default.

    Args:
        default: bool, int, float, str or tuple of one of them; also the default of the field.
        description: one sentence for `ros2 param describe`.
        unit: physical unit, appended to the description.
        minimum: least value, inclusive; for numbers, together with `maximum`.
        maximum: largest value, inclusive.
        choices: all values it may have.
        changeable: False makes the parameter read-only once the node has started.
    """
    declaration = _Declaration(description, unit, minimum, maximum, tuple(choices), changeable)
    return dataclasses.field(default=default, metadata={'parameter': declaration})


class ParameterSet(Generic[T]):
    """The parameters of one node: declared from a dataclass, read as an instance of it."""

    def __init__(self, node: Node, declared: type[T]) -> None:
        """Declare every field of `declared` on the node.

        Raises:
            rclpy.exceptions.ParameterException: if an override has the wrong type, is out of
                range or is none of the choices.
        """
        self._node = node
        self._declared = declared
        self._listeners: list[Callable[[T], None]] = []
        node.add_on_set_parameters_callback(self._check_choices)
        for field in parameter_fields(declared):
            node.declare_parameter(field.name, ros_value(field.default), describe(field))
        self._values = self._read()
        node.add_post_set_parameters_callback(self._refresh)

    @property
    def values(self) -> T:
        """The values now; a change replaces the whole record, so a reader sees one moment."""
        return self._values

    def on_change(self, listener: Callable[[T], None]) -> None:
        """Call `listener` with the new values after each change."""
        self._listeners.append(listener)

    def _read(self) -> T:
        values = {}
        for field in parameter_fields(self._declared):
            value = self._node.get_parameter(field.name).value
            values[field.name] = tuple(value) if isinstance(field.default, tuple) else value
        return self._declared(**values)

    def _check_choices(self, changed: list[Parameter[Any]]) -> SetParametersResult:
        fields = {field.name: field for field in parameter_fields(self._declared)}
        for item in changed:
            choices = declaration_of(fields[item.name]).choices if item.name in fields else ()
            if choices and item.value not in choices:
                reason = f'{item.name}: found {item.value!r}, expected one of {_listed(choices)}'
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _refresh(self, changed: list[Parameter[Any]]) -> None:
        names = {field.name for field in parameter_fields(self._declared)}
        if not names.intersection(item.name for item in changed):
            return
        self._values = self._read()
        for listener in self._listeners:
            listener(self._values)


def parameter_fields(declared: type[Any]) -> list[dataclasses.Field[Any]]:
    """Return the fields of a dataclass that are ROS parameters."""
    return [f for f in dataclasses.fields(declared) if 'parameter' in f.metadata]


def declaration_of(field: dataclasses.Field[Any]) -> _Declaration:
    """Return what `parameter` was told about a field."""
    declaration: _Declaration = field.metadata['parameter']
    return declaration


def describe(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    """Return what `ros2 param describe` prints for a field."""
    declaration = declaration_of(field)
    unit = f' [{declaration.unit}]' if declaration.unit else ''
    constraints = [f'one of: {_listed(declaration.choices)}'] if declaration.choices else []
    constraints.append(
        'can be changed at run time' if declaration.changeable else 'read-only after start'
    )
    descriptor = ParameterDescriptor(
        description=declaration.description + unit,
        additional_constraints='; '.join(constraints),
        read_only=not declaration.changeable,
    )
    if declaration.minimum is not None and declaration.maximum is not None:
        _set_range(descriptor, field.default, declaration.minimum, declaration.maximum)
    return descriptor


def ros_value(default: Any) -> Any:
    """Return a default as rclpy takes it: tuples as lists."""
    return list(default) if isinstance(default, tuple) else default


def _listed(choices: Sequence[Any]) -> str:
    return ', '.join(map(str, choices))


def _set_range(
    descriptor: ParameterDescriptor, default: Any, minimum: float, maximum: float
) -> None:
    if isinstance(default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(minimum), to_value=float(maximum))
        ]
    else:
        descriptor.integer_range = [
            IntegerRange(from_value=int(minimum), to_value=int(maximum), step=1)
        ]
