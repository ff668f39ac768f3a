from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.box_codes import make_box_code
from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig
from thermal_perception.models.e2e_mfd.diffusion import (
    draw_noise,
    from_signal,
    noised_proposals,
    NoiseSchedule,
    sampling_times,
    to_signal,
)

SCHEDULE = NoiseSchedule.cosine(1000)
SILENT = NoiseSchedule((1.0,) * 1000)  # leaves proposals as they are before the noise
KINDS = pytest.mark.parametrize('kind', ['upright', 'oriented'])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def some_boxes(kind, count):
    u = torch.rand(count, 5, generator=seeded(count))
    upright = torch.stack((u[:, 0], u[:, 1], 0.1 + 0.4 * u[:, 2], 0.05 + 0.05 * u[:, 3]), -1)
    return upright if kind == 'upright' else torch.cat((upright, u[:, 4:] * 3 - 1.5), -1)


def small(kind='upright', proposals=20, **changes):
    return DiffusionHeadConfig(boxes=kind, proposals=proposals, **changes)


@pytest.mark.parametrize(
    ('t', 'expected'),
    [
        (0, 0.9999587),
        (249, 0.8470122),
        (499, 0.4938436),
        (749, 0.1442721),
        (998, 2.4288e-6),
        (999, 2.4288e-9),
    ],
)
def test_share_of_signal_is_that_of_the_published_schedule(t, expected):
    assert SCHEDULE.alpha_bar[t] == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize('timesteps', [1, 10, 1000])
def test_share_of_signal_falls_with_time_and_never_ends(timesteps):
    left = NoiseSchedule.cosine(timesteps).alpha_bar
    assert len(left) == timesteps
    assert all(a > b > 0 for a, b in zip((1.0, *left), left))


@pytest.mark.parametrize('t', [0, 249, 749])
def test_noised_signal_has_the_mean_and_variance_of_its_time(t):
    signal = torch.full((1, 1, 200_000), 1.5)
    noise = torch.randn(signal.shape, generator=seeded())
    noisy = SCHEDULE.add_noise(signal, noise, torch.tensor([t]))
    left = SCHEDULE.alpha_bar[t]
    assert noisy.mean().item() == pytest.approx(1.5 * math.sqrt(left), rel=0.01)
    assert noisy.var().item() == pytest.approx(1 - left, rel=0.01)


def test_noised_signal_at_the_last_time_is_noise_alone():
    noise = torch.randn(2, 5, 4, generator=seeded())
    noisy = SCHEDULE.add_noise(torch.full_like(noise, 2.0), noise, torch.tensor([999, 999]))
    assert_close(noisy, noise, atol=2e-4, rtol=0)


def test_noised_signal_when_times_differ_follows_that_of_each_image():
    signal, noise = torch.ones(2, 3, 4), torch.zeros(2, 3, 4)
    noisy = SCHEDULE.add_noise(signal, noise, torch.tensor([0, 499]))
    assert_close(noisy[0], torch.full((3, 4), math.sqrt(0.9999587)))
    assert_close(noisy[1], torch.full((3, 4), math.sqrt(0.4938436)))


@pytest.mark.parametrize(('t', 's'), [(999, 749), (749, 249), (499, 498)])
def test_step_when_the_truth_is_known_keeps_the_distribution_of_its_time(t, s):
    clean = torch.full((1, 1, 200_000), -1.2)
    noise, fresh = torch.randn(2, *clean.shape, generator=seeded())
    noisy = SCHEDULE.add_noise(clean, noise, torch.tensor([t]))
    stepped = SCHEDULE.step(noisy, clean, fresh, t, s)
    left = SCHEDULE.alpha_bar[s]
    assert stepped.mean().item() == pytest.approx(-1.2 * math.sqrt(left), rel=0.01)
    assert stepped.var().item() == pytest.approx(1 - left, rel=0.01)


@pytest.mark.parametrize(
    ('steps', 'times'),
    [
        (1, (999, -1)),
        (3, (999, 665, 332, -1)),
        (4, (999, 749, 499, 249, -1)),
        (10, (999, 899, 799, 699, 599, 499, 399, 299, 199, 99, -1)),
    ],
)
def test_times_of_sampling_go_down_evenly(steps, times):
    assert sampling_times(1000, steps) == times


def test_signal_when_beyond_its_scale_is_cut():
    unit = from_signal(torch.tensor([-5.0, -2.0, 0.0, 1.0, 9.0]), 2.0)
    assert_close(unit, torch.tensor([0.0, 0.0, 0.5, 0.75, 1.0]))


