"""Attention: exact (fused kernels) and deformable (on one map, in plain PyTorch).

Source: Vaswani et al., arXiv 1706.03762; Zhu et al., Deformable DETR, arXiv 2010.04159.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn, Tensor
import torch.nn.functional as F


class Attention(nn.Module):
    """Multi-head attention, batch first, with the parameter names of `nn.MultiheadAttention`."""

    def __init__(self, d_model: int, num_heads: int, *, dropout: float = 0.0) -> None:
        """Create Xavier-uniform projections with zero bias."""
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * d_model, d_model))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * d_model))
        self.out_proj = nn.Linear(d_model, d_model)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, blocked: Tensor | None = None
    ) -> Tensor:
        """Attend.

        Args:
            query: (B, Q, d).
            key: (B, N, d).
            value: (B, N, d).
            blocked: bool, True where attention is forbidden, broadcastable to (B, heads, Q, N).

        Returns:
            (B, Q, d).
        """
        q, k, v = self._project(query, key, value)
        mask = None if blocked is None else ~blocked
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out_proj(y.transpose(1, 2).flatten(2))  # [batch, queries, d]

    def weights(self, query: Tensor, key: Tensor, *, blocked: Tensor | None = None) -> Tensor:
        """Return (B, Q, N) attention averaged over heads; for inspection, not for speed."""
        q, k, _ = self._project(query, key, key)
        logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # [batch, heads, Q, N]
        if blocked is not None:
            logits = logits.masked_fill(blocked, float('-inf'))
        return logits.softmax(-1).mean(1)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        inputs = (query, key, value)
        return tuple(
            self._split(F.linear(x, w, b)) for x, w, b in zip(inputs, weights, biases)
        )

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # [batch, heads, N, d/heads]


class DeformableAttention(nn.Module):
    """Attend to a few points around a reference box on one feature map."""

    def __init__(self, d_model: int, num_heads: int, *, num_points: int) -> None:
        """Start with points on rings around the box centre, one direction per head."""
        super().__init__()
        self.num_heads, self.num_points = num_heads, num_points
        self.offsets = nn.Linear(d_model, num_heads * num_points * 2)
        self.weights = nn.Linear(d_model, num_heads * num_points)
        self.value = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        self._reset()

    def _reset(self) -> None:
        angle = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        ring = torch.stack((angle.cos(), angle.sin()), -1)  # [heads, 2]
        ring = ring / ring.abs().max(-1, keepdim=True).values
        radius = torch.arange(1, self.num_points + 1)[None, :, None]
        nn.init.zeros_(self.offsets.weight)
        with torch.no_grad():
            self.offsets.bias.copy_((ring[:, None] * radius).flatten())
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        for linear in (self.value, self.out_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def value_map(self, memory: Tensor, size: tuple[int, int], padding: Tensor | None) -> Tensor:
        """Project (B, N, d) tokens to (B * heads, d / heads, H, W) values, zero where padded."""
        # As a convolution: compilers take longer to transpose a product than to make it.
        tokens = memory.mT.unflatten(-1, size)
        value = F.conv2d(tokens, self.value.weight[..., None, None], self.value.bias)
        if padding is not None:
            value = value.masked_fill(padding[:, None], 0.0)
        return value.unflatten(1, (self.num_heads, -1)).flatten(0, 1)

    def forward(self, query: Tensor, boxes_cxcywh_grid: Tensor, value_map: Tensor) -> Tensor:
        """Attend.

        Args:
            query: (B, Q, d).
            boxes_cxcywh_grid: (B, Q, 4) reference boxes, 0..1 over the whole (padded) map.
            value_map: from `value_map`.

        Returns:
            (B, Q, d).
        """
        points, weights = self._points(query, boxes_cxcywh_grid)
        sampled = F.grid_sample(
            value_map.to(points.dtype), points, mode='bilinear', align_corners=False
        )  # [B * heads, d / heads, Q, points]
        mixed = (sampled * weights[:, None]).sum(-1)  # [B * heads, d / heads, Q]
        return self.out_proj(mixed.unflatten(0, (-1, self.num_heads)).flatten(1, 2).mT)

    def weight_map(
        self, query: Tensor, boxes_cxcywh_grid: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Return (B, Q, N) weights of the map's cells averaged over heads, for inspection.

        Each point's weight goes to its four nearest cells, as in the bilinear sampling; what
        lies outside the map is lost, so that rows sum to one or less.
        """
        height, width = size
        points, weights = self._points(query, boxes_cxcywh_grid)
        x, y = ((points + 1) * points.new_tensor([width, height]) / 2 - 0.5).unbind(-1)
        spread = weights.new_zeros((*weights.shape[:2], height * width))
        for cx, cy in itertools.product((x.floor(), x.floor() + 1), (y.floor(), y.floor() + 1)):
            share = (1 - (x - cx).abs()) * (1 - (y - cy).abs())
            inside = (cx >= 0) & (cx < width) & (cy >= 0) & (cy < height)
            index = cy.clamp(0, height - 1) * width + cx.clamp(0, width - 1)
            spread.scatter_add_(2, index.long(), weights * share * inside)
        return spread.unflatten(0, (-1, self.num_heads)).mean(1)

    def _points(self, query: Tensor, boxes_cxcywh_grid: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B * heads, Q, points, 2) places x, y in -1..1 and their weights."""
        batch, queries, _ = query.shape
        shape = (batch, queries, self.num_heads, self.num_points)
        offsets = self.offsets(query).view(*shape, 2) / self.num_points * 0.5
        centre, size = boxes_cxcywh_grid[:, :, None, None].split(2, dim=-1)
        points = (centre + offsets * size) * 2 - 1  # [B, Q, heads, points, 2] in -1..1
        weights = self.weights(query).view(shape).softmax(-1)
        return points.transpose(1, 2).flatten(0, 1), weights.transpose(1, 2).flatten(0, 1)
