from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.denoising import DenoisingQueries, Target
from thermal_perception.models.fusion import FusionOutput
from thermal_perception.models.fusion_detr import (
    DenoisingOutput,
    DenseOutput,
    FusionDetrOutput,
    LayerOutput,
)
from training.fusion_detr.losses import (
    focal_loss,
    FusionDetrCriterion,
    LossConfig,
    softmax_loss,
    varifocal_loss,
)

NONE = Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
LEFT = [0.25, 0.5, 0.5, 1.0]
RIGHT = [0.75, 0.5, 0.5, 1.0]


def output(logits, boxes, **parts):
    return FusionDetrOutput(
        torch.as_tensor(logits),
        torch.as_tensor(boxes),
        parts.get('auxiliary', ()),
        parts.get('fusion'),
        parts.get('dense'),
        parts.get('denoising'),
    )


def target(labels, boxes):
    return Target(torch.tensor(labels), torch.tensor(boxes))


def test_focal_loss_by_hand():
    loss = focal_loss(torch.zeros(2), torch.tensor([1.0, 0.0]))
    # p = 1/2: alpha (1-p)^2 ln 2 and (1-alpha) p^2 ln 2.
    assert_close(loss, torch.tensor([0.25 * 0.25, 0.75 * 0.25]) * math.log(2))


def test_varifocal_loss_by_hand():
    loss = varifocal_loss(torch.zeros(2), torch.tensor([0.6, 0.0]))
    # p = 1/2: q times the cross-entropy with target q, which is ln 2 for any q; 0.75 p^2 ln 2.
    assert_close(loss, torch.tensor([0.6, 0.75 * 0.25]) * math.log(2))


def test_varifocal_loss_is_least_where_the_score_equals_the_quality():
    logits = torch.tensor([0.3, 0.7, 0.9]).logit()
    losses = varifocal_loss(logits, torch.full((3,), 0.7))
    assert losses.argmin() == 1


def test_softmax_loss_weighs_unmatched_queries_by_a_tenth():
    logits = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    where = (torch.tensor([0]), torch.tensor([0]))
    matched = -math.log(math.exp(2) / (math.exp(2) + 2))
    unmatched = -math.log(math.e / (math.e + 2))
    expected = (matched + 0.1 * unmatched) / 1.1
    loss = softmax_loss(logits, where, torch.tensor([0]), torch.tensor([1.0, 1.0, 0.1]))
    assert_close(loss, torch.tensor(expected))


def test_a_rare_class_may_weigh_more():
    logits, boxes = torch.randn(1, 2, 3), torch.tensor([[LEFT, RIGHT]])
    truth = [target([0, 1], [LEFT, RIGHT])]
    terms = logits[0].log_softmax(-1)
    config = LossConfig(class_weights=(1.0, 3.0))
    losses = FusionDetrCriterion('softmax', config)(output(logits, boxes), truth)
    assert_close(losses['class'], -(terms[0, 0] + 3 * terms[1, 1]) / 4)


def test_box_terms_by_hand_are_weighted_and_divided_by_the_number_of_objects():
    logits = torch.zeros(1, 2, 3)
    boxes = torch.tensor([[[0.35, 0.5, 0.5, 1.0], RIGHT]])
    losses = FusionDetrCriterion('softmax', LossConfig())(
        output(logits, boxes), [target([0, 1], [LEFT, RIGHT])]
    )
    assert_close(losses['l1'], torch.tensor(5 * 0.1 / 2))
    # Shifted by 0.1 of 0.5: IoU 0.4 / 0.6, the hull is the union.
    assert_close(losses['giou'], torch.tensor(2 * (1 - 0.4 / 0.6) / 2))


def test_earlier_layers_are_matched_on_their_own_and_added():
    criterion = FusionDetrCriterion('softmax', LossConfig())
    logits = torch.zeros(1, 2, 2)
    good, swapped = torch.tensor([[LEFT, RIGHT]]), torch.tensor([[RIGHT, LEFT]])
    truth = [target([0, 0], [LEFT, RIGHT])]
    once = criterion(output(logits, good), truth)
    twice = criterion(output(logits, good, auxiliary=(LayerOutput(logits, swapped),)), truth)
    assert_close(twice['class'], 2 * once['class'])
    assert_close(twice['l1'], torch.tensor(0.0))


@pytest.mark.parametrize('loss', ['softmax', 'focal', 'varifocal'])
def test_terms_do_not_depend_on_the_order_of_queries_or_objects(loss):
    criterion = FusionDetrCriterion(loss, LossConfig())
    logits, boxes = torch.randn(1, 5, 3), torch.rand(1, 5, 4) * 0.3 + 0.3
    labels, truth = torch.tensor([0, 1]), torch.rand(2, 4) * 0.3 + 0.3
    first = criterion(output(logits, boxes), [Target(labels, truth)])
    mixed = torch.tensor([3, 1, 4, 0, 2])
    second = criterion(
        output(logits[:, mixed], boxes[:, mixed]), [Target(labels.flip(0), truth.flip(0))]
    )
    assert_close(second, first)


def test_a_given_normaliser_replaces_the_number_of_objects():
    criterion = FusionDetrCriterion('softmax', LossConfig())
    prediction = output(torch.zeros(1, 1, 2), torch.tensor([[[0.3, 0.5, 0.5, 1.0]]]))
    truth = [target([0], [LEFT])]
    one, four = criterion(prediction, truth), criterion(prediction, truth, num_boxes=4.0)
    assert_close(four['l1'], one['l1'] / 4)
    assert_close(four['giou'], one['giou'] / 4)


