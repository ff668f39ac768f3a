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


def test_a_camera_alone_in_a_batch_is_normalised_as_it_will_be_later():
    module, view = made()
    module.train()
    other = camera_vector(view) * 1.3 + 0.5
    both = torch.cat((camera_vector(view), other))
    for _ in range(3):
        module.mask(both)
    torch.testing.assert_close(module.norm.running_mean, both.mean(0))
    torch.testing.assert_close(module.norm.running_var, both.var(0, unbiased=False))
    with torch.no_grad():
        alone = module.mask(camera_vector(view))
    torch.testing.assert_close(alone, module.eval().mask(camera_vector(view)))


def test_statistics_are_those_of_all_cameras_seen():
    module = CameraMask(8).train()
    vectors = torch.randn(40, 16, generator=torch.Generator().manual_seed(3)) * 5 + 2
    for part in vectors.split(4):
        module.mask(part)
    torch.testing.assert_close(module.norm.running_mean, vectors.mean(0))
    torch.testing.assert_close(module.norm.running_var, vectors.var(0, unbiased=False))
