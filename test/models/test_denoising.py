from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.boxes import cxcywh_to_xyxy
from thermal_perception.models.denoising import make_denoising_queries, Target


def target(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=generator) * 0.4 + 0.3
    size = torch.rand(count, 2, generator=generator) * 0.1 + 0.1
    labels = torch.randint(3, (count,), generator=generator)
    return Target(labels, torch.cat((centre, size), 1))


def test_groups_fill_the_budget_with_a_positive_and_a_negative_copy_each():
    queries = make_denoising_queries([target(3), target(2)], 3, budget=10)
    assert (queries.groups, queries.group_size) == (3, 6)
    assert queries.boxes.shape == (2, 18, 4)
    assert queries.target_index[0].tolist() == [0, 1, 2, -1, -1, -1] * 3
    assert queries.target_index[1].tolist() == [0, 1, -1, -1, -1, -1] * 3
    assert queries.filler[0].sum() == 0
    assert queries.filler[1].tolist() == [False, False, True] * 6


def test_more_objects_than_the_budget_still_get_one_group():
    assert make_denoising_queries([target(30)], 3, budget=10).groups == 1


@pytest.mark.parametrize('targets', [[target(0)], [target(0), target(0)]])
def test_no_object_in_the_batch_gives_no_queries(targets):
    assert make_denoising_queries(targets, 3, budget=10) is None


def test_positive_corners_move_less_than_half_a_box_and_negative_ones_half_to_a_whole():
    truth = target(4)
    queries = make_denoising_queries([truth], 3, budget=400)
    half = truth.boxes[:, 2:].repeat(1, 2) / 2
    old = cxcywh_to_xyxy(truth.boxes)
    new = cxcywh_to_xyxy(queries.boxes[0]).view(-1, 2, 4, 4)  # [groups, kind, objects, corners]
    moved = ((new - old) / half).abs()
    # Corners that passed each other have changed names.
    crossed = ((new - old[:, [2, 3, 0, 1]]) / half).abs()
    assert moved[:, 0].max() <= 1 + 1e-4
    in_reach = [(d[:, 1] >= 1 - 1e-4) & (d[:, 1] <= 2 + 1e-4) for d in (moved, crossed)]
    assert (in_reach[0] | in_reach[1]).all()
    assert (moved[:, 1] > 1).float().mean() > 0.7


def test_a_quarter_of_the_labels_is_drawn_anew():
    truth = Target(torch.zeros(50, dtype=torch.int64), torch.full((50, 4), 0.5))
    torch.manual_seed(0)
    queries = make_denoising_queries([truth], 1000, budget=2500)
    assert (queries.labels != 0).float().mean() == pytest.approx(0.25, abs=0.02)


def test_noised_boxes_stay_in_the_image_with_a_positive_size():
    edge = Target(torch.zeros(2, dtype=torch.int64), torch.tensor([[0.01, 0.99, 0.3, 0.3]] * 2))
    boxes = make_denoising_queries([edge], 1, budget=500).boxes
    assert (boxes[..., 2:] > 0).all()
    assert (cxcywh_to_xyxy(boxes) > -1e-3).all()
    assert (cxcywh_to_xyxy(boxes) < 1 + 1e-3).all()


def test_mask_by_hand_for_two_groups_of_two_and_two_matching_queries():
    blocked = make_denoising_queries([target(1)], 3, budget=2).blocked(2)
    expected = [
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
    ]
    assert_close(blocked.int(), torch.tensor(expected, dtype=torch.int32))


OPTIONS = {'queries': 'anchors', 'class_loss': 'focal', 'denoising': 4}


def test_matching_queries_learn_nothing_of_the_ground_truth(tiny_model):
    model = tiny_model(**OPTIONS).train()
    images = torch.rand(1, 1, 64, 64)
    plain = model(images)
    noised = model(images, None, [target(2)])
    assert plain.denoising is None
    assert noised.denoising is not None
    assert_close(noised.logits, plain.logits, atol=1e-5, rtol=1e-5)
    assert_close(noised.boxes, plain.boxes, atol=1e-5, rtol=1e-5)


def test_groups_do_not_see_each_other(tiny_model):
    model = tiny_model(**OPTIONS)
    memory, _ = model._remember(torch.rand(1, 1, 64, 64), None)
    queries = make_denoising_queries([target(2)], 2, budget=4)
    queries = queries._replace(labels=queries.labels.clamp(max=1))
    assert queries.groups == 2
    other = queries._replace(boxes=queries.boxes.clone())
    other.boxes[:, queries.group_size :] = 0.5
    with torch.no_grad():
        (_, before), (_, after) = (model.decoder(memory, None, q) for q in (queries, other))
    first = slice(0, queries.group_size)
    assert_close(after[-1].logits[:, first], before[-1].logits[:, first])
    assert_close(after[-1].boxes[:, first], before[-1].boxes[:, first])
    rest = slice(queries.group_size, None)
    assert (after[-1].boxes[:, rest] - before[-1].boxes[:, rest]).abs().max() > 1e-3


def test_denoising_queries_exist_in_training_only(tiny_model):
    model = tiny_model(**OPTIONS)
    assert model(torch.rand(1, 1, 64, 64), None, [target(2)]).denoising is None