def denoising(filler_logit):
    """Return one group for two images; the second has one object less, so one filler pair."""
    labels = torch.zeros(2, 4, dtype=torch.int64)
    queries = DenoisingQueries(
        labels,
        torch.full((2, 4, 4), 0.5),
        torch.tensor([[0, 1, -1, -1], [0, -1, -1, -1]]),
        torch.tensor([[False] * 4, [False, True, False, True]]),
        4,
        1,
    )
    logits = torch.zeros(2, 4, 1)
    logits[1, [1, 3]] = filler_logit
    boxes = torch.tensor([[LEFT, RIGHT, LEFT, RIGHT], [LEFT, RIGHT, LEFT, RIGHT]])
    return DenoisingOutput((LayerOutput(logits, boxes),), queries)


def denoising_terms(filler_logit=0.0):
    prediction = output(
        torch.zeros(2, 1, 1), torch.full((2, 1, 4), 0.5), denoising=denoising(filler_logit)
    )
    truth = [target([0, 0], [LEFT, RIGHT]), target([0], [LEFT])]
    return FusionDetrCriterion('focal', LossConfig())(prediction, truth)


def test_denoising_queries_repair_their_own_object_and_negatives_are_background():
    losses = denoising_terms()
    assert_close(losses['dn_l1'], torch.tensor(0.0))
    assert_close(losses['dn_giou'], torch.tensor(0.0))
    # Three positives at 0.25 / 4 and three negatives at 0.75 / 4, over three objects.
    assert_close(losses['dn_class'], torch.tensor(math.log(2) * (3 * 0.25 + 3 * 0.75) / 4 / 3))


def test_fillers_cost_nothing_whatever_they_predict():
    assert_close(denoising_terms(9.0)['dn_class'], denoising_terms(0.0)['dn_class'])


def dense(logits, padding=None):
    anchors = torch.tensor([[LEFT, RIGHT]])
    return DenseOutput(logits, anchors.clone(), anchors, padding)


def test_proposals_learn_from_the_tokens_on_the_object():
    logits = torch.zeros(1, 2, 1)
    prediction = output(torch.zeros(1, 1, 1), torch.full((1, 1, 4), 0.5), dense=dense(logits))
    losses = FusionDetrCriterion('varifocal', LossConfig())(prediction, [target([0], [LEFT])])
    assert_close(losses['dense_l1'], torch.tensor(0.0))
    # The left token has quality 1, the right one is background; the sum of qualities is 1.
    by_hand = math.log(2) * (1 + 0.75 * 0.25)
    assert_close(losses['dense_class'], torch.tensor(by_hand), atol=1e-4, rtol=0)


def test_padded_proposals_cost_nothing():
    padding = torch.tensor([[False, True]])
    losses = []
    for score in (0.0, 9.0):
        logits = torch.tensor([[[0.0], [score]]])
        prediction = output(
            torch.zeros(1, 1, 1), torch.full((1, 1, 4), 0.5), dense=dense(logits, padding)
        )
        criterion = FusionDetrCriterion('varifocal', LossConfig())
        losses.append(criterion(prediction, [target([0], [LEFT])])['dense_class'])
    assert_close(losses[0], losses[1])


def test_proposals_of_a_batch_without_objects_are_all_background():
    logits = torch.zeros(1, 2, 1, requires_grad=True)
    prediction = output(torch.zeros(1, 1, 1), torch.full((1, 1, 4), 0.5), dense=dense(logits))
    losses = FusionDetrCriterion('varifocal', LossConfig())(prediction, [NONE])
    assert losses['dense_l1'] == losses['dense_giou'] == 0
    losses['dense_class'].backward()
    assert (logits.grad > 0).all()


def fusion_of(weights):
    alpha_hat = torch.tensor(weights, requires_grad=True)
    return FusionOutput(torch.zeros(1), alpha_hat, alpha_hat, alpha_hat[0], alpha_hat, alpha_hat)


def test_entropy_bonus_pulls_towards_equal_weights_without_nan_at_zero():
    criterion = FusionDetrCriterion('softmax', LossConfig(entropy_weight=1.0))
    empty = torch.zeros(1, 1, 2), torch.full((1, 1, 4), 0.5)
    equal, single = fusion_of([[0.25] * 4]), fusion_of([[1.0, 0.0, 0.0, 0.0]])
    terms = [criterion(output(*empty, fusion=f), [NONE])['entropy'] for f in (equal, single)]
    assert_close(terms[0], torch.tensor(-math.log(4)))
    assert_close(terms[1], torch.tensor(0.0))
    terms[1].backward()
    assert torch.isfinite(single.alpha_hat.grad).all()


def test_targets_of_focal_queries_are_one_and_of_varifocal_ones_their_overlap():
    boxes = torch.tensor([[[0.35, 0.5, 0.5, 1.0]]])  # IoU 2/3
    truth = [target([0], [LEFT])]
    logits = torch.zeros(1, 1, 1)
    focal = FusionDetrCriterion('focal', LossConfig())(output(logits, boxes), truth)
    varifocal = FusionDetrCriterion('varifocal', LossConfig())(output(logits, boxes), truth)
    assert_close(focal['class'], torch.tensor(0.25 * 0.25 * math.log(2)))
    assert_close(varifocal['class'], torch.tensor(2 / 3 * math.log(2)))
