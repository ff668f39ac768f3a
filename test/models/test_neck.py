from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.models.fusion import align
from thermal_perception.models.neck import TokenMapNeck

CHANNELS = {8: 6, 16: 8, 32: 10}


def make_neck(**changes):
    return TokenMapNeck(FusionDetrConfig(d_model=32, **changes), CHANNELS)


def pyramid(height=64, width=128, batch=2):
    return {
        s: torch.randn(batch, c, height // s, width // s) for s, c in CHANNELS.items()
    }


@pytest.mark.parametrize('c6_mode', ['proj', 'cheap', 'wide'])
@pytest.mark.parametrize('grid_stride', [8, 16])
def test_token_map_has_the_size_of_the_grid(c6_mode, grid_stride):
    neck = make_neck(c6_mode=c6_mode, grid_stride=grid_stride)
    tokens, padding, fusion = neck(pyramid(), None)
    assert tokens.shape == (2, 32, 64 // grid_stride, 128 // grid_stride)
    assert padding is None
    assert fusion.alpha_hat.shape == (2, 4)


@pytest.mark.parametrize(
    ('c6_mode', 'kernel', 'projected'),
    [
        pytest.param('proj', (32, 10, 3, 3), True, id='C5, to the width of the tokens'),
        pytest.param('cheap', (32, 32, 3, 3), False, id='projected C5'),
        pytest.param('wide', (10, 10, 3, 3), True, id='C5, in its own width'),
    ],
)
def test_c6_is_a_strided_convolution_of(c6_mode, kernel, projected):
    neck = make_neck(c6_mode=c6_mode)
    assert tuple(neck.c6.weight.shape) == kernel
    assert ('64' in neck.projections) == projected
    source = torch.randn(1, kernel[1], 5, 4)
    assert neck.c6(source).shape[-2:] == (3, 2)


@pytest.mark.parametrize(('fusion', 'size'), [('off', (2, 4)), ('c5_up', (4, 8)), ('dc5', (2, 4))])
def test_ablations_with_one_scale_project_c5_alone(fusion, size):
    neck = make_neck(fusion=fusion)
    features = pyramid()
    tokens, _, record = neck(features, None)
    projected = neck.projections['32'](features[32])
    assert record is None
    assert_close(tokens, align(projected, torch.Size(size)))
    changed = {**features, 8: features[8] + 1, 16: features[16] + 1}
    assert torch.equal(neck(changed, None)[0], tokens)


@pytest.mark.parametrize('fusion', ['selective', 'uniform', 'bias_only'])
def test_ablations_that_mix_start_as_the_mean_of_four_scales(fusion):
    neck = make_neck(fusion=fusion)
    features = pyramid()
    tokens, _, record = neck(features, None)
    size = features[16].shape[-2:]
    scales = [align(neck.projections[str(s)](features[s]), size) for s in (8, 16, 32)]
    scales.append(align(neck.projections['64'](neck.c6(features[32])), size))
    assert_close(tokens, torch.stack(scales).mean(0))
    assert (record.alpha_hat == 0.25).all()


def padded_pyramid():
    """Return features of a 64x128 image of which the right half is padding."""
    padding = torch.zeros(1, 64, 128, dtype=torch.bool)
    padding[:, :, 64:] = True
    return pyramid(batch=1), padding


@pytest.mark.parametrize('fusion', ['selective', 'c5_up'])
@pytest.mark.parametrize('proj_norm', [False, True])
def test_features_of_padded_cells_reach_no_valid_cell_through_projection_and_resizing(
    fusion, proj_norm
):
    neck = make_neck(fusion=fusion, proj_norm=proj_norm, c6_mode='cheap')
    torch.nn.init.zeros_(neck.fusion.conv.bias) if fusion == 'selective' else None
    features, padding = padded_pyramid()
    tokens, resized, _ = neck(features, padding)
    changed = {s: f.clone() for s, f in features.items()}
    for stride, feature in changed.items():
        feature[..., 64 // stride :] = 1e3
    assert_close(neck(changed, padding)[0], tokens)
    assert resized[0, 0].tolist() == [False] * 4 + [True] * 4
    assert (tokens[..., 4:] == 0).all()


def test_mask_norm_keeps_the_level_of_cells_at_the_padded_border():
    features, padding = padded_pyramid()
    features = {s: torch.ones_like(f) for s, f in features.items()}
    levels = {}
    for mask_norm in (False, True):
        torch.manual_seed(1)
        neck = make_neck(mask_norm=mask_norm, fusion='c5_up')
        levels[mask_norm] = neck(features, padding)[0][0, :, 0, :4]
    inside = levels[True][:, :1].expand(-1, 4)
    assert_close(levels[True], inside)
    assert_close(levels[False][:, :3], inside[:, :3])
    assert_close(levels[False][:, 3], inside[:, 3] * 0.75)  # a quarter came from padding


def test_target_size_is_the_real_size_of_c4_for_any_image():
    features = {
        8: torch.randn(1, 6, 9, 13),
        16: torch.randn(1, 8, 5, 7),
        32: torch.randn(1, 10, 3, 4),
    }
    assert make_neck()(features, None)[0].shape == (1, 32, 5, 7)
