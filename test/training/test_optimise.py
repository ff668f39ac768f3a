from __future__ import annotations

import pytest
from tiny import published
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.errors import ConfigError
from thermal_perception.models.build import make_model
from training.config import OptimiserConfig
from training.optimise import (
    AveragedWeights,
    learning_rate_factor,
    make_optimiser,
    step_factor,
    trainable_groups,
)
from training.task import Recipe


def tiny(**changes):
    network = {**published(('person', 'car')), 'backbone': 'resnet18', 'train_norm': True}
    return make_model('fusion_detr', {**network, **changes}, where='test')


@pytest.mark.parametrize(
    ('step', 'factor'),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (79, 1.0), (80, 0.1), (99, 0.1)],
)
def test_step_schedule_warms_up_and_drops(step, factor):
    config = OptimiserConfig(warmup_steps=10, schedule='step', drop_at=0.8)
    assert learning_rate_factor(step, 100, config) == pytest.approx(factor)


@pytest.mark.parametrize(('step', 'factor'), [(9, 1.0), (10, 1.0), (55, 0.6), (100, 0.2)])
def test_cosine_schedule_falls_to_its_end(step, factor):
    config = OptimiserConfig(warmup_steps=10, schedule='cosine', final_factor=0.2)
    assert learning_rate_factor(step, 100, config) == pytest.approx(factor)


@pytest.mark.parametrize(('decay_all', 'expected'), [(False, {0.0, 0.1}), (True, {0.1})])
def test_decay_spares_some_parameters_unless_told(decay_all, expected):
    model = tiny()
    optimiser = make_optimiser(model, OptimiserConfig(weight_decay=0.1, decay_all=decay_all))
    assert {g['weight_decay'] for g in optimiser.param_groups} == expected
    assert sum(len(g['params']) for g in optimiser.param_groups) == sum(
        p.requires_grad for p in model.parameters()
    )


def test_decay_spares_norms_biases_w_beta_and_queries():
    model = tiny(queries='anchors', class_loss='focal')
    groups = trainable_groups(model)
    assert set(groups) == {'backbone', 'backbone_no_decay', 'rest', 'rest_no_decay'}
    name_of = {id(p): n for n, p in model.named_parameters()}
    spared = {name_of[id(p)] for p in groups['rest_no_decay']}
    assert {
        'neck.fusion.w',
        'neck.fusion.beta',
        'decoder.query_boxes',
        'decoder.query_content',
        'decoder.norm.weight',
        'encoder.0.linear1.bias',
    } <= spared
    assert 'encoder.0.linear1.weight' not in spared
    count = sum(len(g) for g in groups.values())
    assert count == sum(p.requires_grad for p in model.parameters())


def test_averaged_weights_by_hand():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = AveragedWeights(model, decay=0.5)
    nn.init.ones_(model.weight)
    average.update(model)  # decay 2/11
    assert_close(average.state['weight'], torch.tensor([[9 / 11]]))
    average.update(model)  # decay 3/12
    assert_close(average.state['weight'], torch.tensor([[1 - 2 / 11 * 3 / 12]]))
    for _ in range(20):
        average.update(model)
    before = average.state['weight'].clone()
    nn.init.zeros_(model.weight)
    average.update(model)  # decay 0.5 at last
    assert_close(average.state['weight'], before / 2)


def test_fact_20_a_constant_decay_averages_what_is_trained_and_nothing_else():
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.BatchNorm1d(2))
    model[1].weight.requires_grad_(False)
    nn.init.constant_(model[0].weight, 2.0)
    average = AveragedWeights(model, decay=0.999, kind='constant')
    nn.init.constant_(model[0].weight, 3.0)
    nn.init.constant_(model[1].weight, 5.0)
    model[1].running_mean.fill_(7.0)
    model[1].num_batches_tracked.fill_(1)
    average.update(model)
    assert_close(average.state['0.weight'], torch.full((2, 1), 0.999 * 2 + 0.001 * 3))
    assert_close(average.state['1.weight'], torch.full((2,), 5.0))  # frozen
    assert_close(average.state['1.running_mean'], torch.full((2,), 7.0))
    assert average.state['1.num_batches_tracked'] == 1


def test_a_recipe_of_its_own_is_refused_where_there_is_none():
    config = OptimiserConfig(recipe='own')
    with pytest.raises(ConfigError, match='this system has no recipe of its own'):
        make_optimiser(torch.nn.Linear(2, 2), config)


def test_the_own_recipe_counts_epochs_and_the_common_one_steps():
    recipe = Recipe(lambda model: [], lambda epoch: 10.0 * epoch)
    own = OptimiserConfig(recipe='own')
    factors = [step_factor(step, 3, 2, own, recipe) for step in range(6)]
    assert factors == [0, 0, 0, 10, 10, 10]
    common = OptimiserConfig(warmup_steps=2, schedule='step', drop_at=0.5)
    factors = [step_factor(step, 3, 2, common, None) for step in range(6)]
    assert factors == [0.5, 1, 1, 0.1, 0.1, 0.1]
