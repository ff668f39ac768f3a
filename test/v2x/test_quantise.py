"""Eight bits per number."""

from __future__ import annotations

from hypothesis import given
import hypothesis.strategies as st
import numpy as np

from thermal_perception.v2x.quantise import from_uint8, to_uint8


def test_by_hand():
    features = np.array([[[0.0, 51.0, 255.0]], [[0.0, 1.0, 0.25]]], np.float32)
    steps, scales = to_uint8(features)
    np.testing.assert_allclose(scales, [1.0, 1 / 255])
    assert steps.tolist() == [[[0, 51, 255]], [[0, 255, 64]]]


def test_an_empty_channel_stays_empty():
    steps, scales = to_uint8(np.zeros((1, 2, 2), np.float32))
    assert scales.tolist() == [1.0]
    assert not from_uint8(steps, scales).any()


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_no_number_is_off_by_more_than_half_a_step(seed, size):
    values = np.random.default_rng(seed).exponential(size, (3, 4, 5)).astype(np.float32)
    steps, scales = to_uint8(values)
    off = np.abs(from_uint8(steps, scales).astype(np.float64) - values)
    assert (off <= scales[:, None, None] * 0.5001).all()
