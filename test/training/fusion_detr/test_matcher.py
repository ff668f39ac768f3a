from __future__ import annotations

import itertools

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.boxes import cxcywh_to_xyxy, pairwise_giou
from thermal_perception.models.denoising import Target
from training.fusion_detr.matcher import HungarianMatcher, TaskAlignedAssigner


def boxes(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 4, generator=generator) * 0.4 + 0.2


def test_cost_is_the_weighted_sum_of_the_source():
    matcher = HungarianMatcher()
    logits, found = torch.randn(5, 4), boxes(5)
    target = Target(torch.tensor([2, 0]), boxes(2, 1))
    giou = pairwise_giou(cxcywh_to_xyxy(found), cxcywh_to_xyxy(target.boxes))
    for q in range(5):
        for n, label in enumerate((2, 0)):
            p = logits[q].softmax(-1)[label]
            l1 = (found[q] - target.boxes[n]).abs().sum()
            by_hand = -p + 5 * l1 - 2 * giou[q, n]
            assert_close(matcher.cost(logits, found, target)[q, n], by_hand)


def test_focal_cost_prefers_confident_queries():
    matcher = HungarianMatcher(class_cost=2.0, activation='sigmoid')
    logits = torch.tensor([[-3.0], [0.0], [3.0]])
    target = Target(torch.tensor([0]), boxes(1))
    cost = matcher.cost(logits, target.boxes.expand(3, -1), target)[:, 0]
    assert cost[0] > cost[1] > cost[2]
    p = torch.tensor(0.5)
    by_hand = 2 * (0.25 * 0.25 * -p.log() - 0.75 * 0.25 * -p.log()) - 2
    assert_close(cost[1], by_hand, atol=1e-6, rtol=0)


@pytest.mark.parametrize('seed', range(5))
def test_matching_is_as_cheap_as_the_best_of_all_assignments(seed):
    torch.manual_seed(seed)
    matcher = HungarianMatcher()
    logits, found = torch.randn(5, 3), boxes(5, seed)
    target = Target(torch.tensor([0, 1, 0]), boxes(3, seed + 50))
    cost = matcher.cost(logits, found, target)
    match = matcher(logits, found, target)
    best = min(
        sum(float(cost[q, n]) for n, q in enumerate(queries))
        for queries in itertools.permutations(range(5), 3)
    )
    assert float(cost[match.query, match.truth].sum()) == pytest.approx(best, abs=1e-5)
    assert sorted(match.truth.tolist()) == [0, 1, 2]
    assert len(set(match.query.tolist())) == 3


def test_no_object_matches_nothing():
    target = Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    match = HungarianMatcher()(torch.randn(3, 3), boxes(3), target)
    assert (len(match.query), len(match.truth)) == (0, 0)


def test_more_objects_than_queries_use_every_query_once():
    target = Target(torch.zeros(4, dtype=torch.int64), boxes(4, 1))
    match = HungarianMatcher()(torch.randn(2, 3), boxes(2), target)
    assert sorted(match.query.tolist()) == [0, 1]
    assert len(set(match.truth.tolist())) == 2


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_predictions_that_are_not_finite_stop_the_matching(bad):
    found = boxes(3)
    found[1, 0] = bad
    target = Target(torch.tensor([0]), boxes(1))
    with pytest.raises(FloatingPointError, match='matching cost: found NaN or Inf'):
        HungarianMatcher()(torch.zeros(3, 2), found, target)


def test_half_precision_predictions_are_matched_in_single_precision():
    logits, found = torch.randn(5, 3), boxes(5)
    target = Target(torch.tensor([0, 1]), boxes(2, 1))
    rounded = logits.bfloat16(), found.bfloat16()
    expected = HungarianMatcher()(*(t.float() for t in rounded), target)
    assert torch.equal(HungarianMatcher()(*rounded, target).query, expected.query)


def grid(side=4):
    """Return anchors (cxcywh) of a square map, as wide as two cells."""
    centre = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centre, centre, indexing='ij')
    size = torch.full((side * side, 2), 2 / side)
    return torch.cat((torch.stack((x, y), -1).view(-1, 2), size), 1)


def assign(target, *, scores=None, found=None, padding=None, **options):
    anchors = grid()
    scores = torch.full((16, 2), 0.1) if scores is None else scores
    found = anchors if found is None else found
    return TaskAlignedAssigner(**options)(scores, found, anchors, target, padding)


def one(label, *box):
    return Target(torch.tensor([label]), torch.tensor([box]))


def test_tokens_near_the_object_are_positive_and_no_others():
    assigned = assign(one(0, 0.25, 0.25, 0.2, 0.2))
    # Within half an anchor (a quarter of the image) of the centre: the four cells around it.
    assert assigned.token.tolist() == [0, 1, 4, 5]
    assert assigned.truth.tolist() == [0] * 4


def test_an_object_smaller_than_a_cell_still_has_tokens():
    assert len(assign(one(0, 0.3, 0.3, 0.001, 0.001)).token) > 0


def test_at_most_the_best_few_tokens_are_positive():
    scores = torch.full((16, 2), 0.1)
    scores[10, 1] = scores[5, 1] = 0.9
    assigned = assign(one(1, 0.5, 0.5, 0.9, 0.9), scores=scores, top=2)
    assert sorted(assigned.token.tolist()) == [5, 10]


def test_a_token_wanted_twice_goes_to_the_object_it_overlaps_most():
    target = Target(
        torch.tensor([0, 1]), torch.tensor([[0.5, 0.5, 1.0, 1.0], [0.125, 0.125, 0.5, 0.5]])
    )
    assigned = assign(target, top=16)
    owner = dict(zip(assigned.token.tolist(), assigned.truth.tolist()))
    assert len(owner) == len(assigned.token)
    assert owner[0] == 1  # its anchor is the small object
    assert owner[10] == 0


def test_quality_of_the_best_token_is_its_overlap_and_others_have_less():
    found = grid()
    found[5] = torch.tensor([0.5, 0.5, 0.4, 0.4])  # IoU 0.64 with the object
    found[6] = torch.tensor([0.5, 0.5, 0.3, 0.3])  # IoU 0.36
    assigned = assign(one(0, 0.5, 0.5, 0.5, 0.5), found=found)
    quality = dict(zip(assigned.token.tolist(), assigned.quality.tolist()))
    assert quality[5] == pytest.approx(0.64, abs=1e-5)
    assert max(v for k, v in quality.items() if k != 5) < 0.64
    expected = 0.64 * ((0.36 + 1e-3) / (0.64 + 1e-3)) ** 4
    assert quality[6] == pytest.approx(expected, rel=1e-4)


def test_padded_tokens_are_never_positive():
    padding = torch.zeros(16, dtype=torch.bool)
    padding[[0, 4]] = True
    assert assign(one(0, 0.25, 0.25, 0.2, 0.2), padding=padding).token.tolist() == [1, 5]


def test_no_object_leaves_all_tokens_negative():
    assigned = assign(Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4)))
    assert all(len(part) == 0 for part in assigned)
