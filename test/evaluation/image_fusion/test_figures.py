"""Each figure of a fused image against numbers worked out by hand or by slow loops."""

from __future__ import annotations

import math

import numpy as np
from numpy.testing import assert_allclose
import pytest
from scipy.ndimage import gaussian_filter

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.image_fusion import brightness, contrast, quantise
from thermal_perception.evaluation.image_fusion.edges import find_edges, halo, qabf
from thermal_perception.evaluation.image_fusion.fidelity import (
    published_visual_information_fidelity,
    visual_information_fidelity,
)
from thermal_perception.evaluation.image_fusion.grey import grey_levels
from thermal_perception.evaluation.image_fusion.information import (
    entropy_nats,
    histogram,
    mutual_information,
    published_mutual_information,
)
from thermal_perception.evaluation.image_fusion.structure import (
    correlation,
    ssim,
    sum_of_correlated_differences,
)

FLAT = np.full((48, 60), 77.0)
LN2 = math.log(2)


def picture(seed, size=(48, 60)):
    """Return a smooth random picture that spans 0..255."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=size), 2)
    return np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth))


def test_entropy_of_one_two_and_all_levels():
    assert contrast.entropy(FLAT) == 0
    assert contrast.entropy(np.array([[0.0, 255, 0, 255]])) == pytest.approx(1)
    assert contrast.entropy(np.arange(256.0).reshape(16, 16)) == pytest.approx(8)


def test_standard_deviation_is_that_of_the_population():
    assert contrast.standard_deviation(np.array([[0.0, 10], [0, 10]])) == 5


def test_spatial_frequency_joins_the_mean_squared_steps_of_both_directions():
    # Rows step by 3 and 3, columns by 4: sqrt(9 + 16).
    assert contrast.spatial_frequency(np.array([[0.0, 3, 6], [4, 7, 10]])) == pytest.approx(5)
    assert contrast.spatial_frequency(np.array([[0.0, 3]])) == 3
    assert contrast.spatial_frequency(FLAT) == contrast.spatial_frequency(FLAT[:1, :1]) == 0


def test_average_gradient_takes_central_differences_and_one_sided_ones_at_the_border():
    # dx is 2, 1, 0 of 0 2 2 at the ends and 1 in between; dy is 0.
    assert contrast.average_gradient(np.array([[0.0, 2, 2]] * 2)) == pytest.approx(
        (2 + 1 + 0) / 3 / math.sqrt(2)
    )
    plane = 3.0 * np.arange(5)[:, None] + 4 * np.arange(6)
    assert contrast.average_gradient(plane) == pytest.approx(5 / math.sqrt(2))


def test_mutual_information_of_an_image_with_itself_is_its_entropy():
    image = picture(0)
    assert mutual_information(image, image) == pytest.approx(entropy_nats(histogram(image)))


def test_mutual_information_by_hand():
    # Levels (0, 0), (0, 1), (1, 0), (1, 1): independent. Then (0, 0), (0, 0), (1, 1), (1, 0).
    a = np.array([[0.0, 0, 1, 1]])
    assert mutual_information(a, np.array([[0.0, 1, 0, 1]])) == pytest.approx(0, abs=1e-12)
    joint = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    apart = LN2 - (0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert mutual_information(a, np.array([[0.0, 0, 1, 0]])) == pytest.approx(apart - joint)


def test_published_mutual_information_is_the_joint_entropy_less_0_36651():
    image = picture(0)
    expected = entropy_nats(histogram(image)) - 0.36651
    assert published_mutual_information(image, image) == pytest.approx(expected, abs=1e-5)
    # Bracket by bracket as published, for four equal pairs.
    a, b = np.array([[0.0, 0, 1, 1]]), np.array([[0.0, 1, 0, 1]])
    expected = -4 * 0.25 * math.log(0.25 / LN2)
    assert published_mutual_information(a, b) == pytest.approx(expected)


def loop_vif(reference, image):
    """Compute VIFp window by window, as the paper writes it, without any shared code."""
    a, b, kept, whole = reference, image, 0.0, 0.0
    for scale, side in enumerate((17, 9, 5, 3)):
        x = np.arange(side) - side // 2
        window = np.exp(-(x[:, None] ** 2 + x**2) / (2 * (side / 5) ** 2))
        window /= window.sum()

        def places(image, side=side):
            return np.lib.stride_tricks.sliding_window_view(image, (side, side)).reshape(
                -1, side, side
            )

        if scale:
            a, b = (
                np.array([(p * window).sum() for p in places(i)]).reshape(
                    i.shape[0] - side + 1, -1
                )[::2, ::2]
                for i in (a, b)
            )
        for p, q in zip(places(a), places(b)):
            mean_p, mean_q = (p * window).sum(), (q * window).sum()
            var_p = (window * (p - mean_p) ** 2).sum()
            var_q = (window * (q - mean_q) ** 2).sum()
            gain = (window * (p - mean_p) * (q - mean_q)).sum() / (var_p + 1e-10)
            rest = var_q - gain * gain * var_p if gain >= 0 else var_q
            gain = max(gain, 0)
            kept += math.log10(1 + gain**2 * var_p / (max(rest, 0) + 2))
            whole += math.log10(1 + var_p / 2)
    return kept / whole


def test_vif_equals_the_paper_window_by_window():
    reference = picture(1, (43, 44))
    image = np.clip(0.7 * reference + 0.4 * picture(2, (43, 44)), 0, 255)
    expected = loop_vif(reference, image)
    assert 0.1 < expected < 0.9
    assert visual_information_fidelity(reference, image) == pytest.approx(expected, abs=1e-6)


def test_vif_is_one_for_the_reference_and_small_for_another_picture():
    reference = picture(1)
    assert visual_information_fidelity(reference, reference) == pytest.approx(1, abs=1e-3)
    assert visual_information_fidelity(reference, 255 - reference) < 0.01  # opposed contrast
    assert visual_information_fidelity(reference, FLAT) == pytest.approx(0, abs=1e-9)
    stronger = np.clip(127 + 1.5 * (reference / 2 - 64), 0, 255)
    weaker = 127 + 0.5 * (reference / 2 - 64)
    assert visual_information_fidelity(reference / 2, stronger) > 1
    assert visual_information_fidelity(reference / 2, weaker) < 1


def test_vif_to_a_constant_reference_is_undefined():
    assert math.isnan(visual_information_fidelity(FLAT, picture(0)))
    assert math.isnan(published_visual_information_fidelity(FLAT * 0, picture(0)))


def test_vif_of_a_small_image_is_refused_with_its_size():
    with pytest.raises(MetricError, match='found 40x60 pixels .* at least 41'):
        visual_information_fidelity(FLAT[:40], FLAT[:40])
    assert math.isfinite(visual_information_fidelity(picture(0)[:41, :41], FLAT[:41, :41]))


def test_published_vif_wraps_products_at_256():
    # 16 * 16 is 0 in bytes, so the mean of squares of a step 0 | 16 is 0 everywhere and the
    # "variance" is minus the squared mean, wrapped.
    step = np.where(np.arange(48)[:, None] < 24, 0.0, 16) * np.ones((1, 48))
    blurred = gaussian_filter(step.astype(np.uint8), 17 / 5)
    by_hand = np.uint8(0) - blurred * blurred
    assert by_hand.max() > 64  # far above the true variance of at most 64
    assert published_visual_information_fidelity(step, step) == pytest.approx(1, abs=0.02)
    image = picture(3)
    other = np.clip(image * 0.5 + picture(4) * 0.5, 0, 255)
    published = published_visual_information_fidelity(image, other)
    assert published > 1.5 * visual_information_fidelity(image, other)


def test_edges_of_a_step_by_hand():
    # Columns 0, 0, 8, 8: Sobel gives 4 * 8 at both sides of the step, away from the border.
    image = np.tile([0.0, 0, 8, 8], (5, 1))
    edges = find_edges(image)
    assert_allclose(edges.strength[2], [0, 32, 32, 32])  # the last one is the zero padding's
    assert_allclose(edges.angle[2], [np.pi / 2, 0, 0, 0])


def sigmoids(strength, direction):
    return (
        0.9994
        / (1 + math.exp(-15 * (strength - 0.5)))
        * 0.9879
        / (1 + math.exp(-22 * (direction - 0.8)))
    )


def test_qabf_of_equal_images_is_the_product_of_both_sigmoids_at_one():
    image = picture(5)
    assert_allclose(qabf(image, image, image), [sigmoids(1, 1)] * 2, rtol=1e-9)


def test_qabf_of_a_ramp_at_half_strength_by_hand():
    # Away from the border every edge keeps half its strength and all of its direction.
    ramp = np.tile(np.arange(20.0) * 8, (20, 1))
    _, inner = qabf(ramp, ramp, ramp / 2)
    assert inner == pytest.approx(sigmoids(0.5, 1))
    # Turned by a right angle: full strength, no direction.
    assert qabf(ramp, ramp, ramp.T)[1] == pytest.approx(sigmoids(1, 0))


def test_qabf_weighs_the_sources_by_their_edges_and_the_border_counts_only_outside():
    ramp = np.tile(np.arange(20.0) * 8, (20, 1))
    flat = np.full((20, 20), 100.0)
    both, inner = qabf(ramp, flat, ramp)
    assert inner == pytest.approx(sigmoids(1, 1))  # the flat source has no edge inside
    assert both < inner  # but one along the border, where zeros begin, that is not kept


def test_qabf_without_any_edge_is_undefined():
    assert all(math.isnan(v) for v in qabf(FLAT * 0, FLAT * 0, picture(0)))
    assert math.isnan(qabf(FLAT, FLAT, FLAT)[1])


def rising(per_pixel, size=48):
    """Return a square image that rises by so many grey levels a pixel."""
    return np.tile(100 + np.arange(float(size)) * per_pixel, (size, 1))


@pytest.mark.parametrize(
    ('slope', 'beyond'), [(0.0, 0), (1.0, 0), (1.5, 0.5), (-0.5, 0), (-2.0, 1.5)]
)
def test_halo_of_ramps_by_hand(slope, beyond):
    # A size sees twice the slope of the one before it; 48 pixels hold all five: 48 24 12 6 3.
    found = halo(rising(1.0), rising(-0.5), rising(slope))
    assert found == pytest.approx(beyond * (1 + 2 + 4 + 8 + 16) / 5)
    turned = halo(rising(1.0).T, rising(-0.5).T, rising(slope).T)
    assert turned == pytest.approx(found)


def test_small_images_have_fewer_sizes():
    flat = rising(0.0, 11)
    assert halo(flat, flat, rising(1.0, 11)) == pytest.approx((1 + 2) / 2)  # 11, 5, and 2 is none
    assert math.isnan(halo(*[rising(0.0, 2)] * 3))


def test_a_weighted_mean_has_no_halo_and_a_ring_beside_a_lamp_has():
    x = np.abs(np.arange(128) - 63.5)
    lamp = np.tile(255 * ((20 - x) / 4).clip(0, 1), (64, 1))
    wall = np.full_like(lamp, 128)
    ring = np.where(x < 20, lamp, np.tile((2 * (x - 20)).clip(0, 128), (64, 1)))
    assert halo(lamp, wall, 0.3 * lamp + 0.7 * wall) == pytest.approx(0)
    assert halo(lamp, wall, np.maximum(lamp, wall)) == pytest.approx(0)
    assert halo(lamp, wall, ring) > 1


def test_ssim_of_constant_images_compares_their_levels():
    c1 = 6.5025
    expected = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    assert ssim(np.full((15, 15), 100.0), np.full((15, 15), 120.0)) == pytest.approx(expected)


def test_ssim_of_one_window_by_hand():
    a, b = picture(0, (11, 11)), picture(1, (11, 11))
    x = np.arange(-5, 6)
    w = np.exp(-(x[:, None] ** 2 + x**2) / 4.5)
    w /= w.sum()
    mean_a, mean_b = (w * a).sum(), (w * b).sum()
    var_a, var_b = (w * (a - mean_a) ** 2).sum(), (w * (b - mean_b) ** 2).sum()
    cov = (w * (a - mean_a) * (b - mean_b)).sum()
    expected = (2 * mean_a * mean_b + 6.5025) * (2 * cov + 58.5225)
    expected /= (mean_a**2 + mean_b**2 + 6.5025) * (var_a + var_b + 58.5225)
    assert ssim(a, b) == pytest.approx(expected)
    assert ssim(a, a) == pytest.approx(1)


def test_ssim_of_a_small_image_is_refused_with_its_size():
    with pytest.raises(MetricError, match='found 10x60 pixels'):
        ssim(FLAT[:10], FLAT[:10])


def test_correlation_by_hand_and_of_a_constant():
    # Deviations -1, 0, 1 and -1, 1, 0: 1 / 2.
    assert correlation(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(0.5)
    assert correlation(np.array([1.0, 2, 3]), np.array([5.0, 5, 5])) == 0


def test_scd_of_a_sum_is_two_and_of_a_copy_of_one_source_shows_one_difference_only():
    a, b = picture(0) / 2, picture(1) / 2
    assert sum_of_correlated_differences(a, b, a + b) == pytest.approx(2)
    assert sum_of_correlated_differences(a, b, b) == pytest.approx(correlation(b - a, b))


def test_quantise_rounds_half_up_and_clips():
    levels = quantise(np.array([[-3.0, 0.49, 0.5, 1.5, 2.5, 254.5, 300.0]]))
    assert levels.tolist() == [[0, 0, 1, 2, 3, 255, 255]]
    with pytest.raises(MetricError, match='not finite'):
        quantise(np.array([[np.nan]]))


def test_brightness_is_the_largest_channel():
    assert brightness(np.array([[[1, 9, 4], [7, 2, 2]]], np.uint8)).tolist() == [[9, 7]]
    assert brightness(np.array([[5]], np.uint8)).tolist() == [[5]]


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (np.full((3, 3), np.nan), 'fused: found values that are not finite'),
        (np.full((3, 3), np.inf), 'not finite'),
        (np.zeros((3, 3, 3)), r'found shape \(3, 3, 3\), expected a grey image'),
        (np.zeros((0, 3)), r'found shape \(0, 3\)'),
        (np.full((3, 3), 256.0), 'found values 256..256, expected grey levels 0..255'),
        (np.full((3, 3), -1.0), 'found values -1..-1'),
    ],
)
def test_images_that_are_no_grey_levels_are_refused(image, message):
    with pytest.raises(MetricError, match=message):
        grey_levels(image, name='fused')
