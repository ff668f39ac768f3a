from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from training.e2e_mfd.extent import Extent, gaussian
from training.e2e_mfd.published_terms import gradient_loss, pixel_loss, ssim_loss


def noise(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def whole(x):
    return Extent.of(x, None)


def pair(seed=0, size=(24, 32)):
    """Return u and sources."""
    return noise(seed, 1, 1, *size), noise(seed + 1, 1, 2, *size)


def ssim_by_convolution(a, b):
    """SSIM of (1, 1, H, W) images with zeros beyond the border, as the source writes it."""
    window = torch.tensor(gaussian(11, 1.5))
    window = (window[:, None] * window)[None, None]

    def blur(x):
        return torch.nn.functional.conv2d(x, window, padding=5)

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    return (light * (2 * covariance + 9e-4) / (variance_a + variance_b + 9e-4)).mean()


def test_an_image_is_similar_to_itself():
    u = noise(0, 2, 1, 20, 20)
    assert_close(ssim_loss(u, u.expand(-1, 2, -1, -1), whole(u)), torch.tensor(0.0))


@pytest.mark.parametrize('seed', range(3))
def test_ssim_loss_is_half_of_what_each_image_lacks(seed):
    u, sources = pair(seed)
    similar = [ssim_by_convolution(u, sources[:, i : i + 1]) for i in (0, 1)]
    expected = (1 - similar[0]) / 2 + (1 - similar[1]) / 2
    assert_close(ssim_loss(u, sources, whole(u)), expected, atol=1e-5, rtol=0)


def test_negatives_are_dissimilar():
    u = noise(0, 1, 1, 32, 32)
    opposite = (1 - u).expand(-1, 2, -1, -1)
    assert ssim_loss(u, opposite, whole(u)) > 1


def test_pixel_loss_is_the_mean_over_all_pixels():
    u = torch.zeros(1, 1, 2, 2)
    target = torch.tensor([[[[0.1, 0.3], [0.0, 0.0]]]])
    assert_close(pixel_loss(u, target, whole(u)), torch.tensor(0.1))


def test_gradient_loss_of_equal_images_is_zero():
    u = noise(0, 1, 1, 12, 12)
    for norm in ('l1', 'squared'):
        assert gradient_loss(u, u.expand(-1, 2, -1, -1), whole(u), norm=norm) == 0


def test_constant_images_have_detail_only_at_a_border_of_zeros():
    u, sources = torch.full((1, 1, 20, 20), 0.5), torch.zeros(1, 2, 20, 20)
    assert gradient_loss(u, sources, whole(u)) > 0.1
    inner = gradient_loss(u, sources, whole(u), border='replicate')
    assert_close(inner, torch.tensor(0.0), atol=1e-5, rtol=0)


def dot(value, size=15):
    image = torch.zeros(1, 1, size, size)
    image[..., size // 2, size // 2] = value
    return image


def detail_of_a_dot(size=15):
    """Return the three details of a dot of height one, by hand."""
    details = []
    for side in (3, 5, 7):
        window = torch.tensor(gaussian(side, 2.0))
        blurred = torch.zeros(1, 1, size, size)
        low, high = size // 2 - side // 2, size // 2 + side // 2 + 1
        blurred[..., low:high, low:high] = window[:, None] * window
        details.append(dot(1.0, size) - blurred)
    return details


@pytest.mark.parametrize(('norm', 'weights'), [('l1', (10, 10, 1)), ('squared', (1, 1, 1))])
def test_gradient_loss_weighs_details_as_its_source(norm, weights):
    u, sources = torch.zeros(1, 1, 15, 15), dot(1.0).expand(-1, 2, -1, -1)
    power = 1 if norm == 'l1' else 2
    expected = sum(w * (d.abs() ** power).mean() for w, d in zip(weights, detail_of_a_dot()))
    assert_close(gradient_loss(u, sources, whole(u), norm=norm), expected)


def test_dark_detail_loses_to_a_flat_region_unless_compared_by_magnitude():
    dark, flat = dot(-0.5) + 0.5, torch.full((1, 1, 15, 15), 0.5)
    sources, extent = torch.cat((dark, flat), 1), whole(dark)

    def loss(u, largest):
        options = {'norm': 'squared', 'border': 'replicate'}
        return gradient_loss(u, sources, extent, largest=largest, **options)

    assert loss(flat, 'signed') < loss(dark, 'signed') / 5
    assert loss(dark, 'abs') < 1e-9 < loss(flat, 'abs') / 100


@pytest.mark.parametrize('border', ['zero', 'replicate'])
def test_terms_of_a_padded_image_are_those_of_the_image_alone(border):
    u, sources = pair(size=(20, 24))
    padding = torch.ones(1, 20, 24, dtype=torch.bool)
    padding[:, :13, :17] = False
    extent = Extent.of(u, padding)
    cut = u[..., :13, :17], sources[..., :13, :17]
    clean = extent.clean(u), extent.clean(sources)
    for term in (ssim_loss, gradient_loss):
        expected = term(*cut, whole(cut[0]), border=border)
        assert_close(term(*clean, extent, border=border), expected)
