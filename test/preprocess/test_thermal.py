from __future__ import annotations

import cv2
from hypothesis import given, settings
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import ConfigError, PreprocessError
from thermal_perception.preprocess.thermal import (
    dataset_window_limits,
    default_transform_name,
    frame_percentiles,
    make_thermal_transform,
    THERMAL_TRANSFORMS,
)
from thermal_perception.types import Frame

PARAMS = {
    'identity8': {},
    'fullscale': {'bits': 14},
    'window': {'low': 20.0, 'high': 200.0},
    'percentile': {},
    'clahe': {},
    'dataset_window': {'low': 20.0, 'high': 200.0},
}
MONOTONE = ('fullscale', 'window', 'percentile', 'dataset_window')


def scene(bits: int = 14, size: tuple[int, int] = (512, 640)) -> np.ndarray:
    """A warm gradient with noise, a hot block and a cold sky, in counts of a `bits` sensor."""
    rng = np.random.default_rng(7)
    rows = np.linspace(0.3, 0.5, size[0])[:, None]
    image = rows + rng.normal(0.0, 0.01, size)
    image[: size[0] // 5] -= 0.1
    image[size[0] // 2 : size[0] // 2 + 20, 10:25] += 0.3
    return np.clip(image * 2**bits, 0, 2**bits - 1).astype(np.uint16)


def test_identity8_of_bytes_divides_by_255():
    image = np.array([[0, 51, 255]], np.uint8)
    assert_allclose(make_thermal_transform('identity8')(image), [[0.0, 0.2, 1.0]], atol=1e-7)


def test_identity8_of_deep_image_when_given_then_refused():
    with pytest.raises(PreprocessError, match='uint16 with 14 valid bits, expected 8 bits'):
        make_thermal_transform('identity8')(scene(), 14)


def test_identity8_of_16_bit_storage_when_8_bits_are_valid_then_accepted():
    image = np.array([[0, 255]], np.uint16)
    assert_allclose(make_thermal_transform('identity8')(image, 8), [[0.0, 1.0]])


@pytest.mark.parametrize(
    ('dtype', 'valid_bits', 'params', 'full'),
    [
        pytest.param(np.uint8, None, {}, 255, id='depth of bytes'),
        pytest.param(np.uint16, None, {}, 65535, id='depth of 16-bit storage'),
        pytest.param(np.uint16, 14, {}, 16383, id='depth named by the frame'),
        pytest.param(np.uint16, 14, {'bits': 12}, 4095, id='depth named by the parameter'),
        pytest.param(np.float32, None, {'bits': 14}, 16383, id='float counts'),
    ],
)
def test_fullscale_divides_by_largest_count(dtype, valid_bits, params, full):
    image = np.array([[0, full // 5, full]], dtype)
    expected = [[0.0, (full // 5) / full, 1.0]]
    result = make_thermal_transform('fullscale', **params)(image, valid_bits)
    assert_allclose(result, expected, atol=1e-6)


def test_fullscale_of_float_without_depth_is_refused():
    with pytest.raises(PreprocessError, match='float32 of unknown depth, set bits'):
        make_thermal_transform('fullscale')(np.ones((2, 2), np.float32))


def test_window_in_counts_clips_at_both_limits():
    image = np.array([[90, 100, 150, 200, 210]], np.uint16)
    result = make_thermal_transform('window', low=100.0, high=200.0)(image)
    assert_allclose(result, [[0.0, 0.0, 0.5, 1.0, 1.0]], atol=1e-7)


@pytest.mark.parametrize(
    ('unit', 'offset'),
    [pytest.param('kelvin', 0.0, id='kelvin'), pytest.param('celsius', -273.15, id='celsius')],
)
def test_window_in_kelvin_uses_the_scale_of_the_frame(unit, offset):
    image = np.array([[7000, 7250, 7500]], np.uint16)  # 280, 290 and 300 K at 0.04 K per count
    window = make_thermal_transform('window', low=280.0, high=300.0, unit='kelvin')
    result = window(image, scale=0.04, offset=offset, unit=unit)
    assert_allclose(result, [[0.0, 0.5, 1.0]], atol=1e-5)


def test_window_in_kelvin_of_float_kelvin_needs_no_counts():
    image = np.array([[280.0, 285.0, 300.0]], np.float32)
    window = make_thermal_transform('window', low=280.0, high=300.0, unit='kelvin')
    assert_allclose(window(image, unit='kelvin'), [[0.0, 0.25, 1.0]], atol=1e-6)


def test_window_in_kelvin_of_plain_counts_is_refused():
    window = make_thermal_transform('window', low=280.0, high=300.0, unit='kelvin')
    with pytest.raises(PreprocessError, match=r'image in counts .* expected a known temperature'):
        window(scene())


def test_apply_takes_bits_and_unit_from_the_frame():
    image = np.array([[7000, 7500]], np.uint16)
    frame = Frame(image, 1, 'camera', 'thermal', '16UC1', 14, 0.04, 0.0, 'kelvin')
    window = make_thermal_transform('window', low=280.0, high=300.0, unit='kelvin')
    assert_allclose(window.apply(frame), [[0.0, 1.0]], atol=1e-5)
    assert_allclose(make_thermal_transform('fullscale').apply(frame), image / 16383.0, atol=1e-6)


def test_percentile_of_constant_frame_gives_zeros():
    for dtype in (np.uint8, np.uint16, np.float32):
        image = np.full((12, 10), 117, dtype)
        assert_array_equal(make_thermal_transform('percentile')(image), np.zeros((12, 10)))


def test_percentile_of_16_bit_ramp_is_monotone_and_spans_the_range():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    result = make_thermal_transform('percentile')(ramp).ravel()
    assert (np.diff(result) >= 0.0).all()
    assert result[0] == 0.0
    assert result[-1] == 1.0


@pytest.mark.parametrize('name', ['percentile', 'clahe'])
def test_left_shifted_16_bit_frame_agrees_with_14_bit_frame(name):
    image = scene(14)
    transform = make_thermal_transform(name)
    assert_allclose(transform(image << 2, 16), transform(image, 14), atol=1e-3)


def test_fullscale_of_left_shifted_frame_agrees_with_14_bit_frame():
    transform = make_thermal_transform('fullscale')
    assert_allclose(transform(scene(14) << 2, 16), transform(scene(14), 14), atol=1e-3)


def test_percentile_of_faint_frame_keeps_its_steps_apart():
    counts = np.arange(100, dtype=np.uint16).repeat(100).reshape(100, 100) + 3000
    transform = make_thermal_transform('percentile', low_percentile=0.0, high_percentile=100.0)
    result = transform(counts)
    assert_allclose(np.unique(result), np.arange(100) / 99.0, atol=1e-5)


@settings(deadline=None)
@given(
    image=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
    ),
    low=st.floats(0.0, 50.0),
    high=st.floats(51.0, 100.0),
)
def test_frame_percentiles_of_small_frame_equal_numpy(image, low, high):
    assert_allclose(frame_percentiles(image, low, high), np.percentile(image, [low, high]))


@pytest.mark.parametrize('size', [(512, 640), (480, 640), (1080, 1920), (256, 320), (7, 40000)])
def test_frame_percentiles_of_large_frame_are_near_the_exact_rank(size):
    image = scene(16, size)
    low, high = frame_percentiles(image, 1.0, 99.0)
    assert abs((image <= low).mean() - 0.01) < 0.004
    assert abs((image <= high).mean() - 0.99) < 0.004


@settings(deadline=None, max_examples=50)
@given(
    image=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 20), st.integers(1, 20)),
    )
)
@pytest.mark.parametrize('name', MONOTONE)
def test_transform_of_any_counts_is_monotone_and_within_0_and_1(name, image):
    result = make_thermal_transform(name, **PARAMS[name])(image).ravel()
    order = np.argsort(image.ravel(), kind='stable')
    assert (np.diff(result[order]) >= 0.0).all()
    assert result.min() >= 0.0
    assert result.max() <= 1.0


@settings(deadline=None, max_examples=50)
@given(
    image=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 20), st.integers(1, 20)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
@pytest.mark.parametrize('name', ['percentile', 'window', 'fullscale', 'clahe'])
def test_transform_of_any_floats_is_finite_and_within_0_and_1(name, image):
    result = make_thermal_transform(name, **PARAMS[name])(image)
    assert np.isfinite(result).all()
    assert result.min() >= 0.0
    assert result.max() <= 1.0


@pytest.mark.parametrize('name', PARAMS)
def test_transform_returns_float32_of_same_shape_and_leaves_input_alone(name):
    image = (scene(14) >> 6).astype(np.uint8)
    image.flags.writeable = False
    before = image.copy()
    result = make_thermal_transform(name, **PARAMS[name])(image)
    assert (result.dtype, result.shape) == (np.float32, image.shape)
    assert_array_equal(image, before)


@pytest.mark.parametrize('name', PARAMS)
def test_transform_of_strided_view_equals_that_of_its_copy(name):
    padded = (scene(14, (64, 90)) >> 6).astype(np.uint8)
    view = padded[:, 5:85]
    transform = make_thermal_transform(name, **PARAMS[name])
    assert_array_equal(transform(view), transform(view.copy()))


@pytest.mark.parametrize('name', PARAMS)
def test_transform_of_one_pixel_has_no_surprise(name):
    result = make_thermal_transform(name, **PARAMS[name])(np.array([[77]], np.uint8))
    assert result.shape == (1, 1)
    assert 0.0 <= result[0, 0] <= 1.0


@pytest.mark.parametrize('name', PARAMS)
def test_transform_into_out_writes_there(name):
    image = (scene(14, (32, 40)) >> 6).astype(np.uint8)
    transform = make_thermal_transform(name, **PARAMS[name])
    out = np.full(image.shape, -1.0, np.float32)
    assert transform(image, out=out) is out
    assert_array_equal(out, transform(image))


def test_out_of_other_shape_is_refused():
    with pytest.raises(PreprocessError, match=r'out: found float32 \(2, 3\), expected .*\(4, 5\)'):
        make_thermal_transform('identity8')(
            np.zeros((4, 5), np.uint8), out=np.zeros((2, 3), np.float32)
        )


def test_nan_and_infinity_become_the_median_of_the_others():
    image = np.array([[1.0, 2.0, np.nan], [3.0, np.inf, -np.inf]], np.float32)
    result = make_thermal_transform('window', low=0.0, high=4.0)(image)
    assert_allclose(result, [[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]])


def test_frame_of_only_nan_gives_zeros():
    for name in ('percentile', 'clahe'):
        result = make_thermal_transform(name)(np.full((9, 9), np.nan, np.float32))
        assert_array_equal(result, np.zeros((9, 9)))


def test_nan_pixels_leave_the_percentiles_of_the_others_alone():
    image = scene(14).astype(np.float32)
    clean = make_thermal_transform('percentile')(image)
    image[3, 5] = np.nan
    dirty = make_thermal_transform('percentile')(image)
    dirty[3, 5] = clean[3, 5]
    assert_allclose(dirty, clean, atol=1e-3)


def test_dead_values_become_the_median_of_the_others():
    image = np.array([[0, 10, 20], [30, 65535, 0]], np.uint16)
    window = make_thermal_transform('window', low=0.0, high=40.0, dead_values=[0, 65535])
    assert_allclose(window(image), [[0.5, 0.25, 0.5], [0.75, 0.5, 0.5]], atol=1e-6)


def test_dead_pixel_map_becomes_the_median_of_the_others():
    image = np.array([[200, 10, 20, 30]], np.uint8)
    dead = np.array([[True, False, False, False]])
    window = make_thermal_transform('window', low=0.0, high=40.0)
    assert_allclose(window(image, dead=dead), [[0.5, 0.25, 0.5, 0.75]], atol=1e-6)


def test_dead_pixel_map_of_other_shape_is_refused():
    with pytest.raises(PreprocessError, match=r'bool \(1, 2\), expected bool \(4, 5\)'):
        make_thermal_transform('identity8')(np.zeros((4, 5), np.uint8), dead=np.ones((1, 2), bool))


def test_clahe_raises_local_contrast_where_percentile_leaves_it_flat():
    image = scene(14)
    flat = make_thermal_transform('percentile')(image)[300:360, 300:380]
    local = make_thermal_transform('clahe')(image)[300:360, 300:380]
    assert local.std() > 1.5 * flat.std()


def test_clahe_of_8_bit_steps_equals_opencv_on_the_percentile_image():
    image = scene(14)
    stretched = make_thermal_transform('percentile')(image)
    levels = np.rint(stretched.astype(np.float64) * 255.0).astype(np.uint8)
    expected = cv2.createCLAHE(2.0, (8, 8)).apply(levels) / 255.0
    difference = np.abs(make_thermal_transform('clahe')(image) - expected)
    assert (difference > 1.5 / 255.0).mean() < 1e-4


def test_clahe_of_constant_frame_gives_zeros():
    for bits in (8, 16):
        result = make_thermal_transform('clahe', bits=bits)(np.full((64, 64), 9, np.uint16))
        assert_array_equal(result, np.zeros((64, 64)))


def test_clahe_with_16_bits_has_finer_steps_than_8():
    image = scene(14, (128, 160))
    steps = {b: len(np.unique(make_thermal_transform('clahe', bits=b)(image))) for b in (8, 16)}
    assert steps[8] <= 256 < steps[16]


@pytest.mark.parametrize(
    ('image', 'text'),
    [
        pytest.param(np.zeros((2, 2, 3), np.uint8), r'shape \(2, 2, 3\)', id='colour'),
        pytest.param(np.zeros((0, 4), np.uint8), r'shape \(0, 4\)', id='empty'),
        pytest.param(np.zeros((2, 2), np.int64), 'found int64', id='signed'),
    ],
)
def test_malformed_image_is_refused(image, text):
    with pytest.raises(PreprocessError, match=text):
        make_thermal_transform('percentile')(image)


def test_double_precision_beyond_float32_is_a_dead_pixel():
    image = np.array([[1.0, 2.0, 1e300, 3.0]])
    result = make_thermal_transform('window', low=0.0, high=4.0)(image)
    assert_allclose(result, [[0.25, 0.5, 0.5, 0.75]])


@pytest.mark.parametrize(
    ('name', 'params', 'text'),
    [
        pytest.param('agc', {}, "'agc', expected one of identity8, fullscale", id='name'),
        pytest.param('clahe', {'tile': 8}, "unknown key 'tile', did you mean 'tiles'", id='key'),
        pytest.param('window', {'low': 1.0}, "missing key 'high'", id='missing limit'),
        pytest.param('window', {'low': 2.0, 'high': 1.0}, 'expected low < high', id='reversed'),
        pytest.param(
            'percentile', {'high_percentile': 101.0}, '0 <= low < high <= 100', id='percentile'
        ),
        pytest.param('clahe', {'bits': 12}, 'found 12, expected one of 8, 16', id='clahe bits'),
        pytest.param('clahe', {'clip_limit': 0.0}, 'expected above 0', id='clip limit'),
        pytest.param('clahe', {'tiles': [0, 8]}, r'expected at least \(1, 1\)', id='tiles'),
        pytest.param('fullscale', {'bits': 0}, 'expected 1..32', id='bits'),
    ],
)
def test_make_thermal_transform_of_wrong_parameters_says_which(name, params, text):
    with pytest.raises(ConfigError, match=text):
        make_thermal_transform(name, **params)


@pytest.mark.parametrize('name', PARAMS)
def test_params_of_a_transform_build_its_equal(name):
    transform = make_thermal_transform(name, **PARAMS[name])
    assert make_thermal_transform(transform.name, **transform.params) == transform


def test_every_transform_of_the_table_is_tested_here():
    assert set(THERMAL_TRANSFORMS) == set(PARAMS)


def test_default_of_bytes_is_identity8_and_of_deeper_images_percentile():
    names = [default_transform_name(t) for t in (np.uint8, np.uint16, np.float32)]
    assert names == ['identity8', 'percentile', 'percentile']


def test_dataset_window_limits_are_percentiles_over_all_images():
    counts = np.arange(1001, dtype=np.uint16)
    images = [counts[None, :500], counts[None, 500:]]
    assert dataset_window_limits(iter(images)) == (10.0, 990.0)


@pytest.mark.parametrize(
    ('images', 'text'),
    [
        pytest.param([], 'found no pixel', id='nothing'),
        pytest.param([np.ones((2, 2), np.float32)], 'found float32', id='floats'),
        pytest.param([np.full((2, 2), 5, np.uint8)], 'both percentiles are 5 counts', id='flat'),
    ],
)
def test_dataset_window_limits_of_unusable_images_says_why(images, text):
    with pytest.raises(PreprocessError, match=text):
        dataset_window_limits(images)
