"""Typed configuration: frozen dataclasses read from YAML, unknown keys refused by name."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from typing import Any, Literal, TYPE_CHECKING, TypeVar, Union

import yaml

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar('T')

# YAML 1.1 wants a dot and a signed exponent in such numbers and reads 1e-4 as text.
_EXPONENT_NUMBER = re.compile(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+')


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: if the file is missing, is not YAML, or holds something else.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'{path}: cannot be read: {error}') from error
    except yaml.YAMLError as error:
        raise ConfigError(f'{path}: is not valid YAML: {error}') from error
    if not isinstance(values, dict):
        raise ConfigError(f'{path}: found {type(values).__name__}, expected a mapping')
    return values


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Build the dataclass `cls` from plain values, recursively.

    Args:
        cls: a dataclass type; fields may be bool, int, float, str, Literal, optional, tuples,
            dicts or other dataclasses.
        values: field name to value; names that are left out keep their default.
        where: file or parameter namespace, for messages.

    Raises:
        ConfigError: for an unknown key (with the nearest known name), a missing required key,
            or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f'{where}: unknown key {key!r}{_nearest(str(key), fields)}')
    missing = [
        name
        for name, f in fields.items()
        if name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f'{where}: missing key {missing[0]!r}')
    converted = {k: _convert(hints[k], v, where=f'{where}: {k}') for k, v in values.items()}
    try:
        return cls(**converted)
    except ConfigError as error:
        raise ConfigError(f'{where}: {error}') from error


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a dataclass as plain values that JSON and YAML can hold; tuples become lists."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def set_by_path(values: dict[str, Any], assignment: str) -> None:
    """Apply one `dotted.key=value` to nested mappings in place; the value is read as YAML.

    Raises:
        ConfigError: if there is no `=`, or a part of the path is not a mapping.
    """
    path, equals, text = assignment.partition('=')
    if not equals or not path:
        raise ConfigError(f'--set {assignment!r}: expected key=value')
    *parents, last = path.split('.')
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f'--set {assignment!r}: {parent!r} is not a mapping')
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f'--set {assignment!r}: the value is not valid YAML: {error}') from error


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    matches = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    return f', did you mean {matches[0]!r}?' if matches else f'; known: {", ".join(known)}'


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _convert(hint: Any, value: Any, *, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, where=where)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in args):
            known = ', '.join(map(str, args))
            raise ConfigError(f'{where}: found {value!r}, expected one of {known}')
        return value
    if origin is tuple:
        return _convert_tuple(args, value, where=where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _mismatch(where, value, 'a mapping')
        return {k: _convert(args[1], v, where=f'{where}.{k}') for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise _mismatch(where, value, 'a mapping')
        return from_mapping(typing.cast('type[Any]', hint), value, where=where)
    return _convert_scalar(hint, value, where=where)


def _convert_union(args: tuple[Any, ...], value: Any, *, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    errors = []
    for option in args:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where=where)
        except ConfigError as error:
            errors.append(error)
    raise errors[-1]


def _convert_tuple(args: tuple[Any, ...], value: Any, *, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _mismatch(where, value, 'a list')
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        raise ConfigError(f'{where}: found {len(value)} values, expected {len(args)}')
    return tuple(
        _convert(a, v, where=f'{where}[{i}]') for i, (a, v) in enumerate(zip(args, value))
    )


def _convert_scalar(hint: Any, value: Any, *, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str) and _EXPONENT_NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, bool) and hint is not bool:
        raise _mismatch(where, value, hint.__name__)
    if not isinstance(value, hint):
        raise _mismatch(where, value, hint.__name__)
    return value


def _mismatch(where: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f'{where}: found {value!r} ({type(value).__name__}), expected {expected}')