@KINDS
def test_box_when_made_a_signal_and_back_is_the_same(kind):
    code, boxes = make_box_code(kind), some_boxes(kind, 50)
    signal = to_signal(code.to_unit(boxes), 2.0)
    assert_close(code.from_unit(from_signal(signal, 2.0)), boxes, atol=1e-5, rtol=1e-4)


@KINDS
@pytest.mark.parametrize('objects', [0, 1, 20, 25])
def test_proposals_are_as_many_as_asked_and_within_the_image(kind, objects):
    start = noised_proposals([some_boxes(kind, objects)] * 3, small(kind), SCHEDULE, seeded())
    assert start.boxes.shape == (3, 20, make_box_code(kind).values)
    assert start.boxes.dtype == torch.float32
    assert start.boxes.isfinite().all()
    centre, sides = start.boxes[..., :2], start.boxes[..., 2:4]
    assert ((centre >= 0) & (centre <= 1)).all()
    assert (sides > 0).all()
    if kind == 'upright':
        assert (sides <= 1).all()


@KINDS
def test_proposals_begin_with_the_objects(kind):
    boxes = some_boxes(kind, 7)
    start = noised_proposals([boxes], small(kind), SILENT, seeded())
    assert_close(start.boxes[0, :7], boxes, atol=1e-5, rtol=1e-4)
    assert not torch.isclose(start.boxes[0, 7:, 0], boxes[0, 0]).any()


def test_proposals_beside_the_objects_are_spread_about_the_middle():
    config = small(proposals=20_000)
    start = noised_proposals([torch.zeros(0, 4)], config, SILENT, seeded()).boxes[0, 1:]
    assert_close(start.mean(0), torch.full((4,), 0.5), atol=0.01, rtol=0)
    assert_close(start.std(0), torch.full((4,), 1 / 6), atol=0.005, rtol=0)


def test_proposals_when_objects_are_too_many_are_a_random_choice_of_them():
    boxes = some_boxes('upright', 25)
    chosen = []
    for seed in range(5):
        start = noised_proposals([boxes], small(), SILENT, seeded(seed)).boxes[0]
        same = torch.isclose(start[:, None], boxes[None], atol=1e-6).all(-1)  # (20, 25)
        assert (same.sum(1) == 1).all()  # each proposal is an object
        assert (same.sum(0) <= 1).all()  # and none is there twice
        chosen.append(same.any(0))
    assert torch.stack(chosen).any(0).all()  # none is always left out


def test_proposals_when_there_is_no_object_hold_one_box_of_the_whole_image():
    start = noised_proposals([torch.zeros(0, 4)], small(), SILENT, seeded())
    assert_close(start.boxes[0, 0], torch.tensor([0.5, 0.5, 1.0, 1.0]))
    assert not (start.boxes[0, 1:] == 1).all(-1).any()


def test_times_of_proposals_are_one_per_image_and_cover_the_schedule():
    config = small(proposals=1)
    start = noised_proposals([torch.zeros(0, 4)] * 3000, config, SCHEDULE, seeded())
    assert start.t.shape == (3000,)
    assert start.t.dtype == torch.int64
    assert start.t.min() < 10
    assert 990 <= start.t.max() <= 999
    assert start.t.float().mean().item() == pytest.approx(499.5, abs=20)


def test_proposals_of_the_same_seed_are_the_same_and_of_another_are_not():
    boxes = [some_boxes('upright', 3), some_boxes('upright', 0)]
    a, b, c = (noised_proposals(boxes, small(), SCHEDULE, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(a.boxes, b.boxes)
    assert torch.equal(a.t, b.t)
    assert not torch.equal(a.boxes, c.boxes)


def test_proposals_without_a_generator_follow_the_global_seed():
    boxes = [some_boxes('upright', 3)]
    torch.manual_seed(5)
    a = noised_proposals(boxes, small(), SCHEDULE)
    torch.manual_seed(5)
    b = noised_proposals(boxes, small(), SCHEDULE)
    assert torch.equal(a.boxes, b.boxes)


def test_noise_of_sampling_depends_on_the_config_alone():
    config = small(steps=3, seed=4)
    torch.manual_seed(1)
    a = draw_noise(config)
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    b = draw_noise(config)
    assert a.shape == (5, 20, 4)  # the start, and two for each of two further steps
    assert torch.equal(a, b)
    assert torch.equal(torch.rand(1), expected)  # others' random numbers are left alone
    assert not torch.equal(a, draw_noise(small(steps=3, seed=5)))


def test_noise_of_one_step_is_where_more_steps_start():
    assert torch.equal(draw_noise(small(steps=1))[0], draw_noise(small(steps=4))[0])
