from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from training.e2e_mfd.extent import blur_inside, Extent, gaussian

BORDERS = ('zero', 'replicate')


def noise(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def padding_of(sizes, shape):
    """Return the padding (B, H, W) of images of given heights and widths."""
    padding = torch.ones((len(sizes), *shape), dtype=torch.bool)
    for row, (height, width) in zip(padding, sizes):
        row[:height, :width] = False
    return padding


def convolved(image, window, border):
    """Filter by convolutions of a padded image."""
    half, count = len(window) // 2, image.shape[1]
    mode = 'constant' if border == 'zero' else 'replicate'
    image = F.pad(image, (half,) * 4, mode=mode)
    weights = torch.tensor(window).expand(count, 1, 1, -1)
    return F.conv2d(F.conv2d(image, weights, groups=count), weights.mT, groups=count)


WEIGHTS = {
    3: (0.3192, 0.3617, 0.3192),
    5: (0.1525, 0.2218, 0.2514, 0.2218, 0.1525),
    7: (0.0702, 0.1311, 0.1907, 0.2161, 0.1907, 0.1311, 0.0702),
}


@pytest.mark.parametrize('side', WEIGHTS)
def test_windows_of_deviation_two_are_those_of_the_source(side):
    assert gaussian(side, 2.0) == pytest.approx(WEIGHTS[side], abs=5e-5)
    assert sum(gaussian(side, 2.0)) == pytest.approx(1)


def test_a_dot_becomes_the_window_along_rows_and_columns():
    image = torch.zeros(1, 1, 5, 7)
    image[0, 0, 2, 3] = 1
    blurred = Extent.of(image, None).blur(image, [0.25, 0.5, 0.25], 'zero')
    assert blurred[0, 0, 2].tolist() == [0, 0, 0.125, 0.25, 0.125, 0, 0]
    assert blurred[0, 0, :, 3].tolist() == [0, 0.125, 0.25, 0.125, 0]


def test_zeros_darken_the_border_and_replication_does_not():
    image = torch.ones(1, 1, 6, 6)
    extent = Extent.of(image, None)
    dark = extent.blur(image, [0.25, 0.5, 0.25], 'zero')
    assert dark[0, 0, 0, 3] == 0.75
    assert dark[0, 0, 0, 0] == 0.75**2
    assert_close(extent.blur(image, [0.25, 0.5, 0.25], 'replicate'), image)


@pytest.mark.parametrize('side', WEIGHTS)
def test_detail_of_a_constant_is_zero_away_from_a_border_of_zeros(side):
    image, reach = torch.full((1, 1, 12, 14), 0.6), side // 2
    detail = image - Extent.of(image, None).blur(image, gaussian(side, 2.0), 'zero')
    inner = detail[..., reach:-reach, reach:-reach]
    assert_close(inner, torch.zeros_like(inner), atol=1e-6, rtol=0)
    outside = sum(WEIGHTS[side][:reach])  # of the window at the first column
    assert_close(detail[0, 0, 6, 0], torch.tensor(0.6 * outside), atol=1e-4, rtol=0)
    assert (detail[0, 0, 6, :reach] > 0.01).all()


@pytest.mark.parametrize('border', BORDERS)
def test_blur_equals_the_convolution(border):
    image, window = noise(2, 3, 9, 13), gaussian(5, 1.0)
    blurred = Extent.of(image, None).blur(image, window, border)
    assert_close(blurred, convolved(image, window, border))


@pytest.mark.parametrize('border', BORDERS)
def test_padded_images_are_blurred_as_if_they_were_alone(border):
    sizes, window = [(9, 13), (4, 6), (1, 13)], gaussian(7, 2.0)
    images = noise(3, 2, 12, 16)
    extent = Extent.of(images, padding_of(sizes, (12, 16)))
    blurred = extent.blur(extent.clean(images), window, border)
    for n, (height, width) in enumerate(sizes):
        alone = images[n : n + 1, :, :height, :width]
        expected = Extent.of(alone, None).blur(alone, window, border)
        assert_close(blurred[n : n + 1, :, :height, :width], expected)


def test_blur_inside_keeps_what_the_window_fits():
    image, window = noise(1, 2, 9, 13), gaussian(5, 1.0)
    expected = convolved(image, window, 'zero')[..., 2:-2, 2:-2]
    assert_close(blur_inside(image, window), expected)


def test_sizes_are_read_from_the_padding():
    extent = Extent.of(noise(2, 1, 8, 8), padding_of([(5, 8), (8, 3)], (8, 8)))
    assert extent.heights.tolist() == [5, 8]
    assert extent.widths.tolist() == [8, 3]
    assert extent.inside.sum((1, 2, 3)).tolist() == [40, 24]


def test_means_leave_padded_pixels_out_whatever_they_hold():
    image = torch.full((2, 1, 4, 4), float('nan'))
    image[0, :, :2, :2], image[1] = 1.0, 3.0
    extent = Extent.of(image, padding_of([(2, 2), (4, 4)], (4, 4)))
    assert extent.means(image).tolist() == [[1.0], [3.0]]
    assert extent.mean(image) == (4 * 1 + 16 * 3) / 20


def test_a_mean_is_over_all_channels():
    image = torch.stack((torch.zeros(3, 3), torch.ones(3, 3)))[None]
    assert Extent.of(image, None).mean(image) == 0.5


def test_sizes_follow_filters_that_fit_and_smaller_images():
    extent = Extent.of(noise(1, 1, 9, 12), padding_of([(7, 2)], (9, 12)))
    shrunk = extent.shrunk(4)
    assert (shrunk.heights.item(), shrunk.widths.item(), shrunk.shape) == (3, 0, (5, 8))
    thinned = extent.every_other()
    assert (thinned.heights.item(), thinned.widths.item(), thinned.shape) == (4, 1, (5, 6))
    halved = extent.halved()
    assert (halved.heights.item(), halved.widths.item(), halved.shape) == (3, 1, (4, 6))
