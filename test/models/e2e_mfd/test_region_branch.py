from __future__ import annotations

import pytest
import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.config import OrpptConfig
from thermal_perception.models.e2e_mfd.region_branch import (
    RegionBranch,
    RegionOutput,
    SelectiveKernel,
)


def branch(channels=8, **options):
    return RegionBranch(OrpptConfig(**options), channels)


def test_masks_of_one_repeat_the_features_once_per_mask():
    phi = torch.rand(1, 256, 3, 4)
    selected = RegionOutput(phi, torch.ones(1, 2, 3, 4)).selected()
    assert selected.shape == (1, 512, 3, 4)
    assert_close(selected, torch.cat((phi, phi), 1))


def test_each_mask_selects_its_own_cells():
    phi = torch.tensor([[3.0, 5.0]])[None]  # [1, 1, 1, 2]
    masks = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]])[None]
    assert RegionOutput(phi, masks).selected()[0, :, 0].tolist() == [[3, 0], [0, 10]]


@pytest.mark.parametrize('training', [True, False])
def test_prompts_of_zero_select_nothing(training):
    regions = branch(region_masks=2, region_features='identity').train(training)
    nn.init.zeros_(regions.masks.conv.weight)
    out = regions(torch.randn(2, 8, 4, 5))
    assert out.selected().shape == (2, 16, 4, 5)
    assert out.selected().abs().max() == 0


def test_a_mask_is_the_match_with_its_prompt():
    regions = branch(channels=2, region_masks=2, region_features='identity').eval()
    regions.masks.conv.weight.data = torch.tensor([[1.0, 1.0], [1.0, -3.0]])[:, :, None, None]
    out = regions(torch.tensor([2.0, 1.0])[None, :, None, None])
    assert_close(out.masks.flatten(), torch.tensor([3.0, 0.0]), rtol=1e-4, atol=0)  # 2 + 1, 2 - 3


@pytest.mark.parametrize('masks', [1, 2, 3])
def test_projecting_features_before_masking_equals_masking_before_projecting(masks):
    out = RegionOutput(torch.randn(2, 6, 4, 5), torch.rand(2, masks, 4, 5))
    weight = torch.randn(7, masks * 6, 1, 1)
    assert_close(out.project(weight), F.conv2d(out.selected(), weight), atol=1e-5, rtol=1e-5)


def test_features_are_convolved_for_prompts_but_never_for_a_selective_kernel():
    level = torch.randn(1, 8, 4, 5)
    assert branch(region_features='identity')(level).features is level
    assert branch(region='sk', region_features='conv')(level).features is level
    convolved = branch(region_features='conv')(level).features
    assert convolved.shape == level.shape
    assert convolved.min() >= 0


def test_selective_kernel_has_the_published_number_of_parameters():
    unit = SelectiveKernel(256, 2)
    assert sum(p.numel() for p in unit.parameters()) == 9452


def test_each_mask_chooses_between_its_near_and_its_wide_look():
    unit = SelectiveKernel(8, 2).eval()
    nn.init.zeros_(unit.excite.weight)
    unit.excite.bias.data = torch.tensor([20.0, -20.0, -20.0, 20.0])  # (near, wide) per mask
    x = torch.randn(2, 8, 6, 7)
    expected = torch.stack((unit.near(x)[:, 0], unit.wide(x)[:, 1]), 1)
    assert_close(unit(x), expected)


def test_shares_of_both_looks_sum_to_one():
    unit = SelectiveKernel(8, 3).eval()
    unit.wide = unit.near
    x = torch.randn(2, 8, 6, 7)
    assert_close(unit(x), unit.near(x))


@pytest.mark.parametrize('training', [True, False])
def test_padding_changes_nothing_for_a_selective_kernel(training):
    unit = SelectiveKernel(8, 2).train(training)
    x = torch.zeros(1, 8, 9, 8)
    x[..., :6, :5] = torch.randn(1, 8, 6, 5)
    padding = torch.ones(1, 9, 8, dtype=torch.bool)
    padding[:, :6, :5] = False
    found = unit(x, padding)[..., :6, :5]
    assert_close(found, unit(x[..., :6, :5]))
