from __future__ import annotations

import pytest
import torch

from thermal_perception.models.rgbt_segmentation.config import RgbtSegmentationConfig
from thermal_perception.models.rgbt_segmentation.network import RgbtSegmentation
from training.rgbt_segmentation.recipe import learning_rate_factor, parameter_groups


@pytest.fixture(scope='module')
def model():
    with torch.device('meta'):
        return RgbtSegmentation(RgbtSegmentationConfig())


@pytest.fixture(scope='module')
def groups(model):
    return {group['name']: group for group in parameter_groups(model)}


@pytest.mark.parametrize(
    ('epoch', 'factor'),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (20, 1.0), (35, 0.5), (80, 0.0625)],
)
def test_fact_17_rates_warm_up_hold_and_halve_every_fifteen_epochs(epoch, factor):
    assert learning_rate_factor(epoch) == pytest.approx(factor)


@pytest.mark.parametrize(
    ('stage', 'rate'),
    enumerate((1.771e-5, 1.968e-5, 2.187e-5, 2.430e-5, 2.700e-5)),
)
def test_fact_18_rates_of_an_encoder_fall_towards_its_stem(groups, stage, rate):
    assert groups[f'rgb.{stage}']['lr'] == pytest.approx(rate, abs=1e-8)
    assert groups[f'thermal.{stage}']['lr'] == pytest.approx(rate * 3.33 / 3, rel=1e-3)


def test_rates_and_decays_of_what_is_not_an_encoder(groups):
    assert (groups['fusion']['lr'], groups['fusion']['weight_decay']) == (3e-4, 0.01)
    assert (groups['decoder']['lr'], groups['decoder']['weight_decay']) == (3e-4, 0.005)
    assert groups['rgb.2']['weight_decay'] == 0.05
    assert groups['thermal.2']['weight_decay'] == 0.03


def test_vectors_and_scalars_are_not_decayed(groups):
    for name, group in groups.items():
        plain = all(p.dim() < 2 for p in group['params'])
        assert plain == name.endswith('.no_decay')
        assert (group['weight_decay'] == 0) == plain


def test_every_parameter_is_in_one_group(model, groups):
    grouped = [id(p) for group in groups.values() for p in group['params']]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_what_is_frozen_is_left_out():
    with torch.device('meta'):
        model = RgbtSegmentation(RgbtSegmentationConfig())
    model.backbone.requires_grad_(False)
    assert {g['name'].split('.')[0] for g in parameter_groups(model)} == {'fusion', 'decoder'}
