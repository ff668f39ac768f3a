from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.guided import _box_mean, _slopes, guided_enlarge
from thermal_perception.models.padding import reduce

FACTOR = 4


def steps(*, vertical, low=0.2, high=0.8, size=(48, 64), at=25):
    """Return an image (1, 1, H, W) of two halves."""
    image = torch.full((1, 1, *size), low)
    if vertical:
        image[..., at:] = high
    else:
        image[..., at:, :] = high
    return image


def enlarge_by(maps, guide, *, factor=FACTOR, radius=1, epsilon=1e-3, padding=None):
    full = padding and padding[0]
    cells = padding and padding[1]
    return guided_enlarge(
        maps,
        guide=guide,
        reduced=tuple(reduce(image, factor, full) for image in guide),
        radius=radius,
        epsilon=epsilon,
        padding=cells,
    )


def bilinear(maps, factor=FACTOR):
    return F.interpolate(maps, scale_factor=factor, mode='bilinear')


@pytest.mark.parametrize('inverted', [False, True], ids=['alone', 'against an opposite edge'])
def test_a_map_follows_an_edge_that_one_image_has(inverted):
    edge = steps(vertical=True)
    other = 1 - edge if inverted else torch.full_like(edge, 0.5)
    wanted = torch.where(edge > 0.5, 3.0, -3.0)
    found = enlarge_by(reduce(wanted, FACTOR), (edge, other))
    assert (found - wanted).abs().max() < 0.3
    assert (bilinear(reduce(wanted, FACTOR)) - wanted).abs().max() > 1.5


def test_a_map_that_is_a_line_of_both_images_comes_back():
    guide = (steps(vertical=True), steps(vertical=False, at=30))
    wanted = 2 * guide[0] - 5 * guide[1] + 0.7
    found = enlarge_by(reduce(wanted, FACTOR), guide, epsilon=1e-7)
    assert_close(found, wanted, atol=1e-3, rtol=0)


def test_flat_images_leave_a_bilinear_enlargement():
    maps = torch.randn(2, 2, 6, 8)
    flat = torch.full((2, 1, 24, 32), 0.4)
    assert_close(enlarge_by(maps, (flat, flat)), bilinear(maps), atol=1e-5, rtol=1e-5)


def test_a_constant_map_stays_constant_whatever_the_images():
    maps = torch.full((1, 2, 6, 8), -1.5)
    guide = (torch.rand(1, 1, 24, 32), torch.rand(1, 1, 24, 32))
    assert_close(enlarge_by(maps, guide), torch.full((1, 2, 24, 32), -1.5), atol=1e-4, rtol=0)


def test_noise_weaker_than_epsilon_hardly_moves_a_map():
    maps = reduce(torch.where(steps(vertical=True) > 0.5, 3.0, -3.0), FACTOR)
    noisy = tuple(0.5 + 0.005 * torch.randn(1, 1, 48, 64) for _ in range(2))
    assert (enlarge_by(maps, noisy, epsilon=1e-2) - bilinear(maps)).abs().max() < 0.2


def test_equal_images_do_not_make_slopes_explode():
    image = torch.rand(1, 1, 24, 32)
    found = enlarge_by(torch.randn(1, 2, 6, 8), (image, image), epsilon=1e-6)
    assert torch.isfinite(found).all()
    assert found.abs().max() < 100


def windows(array, row, column, radius):
    top, left = max(row - radius, 0), max(column - radius, 0)
    return array[..., top : row + radius + 1, left : column + radius + 1]


@pytest.mark.parametrize('radius', [1, 2])
def test_box_mean_equals_a_loop_over_windows(radius):
    x = torch.rand(2, 3, 5, 6)
    expected = torch.empty_like(x)
    for row, column in np.ndindex(5, 6):
        expected[..., row, column] = windows(x, row, column, radius).mean((-2, -1))
    assert_close(_box_mean(x, radius, None), expected)


def test_slopes_solve_the_least_squares_problem_of_every_window():
    epsilon = 1e-3
    x = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    centred = x - _box_mean(x, 1, None)
    expected = torch.empty(2, 5, 6, dtype=torch.float64)
    for row, column in np.ndindex(5, 6):
        y, v, m = windows(centred, row, column, 1)[0].flatten(1)
        images = torch.stack((y, v), 1)
        normal = images.T @ images / len(m) + epsilon * torch.eye(2)
        expected[:, row, column] = torch.linalg.solve(normal, images.T @ m / len(m))
    found = _slopes(x[:, 2:], (x[:, :1], x[:, 1:2]), radius=1, epsilon=epsilon, padding=None)
    assert_close(torch.cat(found, 1)[0], expected)


def test_padded_pixels_change_nothing():
    guide = [torch.rand(1, 1, 48, 64) for _ in range(2)]
    maps = torch.randn(1, 2, 12, 16)
    cropped = enlarge_by(maps[..., :8, :11], tuple(g[..., :32, :44] for g in guide))
    padding = [torch.ones(1, 48, 64, dtype=torch.bool), torch.ones(1, 12, 16, dtype=torch.bool)]
    padding[0][:, :32, :44] = padding[1][:, :8, :11] = False
    found = enlarge_by(maps, tuple(guide), padding=padding)
    assert_close(found[..., :32, :44], cropped, atol=1e-5, rtol=1e-5)


def test_half_precision_of_the_convolutions_is_enough():
    guide = (steps(vertical=True), steps(vertical=False, at=30))
    maps = torch.randn(1, 2, 12, 16)
    with torch.autocast('cpu', torch.bfloat16):
        found = enlarge_by(maps.bfloat16(), guide)
    assert found.dtype == torch.float32
    assert (found - enlarge_by(maps, guide)).abs().mean() < 0.02


def test_gradients_reach_the_maps_and_the_images():
    maps = torch.randn(1, 2, 6, 8, requires_grad=True)
    guide = tuple(torch.rand(1, 1, 24, 32, requires_grad=True) for _ in range(2))
    enlarge_by(maps, guide).square().mean().backward()
    for tensor in (maps, *guide):
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() > 0
