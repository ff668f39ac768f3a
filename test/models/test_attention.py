from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.models.attention import Attention, DeformableAttention
from thermal_perception.models.transformer import key_mask


def test_attention_equals_pytorchs_with_the_same_parameters():
    ours, theirs = Attention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    query, key, value = torch.randn(2, 3, 16), torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    padding = torch.tensor([[False] * 5, [False, False, True, True, False]])
    expected, weights = theirs(query, key, value, key_padding_mask=padding)
    blocked = padding[:, None, None]
    assert_close(ours(query, key, value, blocked=blocked), expected)
    assert_close(ours.weights(query, key, blocked=blocked), weights)


def test_a_vector_common_to_all_keys_changes_nothing():
    attention = Attention(16, 4)
    query, key, value = torch.randn(1, 3, 16), torch.randn(1, 5, 16), torch.randn(1, 5, 16)
    shifted = key + torch.randn(16) * 3
    assert_close(attention(query, shifted, value), attention(query, key, value))


def test_a_row_without_any_valid_key_is_not_blocked_whole():
    padding = torch.tensor([[[True, True], [True, True]], [[False, True], [True, True]]])
    blocked = key_mask(padding)
    assert not blocked[0].any()
    assert blocked[1].flatten().tolist() == [False, True, True, True]
    attention = Attention(8, 2)
    tokens = torch.randn(2, 4, 8)
    assert torch.isfinite(attention(tokens, tokens, tokens, blocked=blocked)).all()


def sample(value, x, y):
    """Read a (C, H, W) map between its cells; cell (0, 0) has its centre at (0.5, 0.5)."""
    height, width = value.shape[-2:]
    total = torch.zeros(value.shape[0])
    x, y = x - 0.5, y - 0.5
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += value[:, row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


@pytest.fixture
def deformable():
    torch.manual_seed(5)
    attention = DeformableAttention(12, 3, num_points=2)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return attention


SIZE = (4, 6)


def example():
    generator = torch.Generator().manual_seed(9)
    query = torch.randn(2, 5, 12, generator=generator)
    memory = torch.randn(2, SIZE[0] * SIZE[1], 12, generator=generator)
    boxes = torch.rand(2, 5, 4, generator=generator)
    return query, memory, boxes


def test_deformable_attention_equals_a_loop_over_images_queries_heads_and_points(deformable):
    query, memory, boxes = example()
    padding = torch.zeros(2, *SIZE, dtype=torch.bool)
    padding[1, :, 4:] = True
    out = torch.zeros(2, 5, 12)
    for b in range(2):
        value = deformable.value(memory[b]) * ~padding[b].flatten()[:, None]
        value = value.T.view(3, 4, *SIZE)  # [heads, channels, height, width]
        for q in range(5):
            offsets = deformable.offsets(query[b, q]).view(3, 2, 2)
            weights = deformable.weights(query[b, q]).view(3, 2).softmax(-1)
            cx, cy, w, h = boxes[b, q].tolist()
            for head in range(3):
                for point in range(2):
                    dx, dy = (offsets[head, point] / 2 * 0.5).tolist()
                    seen = sample(
                        value[head], (cx + dx * w) * SIZE[1], (cy + dy * h) * SIZE[0]
                    )
                    out[b, q, head * 4 : head * 4 + 4] += weights[head, point] * seen
    expected = deformable.out_proj(out)
    found = deformable(query, boxes, deformable.value_map(memory, SIZE, padding))
    assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_deformable_weight_map_times_the_values_is_what_a_head_reads():
    torch.manual_seed(5)
    attention = DeformableAttention(8, 1, num_points=3)
    nn.init.normal_(attention.offsets.weight, std=0.5)
    query, memory, boxes = torch.randn(1, 4, 8), torch.randn(1, 24, 8), torch.rand(1, 4, 4)
    weights = attention.weight_map(query, boxes, SIZE)
    by_map = attention.out_proj(weights @ attention.value(memory))
    direct = attention(query, boxes, attention.value_map(memory, SIZE, None))
    assert_close(by_map, direct, atol=1e-5, rtol=1e-5)
    assert (weights >= 0).all()
    assert (weights.sum(-1) <= 1 + 1e-6).all()


def test_deformable_attention_starts_on_rings_inside_the_box():
    attention = DeformableAttention(8, 4, num_points=2)
    box = torch.tensor([[[0.5, 0.5, 0.5, 0.5]]])
    weights = attention.weight_map(torch.zeros(1, 1, 8), box, (8, 8)).view(8, 8)
    assert_close(weights.sum(), torch.tensor(1.0))
    rows, columns = weights.nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 6, 1, 6)


def test_gradients_reach_boxes_queries_and_memory(deformable):
    query, memory, boxes = (t.requires_grad_() for t in example())
    deformable(query, boxes, deformable.value_map(memory, SIZE, None)).square().sum().backward()
    assert all(t.grad.abs().max() > 0 for t in (query, memory, boxes))
