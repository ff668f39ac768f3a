from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from thermal_perception.evaluation.image_fusion.fidelity import visual_information_fidelity
from thermal_perception.evaluation.image_fusion.structure import sum_of_correlated_differences
from training.e2e_mfd.extent import Extent
from training.e2e_mfd.own_terms import (
    difference_loss,
    edge_loss,
    fidelity_loss,
    halo_loss,
    range_loss,
)


def smooth_noise(seed, channels=1, size=(64, 80)):
    """Return images (1, C, H, W) with structure of many sizes, in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, channels, *size)
    for coarse in (1, 2, 4, 8):
        cells = torch.rand(1, channels, *(s // coarse for s in size), generator=generator)
        total += torch.nn.functional.interpolate(cells, size, mode='bilinear') / 4
    return total


def whole(x):
    return Extent.of(x, None)


def levels(image):
    return (image[0, 0].double() * 255).numpy()


def fidelity(source, u):
    return visual_information_fidelity(levels(source), levels(u))


@pytest.mark.parametrize('seed', range(3))
def test_fidelity_is_the_logarithm_of_that_of_the_evaluation(seed):
    u, source = smooth_noise(seed), smooth_noise(seed + 9)
    u = (u + source) / 2
    found = fidelity_loss(u, source.expand(-1, 2, -1, -1), whole(u)).item()
    assert math.exp(-found) == pytest.approx(fidelity(source, u), abs=5e-3)


def test_fidelity_to_two_equal_images_is_complete():
    u = smooth_noise(0)
    loss = fidelity_loss(u, u.expand(-1, 2, -1, -1), whole(u))
    assert loss.item() == pytest.approx(0, abs=5e-3)


def test_a_copy_of_one_image_is_worse_than_half_of_both_though_its_sum_is_larger():
    sources = smooth_noise(0, 2)
    half, copy = sources.mean(1, keepdim=True), sources[:, :1]
    sums = [sum(fidelity(sources[:, i : i + 1], u) for i in (0, 1)) for u in (half, copy)]
    assert sums[1] > sums[0]
    losses = [fidelity_loss(u, sources, whole(u)).item() for u in (half, copy)]
    assert losses[1] > losses[0] + 0.5


def test_an_image_counts_by_what_it_has_to_tell():
    sources = torch.cat((smooth_noise(0), 0.5 + 0.02 * smooth_noise(1)), 1)
    rich, poor = sources.split(1, 1)
    assert fidelity_loss(rich, sources, whole(rich)) < 0.5
    assert fidelity_loss(poor, sources, whole(poor)) > 3


def test_a_source_without_information_is_not_missed():
    u = smooth_noise(0)
    sources = torch.cat((u, torch.zeros_like(u)), 1)
    assert fidelity_loss(u, sources, whole(u)).item() == pytest.approx(0, abs=5e-3)


def test_fidelity_of_small_images_uses_the_scales_that_fit():
    u = smooth_noise(0, size=(24, 24))
    flat, both = torch.full_like(u, 0.5), u.expand(-1, 2, -1, -1)
    assert fidelity_loss(flat, both, whole(u)) == pytest.approx(-math.log(1e-3), abs=0.5)
    tiny = u[..., :8, :8]
    assert fidelity_loss(tiny, tiny.expand(-1, 2, -1, -1), whole(tiny)) == 0


def test_fidelity_has_finite_slopes_on_flat_and_on_equal_images():
    flat = torch.full((1, 1, 48, 48), 0.5, requires_grad=True)
    textured = smooth_noise(1, 1, (48, 48)).requires_grad_()
    sources = smooth_noise(0, 2, (48, 48))
    loss = fidelity_loss(flat, sources, whole(flat))
    loss = loss + fidelity_loss(textured, textured.detach().expand(-1, 2, -1, -1), whole(flat))
    loss.backward()
    assert torch.isfinite(flat.grad).all()
    assert torch.isfinite(textured.grad).all()


def ramp(slope, size=(16, 16), along_x=True):
    line = torch.arange(size[1 if along_x else 0]) * slope
    image = line.expand(size) if along_x else line[:, None].expand(size)
    return image[None, None].clone()


def test_edges_are_the_slopes_per_pixel_of_the_stronger_one():
    sources = torch.cat((ramp(0.03), ramp(-0.01)), 1)
    u = ramp(0.02)
    # Half of what dx lacks, as dy lacks nothing.
    assert_close(edge_loss(u, sources, whole(u)), torch.tensor(0.01 / 2))
    assert_close(edge_loss(ramp(0.03), sources, whole(u)), torch.tensor(0.0))


def test_edges_keep_sign_and_direction():
    sources = torch.cat((ramp(-0.03), ramp(0.0)), 1)
    assert edge_loss(ramp(-0.03), sources, whole(sources)) == 0
    assert edge_loss(ramp(0.03), sources, whole(sources)) == pytest.approx(0.03)
    turned = ramp(-0.03, along_x=False)
    assert edge_loss(turned, sources, whole(sources)) == pytest.approx(0.03)


def test_each_further_scale_weighs_the_same_slope_alike():
    sources, u = torch.cat((ramp(0.02), ramp(0.0)), 1), ramp(0.0)
    one, two, three = (edge_loss(u, sources, whole(u), n) for n in (1, 2, 3))
    assert_close(two, 2 * one)
    assert_close(three, 3 * one)
    assert_close(edge_loss(u, sources, whole(u), 9), three)  # 2 x 2 pixels are too few


def test_scales_may_count_more_or_less_by_falloff():
    sources, u = torch.cat((ramp(0.02), ramp(0.0)), 1), ramp(0.0)
    one = edge_loss(u, sources, whole(u), 1)
    # A scale sees twice the slope of the one before it.
    assert_close(edge_loss(u, sources, whole(u), 3, 1.0), (1 + 2 + 4) * one)
    assert_close(edge_loss(u, sources, whole(u), 3, 0.25), (1 + 1 / 2 + 1 / 4) * one)


def test_a_soft_border_that_no_source_has_costs_more_at_more_scales():
    sources = torch.zeros(1, 2, 64, 64)
    u = torch.sigmoid((torch.arange(64) - 32.0) / 6).expand(1, 1, 64, 64)
    assert edge_loss(u, sources, whole(u), 4) > 3 * edge_loss(u, sources, whole(u), 1)


@pytest.mark.parametrize(
    ('slope', 'beyond'), [(0.0, 0), (0.01, 0), (0.03, 0), (0.05, 0.02), (-0.01, 0), (-0.04, 0.03)]
)
def test_halos_are_slopes_beyond_those_of_both_sources(slope, beyond):
    sources = torch.cat((ramp(0.03), ramp(-0.01)), 1)
    assert_close(halo_loss(ramp(slope), sources, whole(sources)), torch.tensor(beyond / 2))


def test_any_slope_is_a_halo_where_both_sources_are_flat():
    sources = torch.cat((ramp(0.0), ramp(0.0)), 1)
    assert_close(halo_loss(ramp(-0.02), sources, whole(sources)), torch.tensor(0.01))


def test_any_choice_between_two_sources_at_the_same_pixel_has_no_halo():
    sources = torch.cat((ramp(0.02), ramp(-0.03)), 1)
    for share in (0.0, 0.3, 1.0):
        u = share * sources[:, :1] + (1 - share) * sources[:, 1:]
        assert halo_loss(u, sources, whole(u), 3) == pytest.approx(0, abs=1e-7)


def test_a_dark_ring_between_a_lamp_and_a_warm_wall_is_a_halo_which_edges_alone_do_not_tell():
    x = (torch.arange(128) - 63.5).abs()
    lamp = ((20 - x) / 4).clamp(0, 1)  # falls from 1 to 0 between 16 and 20 pixels
    wall = torch.full_like(lamp, 0.5)
    ring = torch.where(x < 20, lamp, ((x - 20) / 60).clamp(0, 0.5))
    plain = torch.maximum(lamp, wall)
    images = [row.expand(1, 1, 64, 128) for row in (lamp, wall, ring, plain)]
    sources = torch.cat(images[:2], 1)
    edges_of_ring, edges_of_plain = (edge_loss(u, sources, whole(u)) for u in images[2:])
    assert edges_of_ring.item() == pytest.approx(edges_of_plain.item(), rel=0.02)
    halos_of_ring, halos_of_plain = (halo_loss(u, sources, whole(u), 3) for u in images[2:])
    assert halos_of_plain == 0
    assert halos_of_ring > 0.01


def test_differences_are_those_of_the_evaluation():
    u, sources = smooth_noise(0), smooth_noise(1, 2)
    images = (levels(sources[:, :1]), levels(sources[:, 1:]), levels(u))
    expected = 2 - sum_of_correlated_differences(*images)
    assert difference_loss(u, sources, whole(u)).item() == pytest.approx(expected, abs=1e-4)


def test_the_sum_of_two_images_has_all_their_differences():
    sources = smooth_noise(0, 2)
    u = sources.sum(1, keepdim=True)
    assert difference_loss(u, sources, whole(u)).item() == pytest.approx(0, abs=1e-4)


def test_differences_of_constant_images_are_finite():
    flat = torch.full((1, 1, 8, 8), 0.5, requires_grad=True)
    difference_loss(flat, torch.zeros(1, 2, 8, 8), whole(flat)).backward()
    assert torch.isfinite(flat.grad).all()


def test_brightness_beyond_what_a_display_shows_costs_by_how_much():
    u = torch.tensor([[[[0.0, 1.0, 1.4, -0.2]]]])
    assert_close(range_loss(u, whole(u)), torch.tensor(0.15))


def test_terms_of_padded_images_are_means_of_each_image_alone():
    sizes = [(48, 56), (64, 80)]
    u = torch.cat((smooth_noise(0), smooth_noise(1)))
    sources = torch.cat((smooth_noise(2, 2), smooth_noise(3, 2)))
    padding = torch.ones(2, 64, 80, dtype=torch.bool)
    for row, (height, width) in zip(padding, sizes):
        row[:height, :width] = False
    extent = Extent.of(u, padding)
    clean = extent.clean(u), extent.clean(sources)
    for term in (fidelity_loss, difference_loss):
        alone = []
        for n, (height, width) in enumerate(sizes):
            cut = [x[n : n + 1, :, :height, :width] for x in (u, sources)]
            alone.append(term(*cut, whole(cut[0])))
        assert_close(term(*clean, extent), torch.stack(alone).mean(), atol=1e-4, rtol=1e-4)


def test_edges_of_a_padded_image_are_those_of_the_image_alone():
    u, sources = smooth_noise(0), smooth_noise(1, 2)
    padding = torch.ones(1, 64, 80, dtype=torch.bool)
    padding[:, :45, :51] = False
    extent = Extent.of(u, padding)
    cut = u[..., :45, :51], sources[..., :45, :51]
    found = edge_loss(extent.clean(u), extent.clean(sources), extent, 3)
    assert_close(found, edge_loss(*cut, whole(cut[0]), 3))


def test_optimised_weights_beat_the_average_on_information_and_edges():
    sources = smooth_noise(0, 2, (48, 48))
    logits = torch.zeros(1, 2, 12, 12, requires_grad=True)
    optimiser = torch.optim.Adam([logits], 0.3)

    def fused():
        weights = torch.nn.functional.interpolate(logits.softmax(1), scale_factor=4)
        return (weights * sources).sum(1, keepdim=True)

    def loss():
        extent = whole(sources)
        return fidelity_loss(fused(), sources, extent) + 40 * edge_loss(
            fused(), sources, extent, 2
        )

    before = loss().item()
    for _ in range(15):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    mean = sources.mean(1, keepdim=True)
    assert loss().item() < before - 0.1
    fidelities = [
        sum(fidelity(sources[:, i : i + 1], x) for i in (0, 1)) for x in (fused().detach(), mean)
    ]
    assert fidelities[0] > fidelities[1]
    assert np.isfinite(fidelities).all()
