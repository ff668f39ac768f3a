from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from training.multitask import (
    added,
    align,
    Aligner,
    combine,
    gram_matrix,
    is_due,
    MultitaskConfig,
    reduced,
    split_backward,
    write_gradients,
)

GMTA = MultitaskConfig('gmta')


def flat(*values):
    return [torch.tensor(values)]


def test_gmta_fires_at_every_thousandth_step_but_not_at_the_first():
    fired = [step for step in range(15000) if is_due(step, GMTA.interval)]
    assert fired == list(range(1000, 15000, 1000))
    assert len(fired) == 14


def test_aligned_mtl_fires_at_each_step_and_an_interval_can_be_set():
    every = MultitaskConfig('aligned_mtl').interval
    assert [is_due(step, every) for step in range(3)] == [False, True, True]
    assert MultitaskConfig('pcgrad', every=500).interval == 500
    assert MultitaskConfig('sum').interval == 1000


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match='every: found -1, expected at least 0'):
        MultitaskConfig(every=-1)
    with pytest.raises(ConfigError, match='conflict: found 1.0, expected at least 0, below 1'):
        MultitaskConfig(conflict=1.0)


def test_options_are_read_from_plain_values():
    config = from_mapping(MultitaskConfig, {'method': 'pcgrad', 'every': 2}, where='multitask')
    assert config == MultitaskConfig('pcgrad', every=2)


def test_aligned_gradients_and_their_record_are_those_worked_out_by_hand():
    gradients, alignment = align([flat(2.0, 0.0), flat(0.0, 1.0)], GMTA)
    assert_close(gradients, flat(1.0, 1.0))
    assert alignment.norms == (2, 1)
    assert alignment.cosine == 0
    assert alignment.condition_before == pytest.approx(2)
    assert alignment.condition_after == pytest.approx(1)
    assert alignment.coefficients == pytest.approx((0.5, 1))
    assert alignment.norm == pytest.approx(math.sqrt(2))
    assert not alignment.skipped


def test_tensors_of_many_parameters_are_aligned_as_one_vector():
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 4), (5,), (2, 2, 2))
    tasks = [[torch.randn(s, generator=generator) for s in shapes] for _ in range(2)]
    vectors = [[torch.cat([g.flatten() for g in task])] for task in tasks]
    (whole,), record = align(vectors, GMTA)
    parts, same = align(tasks, GMTA)
    assert [p.shape for p in parts] == list(shapes)
    assert_close(torch.cat([p.flatten() for p in parts]), whole)
    assert record.coefficients == pytest.approx(same.coefficients)


@pytest.mark.parametrize('method', ['gmta', 'pcgrad', 'cagrad', 'nash_mtl'])
def test_a_loss_scaler_may_stay_on(method):
    tasks = [flat(3.0, 1.0, 0.0), flat(-2.0, 0.5, 1.0)]
    scaled = [[g * 65536 for g in task] for task in tasks]
    config = MultitaskConfig(method)
    (expected,), plain = align(tasks, config)
    (found,), record = align(scaled, config)
    assert_close(found, expected * 65536, rtol=1e-5, atol=0)
    assert record.coefficients == pytest.approx(plain.coefficients, rel=1e-5)


@pytest.mark.parametrize('method', ['sum', 'gmta', 'aligned_mtl', 'pcgrad', 'cagrad', 'nash_mtl'])
def test_every_method_gives_finite_gradients_when_both_are_zero(method):
    zero = flat(0.0, 0.0)
    gradients, alignment = align([zero, zero], MultitaskConfig(method))
    assert_close(gradients, zero)
    assert math.isnan(alignment.cosine)


def test_conflicting_gradients_lose_what_conflicts_under_pcgrad():
    (combined,), alignment = align([flat(1.0, 0.0), flat(-1.0, 1.0)], MultitaskConfig('pcgrad'))
    assert_close(combined, torch.tensor([0.5, 1.5]))
    assert alignment.cosine == pytest.approx(-math.sqrt(0.5))


