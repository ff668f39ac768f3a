from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.models.fusion import (
    align,
    masked_mean,
    resize_mask,
    ScaleProjection,
    SelectiveFusion,
)


def test_masked_mean_by_hand():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 100.0]]]])
    padding = torch.tensor([[[False, False], [False, True]]])
    assert_close(masked_mean(features, padding), torch.tensor([[2.0]]))
    assert_close(masked_mean(features, None), torch.tensor([[26.5]]))


def test_masked_mean_of_nothing_valid_is_zero():
    padding = torch.ones(1, 2, 2, dtype=torch.bool)
    assert_close(masked_mean(torch.ones(1, 3, 2, 2), padding), torch.zeros(1, 3))


def test_mask_is_resized_by_nearest_neighbour():
    padding = torch.zeros(1, 4, 8, dtype=torch.bool)
    padding[:, :, 5:] = True
    assert resize_mask(padding, (2, 4))[0].tolist() == [[False, False, False, True]] * 2


def test_doubling_is_bilinear_with_half_pixel_centres():
    row = torch.tensor([[[[0.0, 4.0]]]])
    doubled = align(row, torch.Size((2, 4)))
    assert_close(doubled[0, 0, 0], torch.tensor([0.0, 1.0, 3.0, 4.0]))


def test_alignment_to_the_same_size_returns_the_map_itself():
    x = torch.randn(1, 2, 3, 4)
    assert align(x, torch.Size((3, 4))) is x


def test_logits_equal_the_source_formula_written_out(make_fusion, maps):
    fusion = make_fusion()
    pooled = [f.mean((2, 3)) for f in maps]
    q = torch.cat(pooled, 1) @ fusion.query.weight.T + fusion.query.bias
    for s, p in enumerate(pooled):
        k = p @ fusion.keys[s].weight.T + fusion.keys[s].bias
        assert_close(fusion(maps).logits[:, s], (q * k).sum(1) / math.sqrt(32))


def test_mixed_map_and_embedding_are_weighted_sums(make_fusion, maps):
    fusion = make_fusion(fuse_init='dirac')
    torch.nn.init.dirac_(fusion.conv.weight)
    torch.nn.init.zeros_(fusion.conv.bias)
    out = fusion(maps)
    by_hand = torch.zeros(2, 32, 6, 5)
    for b in range(2):
        for s in range(4):
            by_hand[b] += out.alpha_hat[b, s] * maps[s][b]
    assert_close(out.features, by_hand)
    assert_close(out.beta_bar, out.alpha_hat @ fusion.beta)


def test_shared_keys_are_one_projection_for_all_scales(make_fusion, maps):
    shared, separate = make_fusion(share_keys=True), make_fusion()
    assert (len(shared.keys), len(separate.keys)) == (1, 4)
    for key in separate.keys:
        key.load_state_dict(shared.keys[0].state_dict())
    separate.query.load_state_dict(shared.query.state_dict())
    assert_close(separate(maps).logits, shared(maps).logits)


def test_a_number_as_scale_divides_z(make_fusion, maps):
    one, two = make_fusion(scale=1.0), make_fusion(scale=2.5)
    two.load_state_dict(one.state_dict())
    assert_close(two(maps).logits, one(maps).logits / 2.5)


def test_uniform_weighs_all_scales_alike_whatever_was_loaded(make_fusion, maps):
    fusion = make_fusion(fusion='uniform')
    assert fusion.w.abs().max() > 0  # the fixture filled it
    assert (fusion(maps).alpha_hat == 0.25).all()
    assert not fusion.w.requires_grad


def test_bias_only_weighs_every_image_alike_by_the_learned_prior(make_fusion, maps):
    fusion = make_fusion(fusion='bias_only')
    out = fusion(maps)
    assert not hasattr(fusion, 'query')
    assert_close(out.alpha_hat, fusion.w.softmax(0).expand(2, -1))
    assert_close(out.alpha, torch.full((2, 4), 0.25))
    out.features.square().sum().backward()
    assert fusion.w.grad.abs().max() > 0


def test_without_scale_embedding_beta_bar_is_zero(make_fusion, maps):
    fusion = make_fusion(scale_pe=False)
    assert fusion.beta is None
    assert (fusion(maps).beta_bar == 0).all()


def test_weights_may_differ_per_cell(make_fusion, maps):
    chosen = torch.zeros(2, 4, 6, 5)
    chosen[:, 0, :, :2] = 1
    chosen[:, 3, :, 2:] = 1
    mixed = SelectiveFusion.mix(maps, chosen)
    assert_close(mixed[..., :2], maps[0][..., :2])
    assert_close(mixed[..., 2:], maps[3][..., 2:])


def test_weights_per_region_are_interpolated_and_still_sum_to_one():
    weights = torch.rand(1, 4, 2, 2).softmax(1)
    ones = [torch.ones(1, 3, 8, 8)] * 4
    assert_close(SelectiveFusion.mix(ones, weights), ones[0])
    corner = SelectiveFusion.mix([torch.full((1, 1, 8, 8), float(s)) for s in range(4)], weights)
    expected = (weights[0, :, 0, 0] * torch.arange(4.0)).sum()
    assert_close(corner[0, 0, 0, 0], expected)


def test_introspection_of_a_hand_made_mixture(make_fusion, maps):
    fusion = make_fusion(fusion='bias_only')
    with torch.no_grad():
        fusion.w.copy_(torch.tensor([0.5, 0.25, 0.125, 0.125]).log())
        fusion.beta.zero_()
        fusion.beta[0, 0] = 6.0
        fusion.beta[1, 1] = 16.0
    out = fusion(maps)
    assert_close(out.entropy, torch.full((2,), 1.75 * math.log(2)))
    assert out.dominant.tolist() == [0, 0]
    assert_close(out.beta_norm, torch.full((2,), 5.0))  # 0.5 * 6 and 0.25 * 16


def test_entropy_of_one_single_scale_is_zero(make_fusion, maps):
    fusion = make_fusion(fusion='bias_only')
    with torch.no_grad():
        fusion.w.copy_(torch.tensor([0.0, 0.0, 1000.0, 0.0]))
    out = fusion(maps)
    assert_close(out.entropy, torch.zeros(2))
    assert out.dominant.tolist() == [2, 2]


@pytest.mark.parametrize('norm', [False, True])
def test_projection_leaves_padded_cells_zero(norm):
    projection = ScaleProjection(3, 32, norm=norm)
    padding = torch.zeros(1, 8, 8, dtype=torch.bool)
    padding[:, :, 4:] = True
    out = projection(torch.randn(1, 3, 4, 4) + 5, padding)
    assert (out[..., 2:] == 0).all()
    assert (out[..., :2] != 0).any()


def test_xavier_start_of_the_convolution_is_not_the_identity(maps):
    fusion = SelectiveFusion(FusionDetrConfig(d_model=32, fuse_init='xavier'))
    assert (fusion(maps).features - torch.stack(maps).mean(0)).abs().max() > 0.1
