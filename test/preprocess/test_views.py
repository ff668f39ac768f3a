"""Images with their cameras."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thermal_perception.errors import PreprocessError
from thermal_perception.geometry.camera import Camera
from thermal_perception.preprocess.views import ViewConfig, ViewPreprocess


def camera(size, D=()):
    K = np.array([[100.0, 0, 39.5], [0, 110.0, 29.5], [0, 0, 1]])
    return Camera(K, np.array(D, float), size)


def test_an_image_is_halved_and_padded():
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, :, 0], image[:, :, 2] = 255, 51  # blue and a little red
    prepared = ViewPreprocess(ViewConfig((30, 40), 32))(image, camera((60, 80)))
    assert prepared.image.shape == (3, 32, 64)
    assert prepared.image.dtype == torch.float32
    assert prepared.resize_factor == 0.5
    assert torch.allclose(prepared.image[:, :30, :40], torch.tensor([0.2, 0, 1])[:, None, None])
    assert not prepared.image[:, 30:].any()
    assert not prepared.image[:, :, 40:].any()
    # The middle of the image stays the middle: (39.5 + 0.5) / 2 - 0.5.
    np.testing.assert_allclose(prepared.K, [[50, 0, 19.5], [0, 55, 14.5], [0, 0, 1]])


def test_the_longer_side_decides():
    prepared = ViewPreprocess(ViewConfig((30, 40), 32))(
        np.full((60, 160, 3), 9, np.uint8), camera((60, 160))
    )
    assert prepared.resize_factor == 0.25
    assert prepared.image[:, :15, :40].all()
    assert not prepared.image[:, 15:].any()


def test_a_published_size():
    assert ViewConfig().padded_size == (544, 960)
    assert ViewConfig((540, 960), 64).padded_size == (576, 960)


def test_a_bent_image_is_straightened():
    seen_from = camera((60, 80), [-0.3, 0.05, 0, 0, 0])
    image = np.zeros((60, 80, 3), np.uint8)
    point = np.array([[0.3, 0.2, 1.0]])
    u, v = seen_from.project(point)[0].round().astype(int)
    image[v - 1 : v + 2, u - 1 : u + 2] = 255
    prepared = ViewPreprocess(ViewConfig((60, 80), 4))(image, seen_from)
    bright = prepared.image[0].nonzero().float().mean(0)
    straight = camera((60, 80)).project(point)[0]
    assert np.abs(bright.numpy()[::-1] - straight).max() < 1.0
    assert np.abs(np.array([u, v]) - straight).max() > 0.9


def test_another_size_than_the_cameras_is_refused():
    with pytest.raises(PreprocessError, match=r'found shape \(8, 8, 3\), expected \(60, 80\)'):
        ViewPreprocess(ViewConfig())(np.zeros((8, 8, 3), np.uint8), camera((60, 80)))
