from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from training.e2e_mfd.extent import Extent
from training.e2e_mfd.targets import pixel_target, saliency, saliency_weights

KINDS = ('max_mean', 'salient', 'paper', 'code_h', 'code_o')


def image(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


def whole(x):
    return Extent.of(x, None)


def noise(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


V, Y = image(0.2, 0.8), image(0.6, 0.4)
# Object and background of each pixel; where saliency counts both images are equally salient.
TARGETS = {
    'max_mean': ([0.6, 0.8], [0.4, 0.6]),
    'code_h': ([0.8, 1.2], [0.6, 0.8]),
    'code_o': ([1.0, 1.4], [0.6, 0.4]),
}


@pytest.mark.parametrize('kind', TARGETS)
def test_targets_are_those_of_the_table(kind):
    objects = torch.ones_like(V, dtype=torch.bool)
    for mask, expected in zip((objects, ~objects), TARGETS[kind]):
        assert_close(pixel_target(kind, V, Y, mask, whole(V)), image(*expected))


def test_salient_and_paper_targets_weigh_by_saliency():
    w1 = saliency_weights(V, Y, whole(V))
    objects = image(1.0, 0.0).bool()
    strong, mixed = torch.maximum(V, Y), w1 * V + (1 - w1) * Y
    salient = pixel_target('salient', V, Y, objects, whole(V))
    assert_close(salient, torch.where(objects, strong, mixed))
    paper = pixel_target('paper', V, Y, objects, whole(V))
    assert_close(paper, torch.where(objects, torch.maximum(w1 * V, (1 - w1) * Y), mixed / 2))


@pytest.mark.parametrize('kind', KINDS)
def test_targets_carry_no_gradient(kind):
    v = V.clone().requires_grad_()
    assert not pixel_target(kind, v, Y, torch.ones_like(V).bool(), whole(V)).requires_grad


def test_saliency_of_a_constant_image_is_zero():
    flat = torch.full((1, 1, 4, 5), 0.3)
    assert_close(saliency(flat, whole(flat)), torch.zeros_like(flat))


def test_saliency_is_the_mean_distance_of_grey_levels():
    x = image(0.0, 0.0, 0.0, 1.0)
    # A black pixel is 255 away from one pixel in four, the white one from three.
    assert_close(saliency(x, whole(x)), image(63.75, 63.75, 63.75, 191.25))


def test_saliency_equals_the_sum_over_all_pixels():
    x = (noise(0, 2, 1, 6, 7) * 255).round() / 255
    levels = (x * 255).round().numpy().astype(np.int64).reshape(2, -1)
    expected = np.abs(levels[:, :, None] - levels[:, None]).mean(2).reshape(x.shape)
    assert_close(saliency(x, whole(x)), torch.from_numpy(expected).float())


def test_saliency_weights_are_one_half_for_equal_or_flat_images():
    x, flat = noise(1, 1, 1, 5, 5), torch.full((1, 1, 5, 5), 0.3)
    half = torch.full_like(x, 0.5)
    assert_close(saliency_weights(x, x, whole(x)), half)
    assert_close(saliency_weights(flat, flat + 0.2, whole(x)), half)


def test_saliency_weights_are_shares():
    v, y = noise(2, 2, 1, 9, 9), noise(3, 2, 1, 9, 9) * 0.1
    w1 = saliency_weights(v, y, whole(v))
    assert (w1 >= 0).all() and (w1 <= 1).all()
    assert_close(w1 + saliency_weights(y, v, whole(v)), torch.ones_like(w1))
    flat = torch.full_like(y, 0.5)
    assert_close(saliency_weights(v, flat, whole(v)), torch.ones_like(w1))


def test_saliency_of_a_padded_image_is_that_of_the_image_alone():
    x = noise(4, 2, 1, 6, 8)
    padding = torch.zeros(2, 6, 8, dtype=torch.bool)
    padding[0, 4:] = padding[0, :, 5:] = True
    both = saliency(x, Extent.of(x, padding))
    for n, (height, width) in enumerate(((4, 5), (6, 8))):
        alone = x[n : n + 1, :, :height, :width]
        assert_close(both[n : n + 1, :, :height, :width], saliency(alone, whole(alone)))
