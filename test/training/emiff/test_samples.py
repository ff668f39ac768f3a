"""Frames are varied, and what they show stays where it is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thermal_perception.evaluation.dair import read_frames
from thermal_perception.models.emiff.config import GridConfig
from thermal_perception.preprocess import ViewConfig, ViewPreprocess
from training.emiff.augment import CooperativeAugmentConfig
from training.emiff.samples import CooperativeSamples

STILL = CooperativeAugmentConfig(
    delays=0, flip=0.0, zoom=(1.0, 1.0), gain=(1.0, 1.0), gamma=(1.0, 1.0), pose_noise_m=0.0,
    pose_noise_deg=0.0,
)  # fmt: skip
GRID = GridConfig((0.0, -24.0, -3.08), (48.0, 24.0, 0.76), (24, 24, 12))


@pytest.fixture
def make_samples(v2x):
    """Return a function that makes samples, varied as told."""

    def make(**changes):
        augment = CooperativeAugmentConfig(**{**vars(STILL), **changes})
        preprocess = ViewPreprocess(ViewConfig((108, 192), 32))
        return CooperativeSamples([(v2x, 'train')], augment, preprocess, GRID, seed=5)

    return make


def test_an_unvaried_frame_is_what_the_robot_sees(make_samples, v2x):
    samples = make_samples()
    frame = read_frames(v2x, 'train')[1]
    fields, target = samples.draw(1, np.random.default_rng(0))
    ego_image, ego_K, ego_T, _, _, infra_T, mirrored, content, *_ = fields
    assert ego_image.shape == (3, 128, 192)
    np.testing.assert_allclose(ego_K[0, 0], frame.K_ego[0, 0] * 0.8, rtol=1e-6)
    np.testing.assert_allclose(ego_T, frame.T_camera_lidar, atol=1e-6)
    np.testing.assert_allclose(infra_T, frame.T_camera_lidar_infra, atol=1e-4)
    assert not mirrored
    assert content.tolist() == [108.0, 192.0]
    truth = frame.truth
    inside = (truth.centres_m[:, 0] > 0) & (truth.centres_m[:, 0] < 48)
    inside &= np.abs(truth.centres_m[:, 1]) < 24
    assert len(target.boxes) == inside.sum() > 0
    tops = target.boxes[:, 2] + target.boxes[:, 5]
    np.testing.assert_allclose(
        tops, truth.centres_m[inside, 2] + truth.sizes_m[inside, 2] / 2, atol=1e-5
    )


def pixels(points, K, T):
    camera = points @ T[:3, :3].T + T[:3, 3]
    projected = camera @ K.T
    return projected[:, :2] / projected[:, 2:]


def test_a_mirrored_frame_is_the_mirror_image(make_samples):
    plain, target = make_samples().draw(0, np.random.default_rng(0))
    flipped, mirrored_target = make_samples(flip=1.0).draw(0, np.random.default_rng(0))
    torch.testing.assert_close(flipped[0][:, :108], plain[0][:, :108].flip(-1))
    assert flipped[6]
    torch.testing.assert_close(mirrored_target.boxes[:, 1], -target.boxes[:, 1])
    torch.testing.assert_close(mirrored_target.boxes[:, 6], -target.boxes[:, 6])
    # A point of the mirrored scene, put back, is seen in the mirrored image: 191 - u.
    points = target.boxes[:, :3]
    ahead = (points @ plain[2][:3, :3].T + plain[2][:3, 3])[:, 2] > 1
    u, v = pixels(points[ahead], plain[1], plain[2]).T
    mirrored_u, mirrored_v = pixels(points[ahead], flipped[1], flipped[2]).T
    torch.testing.assert_close(mirrored_u, 191 - u, atol=1e-3, rtol=0)
    torch.testing.assert_close(mirrored_v, v, atol=1e-3, rtol=0)


@pytest.mark.parametrize('zoom', [0.9, 1.1])
def test_a_zoomed_frame_is_zoomed_about_its_first_pixel(make_samples, zoom):
    plain, _ = make_samples().draw(0, np.random.default_rng(0))
    zoomed, _ = make_samples(zoom=(zoom, zoom)).draw(0, np.random.default_rng(0))
    torch.testing.assert_close(zoomed[1][:2], plain[1][:2] * zoom)
    assert zoomed[0].shape == plain[0].shape
    y, x = 40, 60
    here = zoomed[0][:, round((y + 0.5) * zoom - 0.5), round((x + 0.5) * zoom - 0.5)]
    assert (here - plain[0][:, y, x]).abs().max() < 0.15


def test_earlier_roadside_images_are_taken_too(make_samples):
    samples = make_samples(delays=1)
    assert [len(choices) for choices in samples.frames] == [2, 2, 2, 2]
    images = {
        samples.draw(0, np.random.default_rng(seed))[0][3].sum().item() for seed in range(12)
    }
    assert len(images) == 2


def test_the_roadside_camera_is_misplaced_about_its_own_place(make_samples):
    plain, _ = make_samples().draw(0, np.random.default_rng(0))
    turned, _ = make_samples(pose_noise_deg=2.0).draw(0, np.random.default_rng(0))
    shifted, _ = make_samples(pose_noise_m=1.0).draw(0, np.random.default_rng(0))

    def place(fields):
        T = fields[5].double().numpy()
        return -T[:3, :3].T @ T[:3, 3]

    np.testing.assert_allclose(place(turned), place(plain), atol=1e-3)
    assert not np.allclose(turned[5][:3, :3], plain[5][:3, :3], atol=1e-3)
    assert 0.05 < np.linalg.norm(place(shifted) - place(plain)) < 5
    assert abs(place(shifted) - place(plain))[2] < 1e-3
    np.testing.assert_allclose(shifted[5][:3, :3], plain[5][:3, :3], atol=1e-5)


def test_an_epoch_is_a_function_of_its_number(make_samples):
    samples = make_samples(flip=0.5, gain=(0.7, 1.3))
    assert sorted(samples.order(0)) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    again = make_samples(flip=0.5, gain=(0.7, 1.3))
    a, b = (s.batch(s.order(3)[:2], epoch=3, first=0) for s in (samples, again))
    for x, y in zip(a[:9], b[:9]):
        assert torch.equal(x, y)
    assert len(a.targets) == 2