def test_sum_only_measures():
    (combined,), alignment = align([flat(3.0, 1.0), flat(0.0, 1.0)], MultitaskConfig('sum'))
    assert_close(combined, torch.tensor([3.0, 2.0]))
    assert alignment.coefficients == (1, 1)
    assert alignment.condition_after == alignment.condition_before


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_gradients_that_are_not_finite_are_only_added_and_counted(bad):
    aligner = Aligner(GMTA)
    (combined,), alignment = aligner([flat(1.0, bad), flat(1.0, 1.0)], 1000)
    assert combined[0] == 2
    assert not torch.isfinite(combined[1])
    assert alignment.skipped
    aligner([flat(1.0, 0.0), flat(1.0, 1.0)], 2000)
    assert (aligner.combined, aligner.skipped) == (1, 1)


def test_a_parameter_that_one_task_does_not_reach_counts_as_zero_for_it():
    first, second = [torch.tensor([2.0]), None], [None, torch.tensor([1.0])]
    gradients, alignment = align([first, second], GMTA)
    assert_close(gradients, [torch.tensor([1.0]), torch.tensor([1.0])])
    assert alignment.cosine == 0


def test_a_parameter_that_no_task_reaches_stays_without_gradient():
    gradients, _ = align([[None, torch.ones(1)], [None, torch.ones(1)]], GMTA)
    assert gradients[0] is None


def test_inner_products_are_accumulated_in_double_precision():
    big = torch.full((1,), 4096.0)
    ones = torch.ones(4096) / 64  # in single precision their squares would vanish beside the big
    gram = gram_matrix([[big, ones], [big, -ones]])
    assert gram.dtype == np.float64
    assert gram[0, 0] == 4096.0**2 + 1
    assert gram[0, 1] == 4096.0**2 - 1


def test_gradients_keep_their_type():
    half = [torch.ones(2, dtype=torch.bfloat16)]
    assert combine([half, half], (0.5, 0.25))[0].dtype == torch.bfloat16


def test_record_of_a_log_holds_no_number_that_json_lacks():
    _, alignment = align([flat(1.0, 0.0), flat(0.0, 0.0)], GMTA)
    values = json.loads(json.dumps(alignment.to_json(('fusion', 'detection')), allow_nan=False))
    assert values['condition_before'] is values['cosine'] is None
    assert values['norm_fusion'] == values['combined_norm'] == 1
    assert values['k_detection'] == 1
    assert values['skipped'] is False


class TwoHeads(nn.Module):
    """A shared layer and a head for each of two tasks."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(3, 4)
        self.fusion = nn.Linear(4, 2)
        self.detection = nn.Linear(4, 1)

    def losses(self, x):
        features = self.shared(x).tanh()
        return self.fusion(features).square().mean(), (self.detection(features) - 3).abs().mean()

    @property
    def own(self):
        return [*self.fusion.parameters(), *self.detection.parameters()]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TwoHeads()


@pytest.fixture
def x():
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(1))


def gradients_of(loss, parameters):
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


def test_an_aligned_step_gives_heads_the_gradients_of_the_plain_sum(network, x):
    losses = network.losses(x)
    expected = [g.clone() for g in gradients_of(sum(losses), network.own)]
    per_task = split_backward(losses, list(network.shared.parameters()), network.own)
    assert_close([p.grad for p in network.own], expected)
    assert all(p.grad is None for p in network.shared.parameters())
    assert not per_task[0][0].requires_grad


def test_an_aligned_step_changes_every_parameter(network, x):
    shared = list(network.shared.parameters())
    before = [p.detach().clone() for p in network.parameters()]
    gradients, _ = align(split_backward(network.losses(x), shared, network.own), GMTA)
    write_gradients(shared, gradients)
    torch.optim.SGD(network.parameters(), 0.1).step()
    assert all((p != b).any() for p, b in zip(network.parameters(), before))


def test_micro_batches_add_up_to_the_gradients_of_the_batch(network, x):
    shared = list(network.shared.parameters())
    whole = split_backward(network.losses(x), shared, network.own)
    expected = [p.grad.clone() for p in network.own]
    network.zero_grad()
    halves = [
        split_backward([loss / 2 for loss in network.losses(part)], shared, network.own)
        for part in x.chunk(2)
    ]
    for task in range(2):
        assert_close(added(halves[0][task], halves[1][task]), whole[task])
    assert_close([p.grad for p in network.own], expected)


def test_reduction_over_processes_puts_zero_where_a_task_has_no_gradient():
    parameters = [torch.ones(2), torch.ones(3)]
    found = reduced([torch.ones(2), None], parameters, lambda g: g + 1)
    assert_close(found, [torch.full((2,), 2.0), torch.ones(3)])
