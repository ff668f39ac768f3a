from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.decode.messages import bytes_of, stamp_ns_of
from thermal_perception.errors import DecodeError


def test_stamp_of_header_is_seconds_and_nanoseconds_together():
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1_700_000_000, nanosec=25), frame_id='')
    assert stamp_ns_of(header) == 1_700_000_000_000_000_025


def test_stamp_of_numpy_numbers_does_not_overflow():
    stamp = SimpleNamespace(sec=np.int32(2_000_000_000), nanosec=np.uint32(999_999_999))
    assert stamp_ns_of(SimpleNamespace(stamp=stamp, frame_id='')) == 2_000_000_000_999_999_999


@pytest.mark.parametrize(
    'data',
    [
        pytest.param(b'\x01\x02\xff', id='bytes'),
        pytest.param(bytearray(b'\x01\x02\xff'), id='bytearray'),
        pytest.param(memoryview(b'\x01\x02\xff'), id='memoryview'),
        pytest.param(array.array('B', [1, 2, 255]), id='array.array'),
        pytest.param(np.array([1, 2, 255], np.uint8), id='ndarray'),
        pytest.param([1, 2, 255], id='list'),
        pytest.param((1, 2, 255), id='tuple'),
    ],
)
def test_bytes_of_any_kind_of_data_are_the_same(data):
    assert_array_equal(bytes_of(data, 'message'), np.array([1, 2, 255], np.uint8))


@pytest.mark.parametrize('data', [b'', bytearray(), array.array('B'), np.empty(0, np.uint8), []])
def test_bytes_of_nothing_are_nothing(data):
    assert bytes_of(data, 'message').shape == (0,)


def test_bytes_of_array_share_its_memory():
    data = array.array('B', [1, 2, 3])
    view = bytes_of(data, 'message')
    data[0] = 77
    assert view[0] == 77


@pytest.mark.parametrize(
    'data',
    [
        pytest.param('text', id='text'),
        pytest.param(None, id='nothing at all'),
        pytest.param([1, 256], id='number above a byte'),
        pytest.param(np.arange(10, dtype=np.uint8)[::2], id='not in a row'),
    ],
)
def test_bytes_of_anything_else_is_refused(data):
    with pytest.raises(DecodeError, match=r'camera: found data of type .*, expected bytes') as e:
        bytes_of(data, 'camera')
    assert e.value.cause == 'bad_data'
