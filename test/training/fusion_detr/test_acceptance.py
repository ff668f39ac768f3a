"""The acceptance facts of Fusion DETR that concern losses, matching and learning."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from thermal_perception.evaluation import CocoScorer
from thermal_perception.models.boxes import xyxy_to_cxcywh
from thermal_perception.models.build import make_model
from thermal_perception.models.denoising import Target
from thermal_perception.models.fusion_detr import FusionDetrOutput
from thermal_perception.postprocess import top_detections
from training.fusion_detr.losses import FusionDetrCriterion, LossConfig
from training.fusion_detr.matcher import HungarianMatcher

NONE = Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))


def losses_of(logits, boxes, targets, **options):
    criterion = FusionDetrCriterion('softmax', LossConfig())
    output = FusionDetrOutput(logits, boxes, (), None, None, None)
    return criterion(output, targets, **options)


def test_fact_14_perfect_boxes_cost_nothing():
    boxes = torch.tensor([[[0.3, 0.4, 0.2, 0.1], [0.7, 0.6, 0.1, 0.3]]])
    losses = losses_of(torch.zeros(1, 2, 3), boxes, [Target(torch.tensor([0, 1]), boxes[0])])
    assert_close((losses['l1'], losses['giou']), (torch.tensor(0.0), torch.tensor(0.0)))


def test_fact_14_disjoint_boxes_cost_between_one_and_two():
    found, truth = torch.tensor([[[0.1, 0.1, 0.1, 0.1]]]), torch.tensor([[0.8, 0.8, 0.2, 0.1]])
    losses = losses_of(torch.zeros(1, 1, 2), found, [Target(torch.tensor([0]), truth)])
    assert 1 < losses['giou'] / 2 < 2


def test_fact_14_empty_targets_leave_a_finite_class_loss_with_gradient():
    logits, boxes = torch.randn(2, 3, 4, requires_grad=True), torch.rand(2, 3, 4).requires_grad_()
    losses = losses_of(logits, boxes, [NONE, NONE])
    assert losses['l1'] == losses['giou'] == 0
    sum(losses.values()).backward()
    assert torch.isfinite(losses['class'])
    assert logits.grad.abs().max() > 0
    assert (boxes.grad == 0).all()


@pytest.mark.parametrize('no_object', [0.1, 1.0, 5.0])
def test_fact_15_uniform_logits_cost_the_log_of_the_classes(no_object):
    criterion = FusionDetrCriterion('softmax', LossConfig(no_object=no_object))
    boxes = torch.full((1, 5, 4), 0.5)
    output = FusionDetrOutput(torch.zeros(1, 5, 4), boxes, (), None, None, None)
    targets = [Target(torch.tensor([2, 0]), boxes[0, :2])]
    assert_close(criterion(output, targets)['class'], torch.tensor(math.log(4)))


def test_fact_16_hungarian_result_on_a_hand_made_cost_matrix(monkeypatch):
    # Greedy would take 1 for the first object and leave 9; the best pays 2 + 3.
    cost = torch.tensor([[1.0, 3.0], [2.0, 9.0], [8.0, 9.0]])
    monkeypatch.setattr(HungarianMatcher, 'cost', lambda *_: cost)
    target = Target(torch.tensor([0, 0]), torch.zeros(2, 4))
    match = HungarianMatcher()(torch.zeros(3, 2), torch.zeros(3, 4), target)
    assert dict(zip(match.truth.tolist(), match.query.tolist())) == {0: 1, 1: 0}


def test_fact_20_four_micro_batches_of_four_equal_one_of_sixteen_in_the_box_loss():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(16, 5, 3, generator=generator)
    boxes = torch.rand(16, 5, 4, generator=generator) * 0.3 + 0.2
    targets = [
        Target(torch.zeros(n, dtype=torch.int64), torch.rand(n, 4, generator=generator) * 0.5)
        for n in [0, 1, 2, 3, 4, 5, 1, 0, 2, 2, 3, 1, 5, 4, 0, 1]
    ]
    count = float(sum(len(t.labels) for t in targets))
    whole = losses_of(logits, boxes, targets)
    parts = [
        losses_of(logits[i : i + 4], boxes[i : i + 4], targets[i : i + 4], num_boxes=count)
        for i in range(0, 16, 4)
    ]
    for term in ('l1', 'giou'):
        assert_close(sum(p[term] for p in parts), whole[term])
    by_micro_batch = [
        losses_of(logits[i : i + 4], boxes[i : i + 4], targets[i : i + 4])['l1']
        for i in range(0, 16, 4)
    ]
    assert abs(sum(by_micro_batch) / 4 - whole['l1']) > 1e-3  # DETR's way is another number


SMALL = {
    'class_names': ['person', 'car'],
    'backbone': 'convnextv2_atto',
    'd_model': 64,
    'num_heads': 4,
    'ffn_dim': 128,
    'encoder_layers': 1,
    'decoder_layers': 2,
    'num_queries': 12,
    'dropout': 0.0,
}


def truth_of(scenes):
    boxes = [(i, b, int(k)) for i, s in enumerate(scenes) for b, k in zip(s[1], s[2])]
    return {
        'images': [
            {'id': i, 'file_name': str(i), 'width': 64, 'height': 64} for i in range(len(scenes))
        ],
        'categories': [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'car'}],
        'annotations': [
            {
                'id': n + 1,
                'image_id': i,
                'category_id': k + 1,
                'bbox': [float(b[0]), float(b[1]), float(b[2] - b[0]), float(b[3] - b[1])],
                'area': float((b[2] - b[0]) * (b[3] - b[1])),
                'iscrowd': 0,
            }
            for n, (i, b, k) in enumerate(boxes)
        ],
    }


def mean_average_precision(model, images, scenes):
    scorer = CocoScorer(truth_of(scenes), ('person', 'car'))
    with torch.no_grad():
        output = model.eval()(images)
    for i, (logits, boxes) in enumerate(zip(output.logits, output.boxes)):
        found = top_detections(
            logits,
            boxes,
            activation='softmax',
            source_size=(64, 64),
            class_names=('person', 'car'),
        )
        scorer.add(i, found)
    return scorer.score().mAP50


@pytest.mark.parametrize('fusion', ['selective', 'off'])
def test_fact_21_four_synthetic_thermal_images_can_be_learned_by_heart(fusion, scenes):
    torch.manual_seed(0)
    model = make_model('fusion_detr', {**SMALL, 'fusion': fusion}, where='test')
    images = torch.from_numpy(np.stack([s[0] for s in scenes])).float()[:, None] / 255
    targets = []
    for _, boxes, labels in scenes:
        cxcywh = xyxy_to_cxcywh(torch.from_numpy(boxes) / 64)
        targets.append(Target(torch.from_numpy(labels), cxcywh))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4, fused=True)
    criterion = FusionDetrCriterion('softmax', LossConfig())
    assert mean_average_precision(model, images, scenes) < 0.3
    for step in range(300):
        optimiser.param_groups[0]['lr'] = 1e-3 * min(1, (step + 1) / 20)
        loss = sum(criterion(model.train()(images, None, targets), targets).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 20 == 19 and mean_average_precision(model, images, scenes) > 0.9:
            break
    assert mean_average_precision(model, images, scenes) > 0.9
