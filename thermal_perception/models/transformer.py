"""DETR's encoder and decoder layers, post-norm, batch first.

Parameter names follow DETR's released code, so that its state dicts load. Source: Carion et al.,
arXiv 2005.12872; spatially reduced keys: Wang et al., PVT, arXiv 2102.12122.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.attention import Attention, DeformableAttention


class EncoderLayer(nn.Module):
    """Self-attention over the token map, then a feed-forward part."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        ffn_dim: int,
        *,
        dropout: float,
        pool: int = 1,
        conv: bool = False,
    ) -> None:
        """Create the layer; see `FusionDetrConfig` for `pool` and `conv`."""
        super().__init__()
        self.pool = pool
        self.self_attn = Attention(d_model, num_heads, dropout=dropout)
        self.linear1 = nn.Linear(d_model, ffn_dim)
        self.linear2 = nn.Linear(ffn_dim, d_model)
        self.conv = nn.Conv2d(ffn_dim, ffn_dim, 3, padding=1, groups=ffn_dim) if conv else None
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        _start_xavier(self.linear1, self.linear2)

    def forward(
        self, tokens: Tensor, pos: Tensor, size: tuple[int, int], padding: Tensor | None
    ) -> Tensor:
        """Refine (B, N, d) tokens of a map of `size`; padding is (B, H, W) bool or None."""
        query = tokens + pos
        key, value, blocked = self._keys(query, tokens, size, padding)
        attended = self.self_attn(query, key, value, blocked=blocked)
        tokens = self.norm1(tokens + self.dropout(attended))
        return self.norm2(tokens + self.dropout(self._feed_forward(tokens, size, padding)))

    def _keys(
        self, query: Tensor, tokens: Tensor, size: tuple[int, int], padding: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.pool == 1:
            return query, tokens, key_mask(padding)
        if padding is None:
            return self._pool(query, size), self._pool(tokens, size), None
        valid = (~padding).to(tokens.dtype).flatten(1)[..., None]  # [batch, N, 1]
        share = self._pool(valid, size)
        pooled = [
            self._pool(x * valid, size) / share.clamp(min=1e-6) for x in (query, tokens)
        ]
        # A pooled cell counts while any of its cells is valid.
        empty = share.mT.unflatten(-1, self._pooled_size(size))[:, 0] < 1e-6
        return pooled[0], pooled[1], key_mask(empty)

    def _pooled_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return -(-size[0] // self.pool), -(-size[1] // self.pool)

    def _pool(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        grid = tokens.mT.unflatten(-1, size)  # [batch, d, height, width]
        return F.avg_pool2d(grid, self.pool, ceil_mode=True).flatten(2).mT

    def _feed_forward(
        self, tokens: Tensor, size: tuple[int, int], padding: Tensor | None
    ) -> Tensor:
        hidden = self.linear1(tokens)
        if self.conv is not None:
            if padding is not None:  # as beyond the border of an unpadded image
                hidden = hidden.masked_fill(padding.flatten(1)[..., None], 0.0)
            grid = hidden.mT.unflatten(-1, size)
            hidden = hidden + self.conv(grid).flatten(2).mT
        return self.linear2(self.dropout(F.relu(hidden)))


def key_mask(padding: Tensor | None) -> Tensor | None:
    """Turn (B, H, W) padding into (B, 1, 1, N) blocked keys; a row is never blocked whole."""
    if padding is None:
        return None
    blocked = padding.flatten(1)
    blocked = blocked & ~blocked.all(1, keepdim=True)
    return blocked[:, None, None]


def _start_xavier(*layers: nn.Linear) -> None:
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)


class DecoderLayer(nn.Module):
    """Self-attention among queries, attention to the token map, then a feed-forward part."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        ffn_dim: int,
        *,
        dropout: float,
        deformable_points: int = 0,
    ) -> None:
        """Create the layer; `deformable_points` 0 means global attention to the map."""
        super().__init__()
        self.self_attn = Attention(d_model, num_heads, dropout=dropout)
        self.multihead_attn: Attention | DeformableAttention = (
            DeformableAttention(d_model, num_heads, num_points=deformable_points)
            if deformable_points
            else Attention(d_model, num_heads, dropout=dropout)
        )
        self.linear1 = nn.Linear(d_model, ffn_dim)
        self.linear2 = nn.Linear(ffn_dim, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        _start_xavier(self.linear1, self.linear2)

    def forward(self, content: Tensor, pos: Tensor, memory: Memory, *, blocked: Tensor | None,
                boxes_cxcywh_grid: Tensor | None) -> Tensor:
        """Refine (B, Q, d) queries.

        Args:
            content: (B, Q, d).
            pos: (B, Q, d) added to queries and keys, never to values.
            memory: the token map.
            blocked: (Q, Q) bool or None, True where queries must not see each other.
            boxes_cxcywh_grid: (B, Q, 4) for deformable attention.
        """
        query = content + pos
        attended = self.self_attn(query, query, content, blocked=blocked)
        content = self.norm1(content + self.dropout(attended))
        attended = self._look(content + pos, memory, boxes_cxcywh_grid)
        content = self.norm2(content + self.dropout(attended))
        hidden = self.dropout(F.relu(self.linear1(content)))
        return self.norm3(content + self.dropout(self.linear2(hidden)))

    def _look(self, query: Tensor, memory: Memory, boxes: Tensor | None) -> Tensor:
        attention = self.multihead_attn
        if isinstance(attention, DeformableAttention):
            assert boxes is not None
            value = attention.value_map(memory.tokens, memory.size, memory.padding)
            return attention(query, boxes, value)
        key = memory.tokens + memory.pos
        return attention(query, key, memory.tokens, blocked=key_mask(memory.padding))


class Memory:
    """The encoder's token map as the decoder sees it.

    Attributes:
        tokens: (B, N, d), N = height * width.
        pos: (B, N, d) position encoding.
        size: (height, width) of the map.
        padding: (B, height, width) bool, True where padded, or None.
        valid_ratio: (B, 1, 4) valid part of width and height, repeated; maps boxes relative to
            the unpadded image to boxes relative to the map.
    """

    def __init__(
        self,
        tokens: Tensor,
        pos: Tensor,
        size: tuple[int, int],
        padding: Tensor | None,
        valid_ratio: Tensor,
    ) -> None:
        """Keep the parts."""
        self.tokens, self.pos, self.size = tokens, pos, size
        self.padding, self.valid_ratio = padding, valid_ratio


class MLP(nn.Module):
    """Linear layers with ReLU in between."""

    def __init__(self, channels: int, hidden: int, out: int, layers: int) -> None:
        """Create `layers` linear layers named `layers.N`."""
        super().__init__()
        widths = [channels, *[hidden] * (layers - 1), out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., channels) to (..., out)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)

    def start_at_zero(self) -> None:
        """Let the first outputs be zero."""
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)
