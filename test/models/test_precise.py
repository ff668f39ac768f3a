"""Numbers that keep their precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.boxes import refine
from thermal_perception.models.precise import precise


@pytest.mark.parametrize('value', [0.1, -0.0, 3.4e38, 1e-45, math.inf, math.nan])
def test_no_number_is_changed(value):
    x = torch.tensor([value])
    assert torch.equal(precise(x).view(torch.int32), x.view(torch.int32))


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16])
def test_half_precision_is_widened(half):
    x = torch.tensor([0.9], dtype=half)
    assert precise(x).dtype == torch.float32
    assert float(precise(x)) == float(x)


def test_double_precision_and_gradients_pass():
    x = torch.tensor([0.1], dtype=torch.float64, requires_grad=True)
    assert precise(x) is x
    y = torch.tensor([2.0], requires_grad=True)
    (3 * precise(y)).sum().backward()
    assert y.grad.tolist() == [3.0]


def test_boxes_moved_by_rounded_steps_are_not_rounded_themselves():
    # A quarter of a width of 8 pixels, of 640: bf16 would round 0.9031 to 0.9023, half a pixel.
    reference = torch.tensor([[0.9, 0.5, 8 / 640, 0.1]])
    delta = torch.tensor([[0.25, 0.0, 0.0, 0.0]], dtype=torch.bfloat16)
    with torch.autocast('cpu', torch.bfloat16):
        moved = refine(reference, delta)
    assert_close(moved, torch.tensor([[0.9 + 2 / 640, 0.5, 8 / 640, 0.1]]))
