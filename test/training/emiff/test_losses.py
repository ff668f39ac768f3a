"""What is minimised is least where the truth is."""

from __future__ import annotations

import math

import pytest
import torch

from thermal_perception.models.boxes_3d import direction_bin, encode_boxes
from thermal_perception.models.emiff.anchors import make_anchors
from thermal_perception.models.emiff.config import EmiffConfig, GridConfig
from thermal_perception.models.emiff.head import HeadOutput
from training.emiff.losses import EmiffCriterion, EmiffLossConfig
from training.emiff.targets import Target3D

CONFIG = EmiffConfig(grid=GridConfig((0.0, -8.0, -3.0), (32.0, 8.0, 0.6), (32, 16, 12)))
ANCHORS = make_anchors(CONFIG)
BOX = (10.6, 0.4, -1.7, 4.1, 1.7, 1.5, 0.2)


def target(*boxes):
    return Target3D(torch.tensor(boxes).reshape(-1, 7), torch.zeros(len(boxes), dtype=torch.long))


def head(box=BOX, *, logit=9.0, yaw=None, direction=None):
    """Make the output that finds the box of the anchor at row 8, column 10."""
    logits = torch.full((16, 32, 2, 1), -9.0)
    codes, bins = torch.zeros(16, 32, 2, 7), torch.zeros(16, 32, 2, 2)
    found = torch.tensor(box)
    if yaw is not None:
        found[6] = yaw
    logits[8, 10, 0] = logit
    codes[8, 10, 0] = encode_boxes(found, ANCHORS[8, 10, 0])
    wanted = direction_bin(found[6]) if direction is None else direction
    bins[8, 10, 0, wanted] = 9.0
    return HeadOutput(*(x.flatten(2).permute(2, 0, 1)[None] for x in (logits, codes, bins)))


def losses(output, *targets, **options):
    criterion = EmiffCriterion(CONFIG, EmiffLossConfig(**options))
    terms = criterion(output, targets or [target(BOX)])
    return {name: float(value) for name, value in terms.items()}


def test_the_truth_costs_nothing():
    assert losses(head()) == pytest.approx({'class': 0, 'box': 0, 'direction': 0}, abs=1e-3)


def test_class_by_hand():
    # Undecided about the one anchor that finds: alpha (1 - p)^2 ln 2 = 0.25 * 0.25 * 0.6931.
    assert losses(head(logit=0.0))['class'] == pytest.approx(0.25 * 0.25 * math.log(2), abs=1e-4)


def test_box_by_hand():
    # 0.5 m further along x: 0.5 / 4.2154 = 0.11861, beyond beta: 0.11861 - 1/18, twice.
    moved = (BOX[0] + 0.5, *BOX[1:])
    assert losses(head(moved))['box'] == pytest.approx(2 * (0.5 / 4.215447 - 1 / 18), abs=1e-5)


def test_the_opposite_heading_costs_direction_alone():
    turned = losses(head(yaw=BOX[6] + math.pi))
    assert turned['box'] == pytest.approx(0, abs=1e-5)
    assert turned['direction'] == pytest.approx(0.2 * 9.0, abs=0.01)


def test_heading_costs_by_its_sine():
    by_hand = math.sin(0.3)
    assert losses(head(yaw=BOX[6] + 0.3))['box'] == pytest.approx(2 * (by_hand - 1 / 18), abs=1e-4)


def test_a_frame_without_objects_costs_what_is_found_in_it():
    quiet = losses(head(logit=-9.0), target())
    loud = losses(head(logit=3.0), target())
    assert quiet['class'] < 1e-3 < 1 < loud['class']
    assert (loud['box'], loud['direction']) == (0, 0)


def test_terms_are_weighed():
    plain = losses(head((11.0, *BOX[1:]), logit=0.0, direction=1))
    heavy = losses(
        head((11.0, *BOX[1:]), logit=0.0, direction=1),
        class_weight=3.0, box_weight=6.0, direction_weight=0.6,
    )  # fmt: skip
    assert heavy == pytest.approx({name: 3 * value for name, value in plain.items()})


def test_gradients_are_finite_where_nothing_is_to_be_found():
    outputs = [x.clone().requires_grad_() for x in head()]
    terms = EmiffCriterion(CONFIG, EmiffLossConfig())(HeadOutput(*outputs), [target()])
    sum(terms.values()).backward()
    assert all(x.grad is None or x.grad.isfinite().all() for x in outputs)
