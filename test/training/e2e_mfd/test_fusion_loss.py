from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from training.e2e_mfd.fusion_loss import FusionCriterion, FusionLossConfig

OURS = {'fidelity_weight': 1.0, 'edge_weight': 40.0, 'edge_scales': 3, 'difference_weight': 0.2}
EVERYTHING = FusionLossConfig(**OURS, halo_weight=20.0, range_weight=10.0)
SIZE = (1, 1, 48, 56)


def noise(seed, shape=SIZE):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def nothing(shape=SIZE):
    return torch.zeros(shape, dtype=torch.bool)


def loss(u, v, y, objects=None, config=None, **options):
    criterion = FusionCriterion(config or FusionLossConfig())
    objects = nothing(u.shape) if objects is None else objects
    return criterion(u, visible=v, thermal=y, objects=objects, **options)


def test_defaults_are_the_three_published_terms():
    assert set(loss(noise(0), noise(1), noise(2))) == {'ssim', 'pixel', 'gradient'}


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0], ids=['no object', 'objects', 'all objects'])
def test_equal_images_cost_nothing(share):
    x = noise(0)
    for value in loss(x, x, x, noise(1) < share).values():
        assert_close(value, torch.tensor(0.0), atol=1e-5, rtol=0)


def test_terms_are_weighted():
    images = noise(0), noise(1), noise(2)
    single = loss(*images, config=FusionLossConfig(1, 1, 1))
    assert_close(loss(*images), {name: 10 * value for name, value in single.items()})


def test_a_term_without_weight_is_left_out():
    config = FusionLossConfig(ssim_weight=0, gradient_weight=0, fidelity_weight=1)
    assert set(loss(noise(0), noise(1), noise(2), config=config)) == {'pixel', 'fidelity'}


def test_objects_and_background_have_targets_of_their_own():
    v, y = noise(1), noise(2)
    objects = nothing()
    objects[..., :20, :30] = True
    bright, mean = torch.maximum(v, y), (v + y) / 2
    assert loss(mean, v, y)['pixel'] == 0
    assert loss(bright, v, y, ~nothing())['pixel'] == 0
    assert loss(torch.where(objects, bright, mean), v, y, objects)['pixel'] == 0
    outside = loss(torch.where(objects, bright, mean + 0.1), v, y, objects)['pixel']
    share = 1 - 20 * 30 / (48 * 56)
    assert_close(outside, torch.tensor(10 * 0.1 * share))


def test_every_term_has_a_gradient_for_the_fused_image_alone():
    u = (noise(0) * 1.2).requires_grad_()
    v, y = noise(1).requires_grad_(), noise(2).requires_grad_()
    terms = loss(u, v, y, config=EVERYTHING)
    assert len(terms) == 8
    for name, value in terms.items():
        (slope,) = torch.autograd.grad(value, u, retain_graph=True)
        assert torch.isfinite(slope).all() and slope.abs().sum() > 0, name
    sum(terms.values()).backward()
    assert v.grad is y.grad is None


@pytest.mark.parametrize('border', ['zero', 'replicate'])
@pytest.mark.parametrize('kind', ['max_mean', 'salient', 'paper', 'code_h', 'code_o'])
def test_padded_pixels_change_nothing(border, kind):
    config = FusionLossConfig(**OURS, range_weight=10.0, border=border, pixel_target=kind)
    u, v, y = (noise(i, (1, 1, 40, 44)) for i in range(3))
    objects = noise(3, (1, 1, 40, 44)) > 0.7
    padding = torch.ones(1, 48, 56, dtype=torch.bool)
    padding[:, :40, :44] = False

    def padded(x, value):
        return torch.nn.functional.pad(x, (0, 12, 0, 8), value=value)

    found = loss(
        padded(u, math.nan),
        padded(v, 0.9),
        padded(y, math.nan),
        padded(objects, True),
        config=config,
        padding=padding,
    )
    assert_close(found, loss(u, v, y, objects, config=config), atol=1e-4, rtol=1e-4)


def test_padding_gets_no_gradient():
    u = noise(0).requires_grad_()
    padding = torch.zeros(1, 48, 56, dtype=torch.bool)
    padding[:, 40:] = True
    sum(loss(u, noise(1), noise(2), config=EVERYTHING, padding=padding).values()).backward()
    assert (u.grad[..., 40:, :] == 0).all()
    assert (u.grad[..., :40, :] != 0).any()


def test_half_precision_output_is_compared_in_single_precision():
    terms = loss(noise(0).bfloat16(), noise(1), noise(2), config=EVERYTHING)
    assert all(value.dtype == torch.float32 for value in terms.values())


def test_weights_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match='edge_weight: found -1.0, expected at least 0'):
        FusionLossConfig(edge_weight=-1.0)
    with pytest.raises(ConfigError, match='edge_scales: found 0, expected at least 1'):
        FusionLossConfig(edge_scales=0)
    with pytest.raises(ConfigError, match='edge_falloff: found 0.0, expected above 0, at most 1'):
        FusionLossConfig(edge_falloff=0.0)


def test_options_are_read_from_plain_values():
    values = {'pixel_target': 'code_h', 'border': 'replicate', 'edge_weight': 40}
    config = from_mapping(FusionLossConfig, values, where='loss')
    assert config == FusionLossConfig(pixel_target='code_h', border='replicate', edge_weight=40.0)
    with pytest.raises(ConfigError, match='code_x'):
        from_mapping(FusionLossConfig, {'pixel_target': 'code_x'}, where='loss')
