"""Channels are weighed by the camera, not by what it sees."""

from __future__ import annotations

import torch

from thermal_perception.models.emiff.camera_mask import camera_vector, CameraMask
from thermal_perception.models.emiff.lifting import View


def made():
    torch.manual_seed(0)
    module = CameraMask(8).eval()
    K = torch.tensor([[500.0, 0.0, 480.0], [0.0, 510.0, 270.0], [0.0, 0.0, 1.0]])
    T = torch.eye(4)
    T[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    return module, View(K[None], T[None])


def test_the_sixteen_numbers():
    _, view = made()
    assert camera_vector(view)[0].tolist() == [
        500.0, 510.0, 480.0, 270.0,
        1.0, 0.0, 0.0, 1.0,
        0.0, 1.0, 0.0, 2.0,
        0.0, 0.0, 1.0, 3.0,
    ]  # fmt: skip


def test_mask_changes_with_the_extrinsics():
    module, view = made()
    moved = View(view.K, view.T_camera_lidar + torch.eye(4).roll(1, 1))
    mask, other = (module.mask(camera_vector(v)) for v in (view, moved))
    assert ((mask > 0) & (mask < 1)).all()
    assert not torch.equal(mask, other)


def test_every_pixel_gets_the_same_mask():
    module, view = made()
    vector = camera_vector(view)
    features = torch.rand(1, 8, 3, 4)
    expected = module.after(module.before(features) * module.mask(vector)[0, :, None, None])
    assert torch.equal(module(features, vector), expected)


def test_one_camera_alone_is_masked_as_beside_another():
    module, view = made()
    vectors = torch.cat((camera_vector(view), 1.1 * camera_vector(view)))
    features = torch.rand(2, 8, 3, 4)
    torch.testing.assert_close(module(features[:1], vectors[:1]), module(features, vectors)[:1])
