from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.image_fusion.baselines import BASELINES, fuse_simply


def noise(seed, size=(60, 83)):
    return np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)


def smooth(size=(64, 96)):
    y, x = np.indices(size)
    return (100 + 40 * np.sin(x / 15) * np.cos(y / 11)).astype(np.uint8)


def fuse(name, thermal, visible):
    return fuse_simply(name, thermal=thermal, visible=visible)


@pytest.mark.parametrize('name', BASELINES)
@pytest.mark.parametrize('size', [(64, 96), (61, 83), (41, 45)])
def test_equal_images_are_what_they_fuse_to(name, size):
    image = noise(0, size)
    assert_allclose(fuse(name, image, image), image, atol=1e-6)


@pytest.mark.parametrize('name', BASELINES)
def test_order_of_the_images_does_not_matter(name):
    a, b = noise(1), noise(2)
    assert_allclose(fuse(name, a, b), fuse(name, b, a), atol=1e-6)


def test_average_and_maximum_by_hand():
    a, b = np.array([[10, 200]], np.uint8), np.array([[20, 100]], np.uint8)
    assert fuse('average', a, b).tolist() == [[15, 150]]
    assert fuse('maximum', a, b).tolist() == [[20, 200]]


def test_pyramid_takes_the_detail_of_one_image_and_the_mean_level_of_both():
    flat = np.full((64, 96), 60, np.uint8)
    detailed = flat.copy()
    detailed[32, 40:60] = 160
    fused = fuse('laplacian', flat, detailed)
    # All detail is kept, but for what is left of the line after four reductions.
    assert fused[32, 50] - fused[20, 50] > 0.9 * 100
    assert_allclose(fused[5, 5], 60, atol=1)


def test_pyramid_keeps_dark_detail_too():
    flat = np.full((64, 96), 160, np.uint8)
    detailed = flat.copy()
    detailed[32, 40:60] = 60
    fused = fuse('laplacian', flat, detailed)
    assert fused[32, 50] - fused[20, 50] < -0.9 * 100


def test_guided_filter_takes_each_part_from_where_something_is_to_be_seen():
    thermal, visible = smooth(), smooth()
    rng = np.random.default_rng(0)
    texture = rng.integers(-50, 50, (64, 40))
    thermal[:, :40] = np.clip(thermal[:, :40] + texture, 0, 255)
    visible[:, 56:] = np.clip(visible[:, 56:] + texture, 0, 255)
    fused = fuse('guided_filter', thermal, visible)
    for part, source in ((np.s_[10:50, 5:30], thermal), (np.s_[10:50, 66:90], visible)):
        # Half of the detail would be left of a mean.
        assert np.abs(fused[part] - source[part]).mean() < 0.1 * np.abs(texture).mean()


def test_images_of_different_size_are_refused():
    with pytest.raises(MetricError, match='thermal image is 60x83 and visible image 60x84'):
        fuse('average', noise(0), noise(0, (60, 84)))
