from __future__ import annotations

import inspect
import re

import pytest

from thermal_perception import errors
from thermal_perception.errors import BackendError, DecodeError, ThermalPerceptionError

ALL = {
    name: cls
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if cls.__module__ == errors.__name__
}


@pytest.mark.parametrize('name', ALL)
def test_every_error_belongs_to_the_tree(name):
    assert issubclass(ALL[name], ThermalPerceptionError)


def test_the_drawing_shows_every_error_of_the_tree():
    drawn = re.findall(r'── (\w+)', errors.__doc__ or '')
    assert sorted(drawn) == sorted(set(ALL) - {'ThermalPerceptionError'})


def test_decode_error_carries_a_sentence_and_a_cause():
    error = DecodeError('found 11 bytes, expected 12', cause='truncated_data')
    assert str(error) == 'found 11 bytes, expected 12'
    assert error.cause == 'truncated_data'


def test_decode_error_without_a_cause_cannot_be_raised():
    with pytest.raises(TypeError, match='cause'):
        DecodeError('why?')  # type: ignore[call-arg]


@pytest.mark.parametrize('recoverable', [True, False])
def test_backend_error_says_whether_another_device_may_work(recoverable):
    assert BackendError('out of memory', recoverable=recoverable).recoverable is recoverable


def test_backend_error_is_not_recoverable_unless_it_says_so():
    assert BackendError('no such device').recoverable is False
