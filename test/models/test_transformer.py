from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.models.transformer import EncoderLayer, MLP


def test_encoder_layer_equals_pytorchs_post_norm_layer_when_positions_are_zero():
    ours = EncoderLayer(16, 4, 32, dropout=0.0)
    theirs = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    tokens = torch.randn(2, 6, 16)
    found = ours(tokens, torch.zeros(2, 6, 16), (2, 3), None)
    assert_close(found, theirs(tokens))


@pytest.mark.parametrize('pool', [1, 2, 4])
@pytest.mark.parametrize('conv', [False, True], ids=['plain', 'conv'])
def test_padded_cells_change_nothing_in_the_valid_part(pool, conv):
    layer = EncoderLayer(16, 4, 32, dropout=0.0, pool=pool, conv=conv)
    grid, pos = torch.randn(1, 16, 5, 7), torch.randn(1, 16, 5, 7)
    wide, wide_pos = (torch.nn.functional.pad(x, (0, 4, 0, 3), value=9.0) for x in (grid, pos))
    padding = torch.ones(1, 8, 11, dtype=torch.bool)
    padding[:, :5, :7] = False

    def tokens(x):
        return x.flatten(2).mT

    alone = layer(tokens(grid), tokens(pos), (5, 7), None)
    padded = layer(tokens(wide), tokens(wide_pos), (8, 11), padding)
    valid = ~padding.flatten()
    assert_close(padded[:, valid], alone, atol=1e-5, rtol=1e-5)


def test_pooled_keys_are_the_means_of_cells():
    layer = EncoderLayer(8, 2, 16, dropout=0.0, pool=2)
    tokens = torch.randn(1, 6, 8)  # a map of 2 x 3: cells of 2x2 and 2x1
    pooled = layer._pool(tokens, (2, 3))
    by_hand = torch.stack((tokens[0, [0, 1, 3, 4]].mean(0), tokens[0, [2, 5]].mean(0)))
    assert_close(pooled[0], by_hand)


def test_matrices_start_xavier_uniform():
    layer = EncoderLayer(64, 4, 192, dropout=0.0)
    bound = (6 / (64 + 192)) ** 0.5
    for linear in (layer.linear1, layer.linear2):
        assert linear.weight.abs().max() <= bound
        assert linear.weight.abs().max() > 0.98 * bound


def test_mlp_started_at_zero_gives_zero_and_still_learns():
    mlp = MLP(8, 16, 4, 3)
    mlp.start_at_zero()
    out = mlp(torch.randn(5, 8))
    assert (out == 0).all()
    (out - 1).square().sum().backward()
    assert mlp.layers[-1].weight.grad.abs().max() > 0
