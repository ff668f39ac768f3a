"""Levels and their limits: the last step of every transform, worked out by hand."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.preprocess.levels import Levels, quantise, stretch
from thermal_perception.preprocess.thermal import make_thermal_transform
from thermal_perception.types import Frame


def stretched(levels):
    """Return what `stretch` writes."""
    out = np.full(levels.image.shape, -1, np.float32)
    stretch(levels, out)
    return out


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_stretch_clips_at_both_limits(dtype):
    image = np.array([[90, 100, 150, 200, 210]], dtype)
    assert_allclose(stretched(Levels(image, 100, 200)), [[0, 0, 0.5, 1, 1]], atol=1e-7)


@pytest.mark.parametrize(
    ('low', 'high', 'flat'),
    [
        pytest.param(5, 5, True, id='equal'),
        pytest.param(1e6, 1e6 + 0.05, True, id='rounding of float32'),
        pytest.param(1e6, 1e6 + 0.5, False, id='half a count of a million'),
        pytest.param(0, 1e-39, True, id='below the normal numbers'),
        pytest.param(5, 6, False, id='one count'),
    ],
)
def test_levels_without_contrast_are_flat_and_become_zeros(low, high, flat):
    levels = Levels(np.array([[0, 9e6]], np.float32), low, high)
    assert levels.is_flat == flat
    assert_array_equal(stretched(levels), [[0, 0 if flat else 1]])


def test_ramp_is_offset_and_gain():
    assert Levels(np.zeros((1, 1)), 100, 300).ramp == (100, 0.005)
    assert Levels(np.zeros((1, 1)), 7, 7).ramp == (0, 0)


@pytest.mark.parametrize(('bits', 'dtype'), [(8, np.uint8), (16, np.uint16)])
def test_quantised_levels_keep_zero_and_one_and_round_between(bits, dtype):
    full = 2**bits - 1
    found = quantise(Levels(np.array([[-1, 0, 0.5, 1, 2]], np.float32), 0, 1), bits)
    assert (found.image.dtype, found.low, found.high) == (dtype, 0, full)
    assert_array_equal(found.image, [[0, 0, (full + 1) // 2, full, full]])


def test_flat_levels_are_quantised_to_zeros():
    assert_array_equal(quantise(Levels(np.full((2, 3), 7, np.uint16), 7, 7), 16).image, 0)


@pytest.mark.parametrize(
    ('name', 'params', 'low', 'high'),
    [
        ('identity8', {}, 0, 255),
        ('fullscale', {'bits': 7}, 0, 127),
        ('window', {'low': 20, 'high': 30}, 20, 30),
        ('percentile', {'low_percentile': 0, 'high_percentile': 100}, 10, 13),
    ],
)
def test_affine_transforms_leave_the_counts_as_they_are(name, params, low, high):
    image = np.array([[10, 11], [12, 13]], np.uint8)
    levels = make_thermal_transform(name, **params).levels(Frame(image, 0, '', 'thermal'))
    assert levels.image is image
    assert (levels.low, levels.high) == (low, high)


@pytest.mark.parametrize(('bits', 'dtype'), [(8, np.uint8), (16, np.uint16)])
def test_clahe_gives_equalised_integers(bits, dtype):
    image = np.random.default_rng(0).integers(20_000, 50_000, (64, 80)).astype(np.uint16)
    clahe = make_thermal_transform('clahe', bits=bits)
    levels = clahe.levels(Frame(image, 0, '', 'thermal'))
    assert (levels.image.dtype, levels.low, levels.high) == (dtype, 0, 2**bits - 1)
    assert_array_equal(stretched(levels), clahe(image))


def test_levels_have_dead_pixels_replaced_and_limits_in_counts():
    image = np.array([[0, 7000, 7250, 7500]], np.uint16)  # 0.04 K a count
    frame = Frame(image, 0, '', 'thermal', scale=0.04, unit='kelvin')
    window = make_thermal_transform('window', low=280, high=300, unit='kelvin', dead_values=[0])
    levels = window.levels(frame)
    assert_array_equal(levels.image, [[7250, 7000, 7250, 7500]])
    assert_allclose((levels.low, levels.high), (7000, 7500))
