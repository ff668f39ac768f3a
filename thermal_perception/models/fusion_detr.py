"""Fusion DETR: a detection transformer on one token map mixed from four backbone scales."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.attention import Attention, DeformableAttention
from thermal_perception.models.backbones import make_backbone
from thermal_perception.models.boxes import cxcywh_to_xyxy, distinct, refine
from thermal_perception.models.denoising import (
    DenoisingQueries,
    make_denoising_queries,
    Target,
)
from thermal_perception.models.neck import STRIDES, TokenMapNeck
from thermal_perception.models.padding import cells_of, padding_around
from thermal_perception.models.position import sine_boxes, sine_grid
from thermal_perception.models.precise import precise
from thermal_perception.models.transformer import DecoderLayer, EncoderLayer, Memory, MLP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.models.config import FusionDetrConfig
    from thermal_perception.models.fusion import FusionOutput

PRIOR_LOGIT = -math.log(99)  # sigmoid of it is 0.01: most queries see no object
_POOL = 4  # candidates per query, when repetitions are put last


class LayerOutput(NamedTuple):
    """Predictions of one decoder layer (or of all encoder tokens).

    Attributes:
        logits: (B, Q, K+1) for softmax, (B, Q, K) for sigmoid losses.
        boxes: (B, Q, 4) cxcywh, relative to the unpadded image.
    """

    logits: Tensor
    boxes: Tensor


class DenseOutput(NamedTuple):
    """Predictions at every encoder token, before the best are selected as queries.

    Attributes:
        logits: (B, N, K).
        boxes: (B, N, 4) cxcywh, relative to the unpadded image.
        anchors: (B, N, 4) cxcywh the boxes were refined from.
        padding: (B, N) bool, True where padded, or None.
    """

    logits: Tensor
    boxes: Tensor
    anchors: Tensor
    padding: Tensor | None


class DenoisingOutput(NamedTuple):
    """Predictions of the denoising queries at every layer."""

    layers: tuple[LayerOutput, ...]
    queries: DenoisingQueries


class FusionDetrOutput(NamedTuple):
    """What one forward pass gives.

    Attributes:
        logits: (B, Q, K or K+1) of the last decoder layer.
        boxes: (B, Q, 4) cxcywh of the last layer, relative to the unpadded image.
        auxiliary: predictions of the earlier layers.
        fusion: weights of the scales; None for the single-scale ablations.
        dense: encoder predictions with `queries='selected'`.
        denoising: in training with denoising on.
    """

    logits: Tensor
    boxes: Tensor
    auxiliary: tuple[LayerOutput, ...]
    fusion: FusionOutput | None
    dense: DenseOutput | None
    denoising: DenoisingOutput | None


class _Queries(NamedTuple):
    """Where the decoder starts: content (B, Q, d), fixed pos (B, Q, d) or boxes (B, Q, 4)."""

    content: Tensor
    pos: Tensor | None
    boxes: Tensor | None


class FusionDetr(nn.Module):
    """The detector; see `FusionDetrConfig` for its switches.

    Source: "Selective Multi-Scale Fusion with DETR for Thermal Object Detection"; DETR,
    arXiv 2005.12872; the options of DAB-DETR (2201.12329), DN-DETR (2203.01305), DINO
    (2203.03605), Deformable DETR (2010.04159), RT-DETR (2304.08069) and DDQ (2303.12776).

    Attributes:
        undecayed: ends of the names of parameters that weight decay would harm.
    """

    undecayed = ('.beta', '.query_embed', '.query_boxes', '.query_content')

    def __init__(self, config: FusionDetrConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        d = config.d_model
        self.backbone = make_backbone(
            config.backbone,
            train_norm=config.train_norm,
            freeze_early=config.freeze_early,
            dilate=config.fusion == 'dc5',
            in_channels=1 if config.stem == 'sum' else 3,
        )
        self.neck = TokenMapNeck(config, self.backbone.channels)
        self.encoder = nn.ModuleList(
            EncoderLayer(
                d,
                config.num_heads,
                config.ffn_dim,
                dropout=config.dropout,
                pool=config.encoder_pool,
                conv=config.encoder_conv,
            )
            for _ in range(config.encoder_layers)
        )
        self.decoder = Decoder(config)
        if config.queries == 'selected':
            self.proposals = Proposals(config)

    def forward(
        self,
        images: Tensor,
        padding: Tensor | None = None,
        targets: Sequence[Target] | None = None,
        *,
        content: tuple[int, int] | None = None,
    ) -> FusionDetrOutput:
        """Detect.

        Args:
            images: (B, 1, H, W) or (B, 3, H, W) float in [0, 1], not normalised.
            padding: (B, H, W) bool, True where padded; None when no image is padded.
            targets: ground truth, one per image, to make denoising queries from.
            content: (height, width) up to which every image is not padded, instead of `padding`.
                The result is the same, sooner: the transformer leaves padded tokens out instead
                of masking them, and a compiler knows the masks of the rest.
        """
        memory, fusion = self._remember(images, padding, content)
        dense, selected = self._select(memory)
        denoising = self._denoising(targets)
        layers, noised = self.decoder(
            memory, selected, denoising, shift=self._shift(fusion, ('query',))
        )
        return FusionDetrOutput(
            layers[-1].logits,
            layers[-1].boxes,
            tuple(layers[:-1]),
            fusion,
            dense,
            None if denoising is None else DenoisingOutput(tuple(noised), denoising),
        )

    def cross_attention(self, images: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return where each query looks: the last layer's attention (B, Q, H, W) over the map.

        Averaged over heads. Rows sum to one; with deformable attention to less where points
        fall off the map.
        """
        memory, fusion = self._remember(images, padding)
        _, selected = self._select(memory)
        return self.decoder.cross_attention(
            memory, selected, shift=self._shift(fusion, ('query',))
        )

    def reset_classes(self, class_names: tuple[str, ...]) -> None:
        """Start over with other classes; everything but the class heads is kept.

        A model pre-trained on one set, for example with the single class `object`, goes on with
        the classes of another.
        """
        like = self.decoder.norm.weight
        self.config = dataclasses.replace(self.config, class_names=class_names)
        self.decoder.reset_classes(self.config)
        if self.config.queries == 'selected':
            self.proposals.reset_classes(self.config)
        self.to(like.device, like.dtype)

    def _remember(
        self, images: Tensor, padding: Tensor | None, content: tuple[int, int] | None = None
    ) -> tuple[Memory, FusionOutput | None]:
        """Return the encoded token map and how it was mixed."""
        if content is not None:
            padding = padding_around(content, images)
        images = images if self.config.stem == 'copy' else images[:, :1]
        features = self.backbone(self.backbone.normalise(images, padding))
        tokens, padding, fusion = self.neck(features, padding)
        if content is not None:
            height, width = cells_of(content, images.shape[-2:], tokens.shape[-2:])
            tokens, padding = tokens[..., :height, :width], None
        return self._encode(tokens, padding, fusion), fusion

    def _encode(
        self, x: Tensor, padding: Tensor | None, fusion: FusionOutput | None
    ) -> Memory:
        size = (x.shape[-2], x.shape[-1])
        mask = x.new_zeros((len(x), *size), dtype=torch.bool) if padding is None else padding
        pos = sine_grid(mask, x.shape[1]).flatten(2).mT.to(x.dtype)  # [batch, N, d]
        shift = self._shift(fusion, ('pos', 'both'))
        pos = pos if shift is None else pos + shift
        tokens = x.flatten(2).mT
        content = self._shift(fusion, ('content', 'both'))
        tokens = tokens if content is None else tokens + content
        for layer in self.encoder:
            tokens = layer(tokens, pos, size, padding)
        ratio = _valid_ratio(mask).to(torch.promote_types(x.dtype, torch.float32))
        return Memory(tokens, pos, size, padding, ratio)

    def _shift(self, fusion: FusionOutput | None, targets: tuple[str, ...]) -> Tensor | None:
        """Return beta_bar as (B, 1, d) if it acts at one of these places."""
        if fusion is None or self.config.scale_pe_target not in targets:
            return None
        return fusion.beta_bar[:, None].to(fusion.features.dtype)

    def _select(self, memory: Memory) -> tuple[DenseOutput | None, _Queries | None]:
        if self.config.queries != 'selected':
            return None, None
        return self.proposals(memory)

    def _denoising(self, targets: Sequence[Target] | None) -> DenoisingQueries | None:
        if not (self.training and self.config.denoising and targets):
            return None
        return make_denoising_queries(targets, self.config.num_classes, self.config.denoising)


class Proposals(nn.Module):
    """Score every encoder token and start the queries from the best ones."""

    def __init__(self, config: FusionDetrConfig) -> None:
        """Create the dense heads; scores start at 0.01, boxes at the anchor."""
        super().__init__()
        d = config.d_model
        self.num_queries = config.num_queries
        self.distinct_iou = config.distinct_iou
        self.anchor_cells = config.anchor_size_px / config.token_stride
        self.transform = nn.Sequential(nn.Linear(d, d), nn.LayerNorm(d))
        self.class_embed = nn.Linear(d, config.num_logits)
        self.bbox_embed = MLP(d, d, 4, 3)
        self.content = nn.Linear(d, d)
        _start_quiet(self.class_embed)
        self.bbox_embed.start_at_zero()

    def forward(self, memory: Memory) -> tuple[DenseOutput, _Queries]:
        """Return the dense predictions and the selected queries."""
        tokens = self.transform(memory.tokens)
        anchors = self._anchors(memory)
        logits = self.class_embed(tokens)
        boxes = refine(anchors, self.bbox_embed(tokens))
        padding = None if memory.padding is None else memory.padding.flatten(1)
        dense = DenseOutput(logits, boxes, anchors, padding)
        return dense, self._best(dense, tokens)

    def reset_classes(self, config: FusionDetrConfig) -> None:
        """Replace the class head."""
        self.class_embed = nn.Linear(config.d_model, config.num_logits)
        _start_quiet(self.class_embed)

    def _best(self, dense: DenseOutput, tokens: Tensor) -> _Queries:
        best = dense.logits.detach().max(-1).values  # [batch, N]
        if dense.padding is not None:
            best = best.masked_fill(dense.padding, float('-inf'))
        index = self._choose(best, dense.boxes.detach())[..., None]
        boxes = dense.boxes.gather(1, index.expand(-1, -1, 4))
        content = self.content(tokens.gather(1, index.expand(-1, -1, tokens.shape[-1])))
        return _Queries(content, None, boxes)

    def _choose(self, best: Tensor, boxes: Tensor) -> Tensor:
        """Return (B, Q) indices of tokens by score (B, N), repetitions after all others."""
        queries = min(self.num_queries, best.shape[1])
        if self.distinct_iou == 1:
            return best.topk(queries).indices
        pool = best.topk(min(_POOL * self.num_queries, best.shape[1])).indices
        kept = distinct(
            cxcywh_to_xyxy(boxes.gather(1, pool[..., None].expand(-1, -1, 4))), self.distinct_iou
        )
        kept &= best.gather(1, pool).isfinite()  # padding comes after everything
        # First what is kept, best first, then the rest, best first.
        place = torch.arange(pool.shape[1], device=pool.device) + pool.shape[1] * ~kept
        return pool.gather(1, place.topk(queries, largest=False).indices)

    def _anchors(self, memory: Memory) -> Tensor:
        height, width = memory.size
        device, dtype = memory.valid_ratio.device, memory.valid_ratio.dtype
        y = (torch.arange(height, device=device, dtype=dtype) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=dtype) + 0.5) / width
        grid = torch.stack(torch.meshgrid(y, x, indexing='ij')[::-1], -1).view(1, -1, 2)
        # Filled on the device: a CUDA graph cannot hold a copy from the host's memory.
        sides = [torch.full_like(grid[..., 0], self.anchor_cells / n) for n in (width, height)]
        return torch.cat((grid, torch.stack(sides, -1)), -1) / memory.valid_ratio


class Decoder(nn.Module):
    """Decoder layers with their heads and, without selection, the learned queries."""

    def __init__(self, config: FusionDetrConfig) -> None:
        """Create layers and heads; layers share heads with learned queries, as in DETR."""
        super().__init__()
        d = config.d_model
        self.config = config
        points = config.num_points if config.decoder_attention == 'deformable' else 0
        self.layers = nn.ModuleList(
            DecoderLayer(
                d,
                config.num_heads,
                config.ffn_dim,
                dropout=config.dropout,
                deformable_points=points,
            )
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(d)
        heads = 1 if config.queries == 'learned' else config.decoder_layers
        self.class_embed = _class_heads(config, heads)
        self.bbox_embed = nn.ModuleList(MLP(d, d, 4, 3) for _ in range(heads))
        if config.queries == 'learned':
            self.query_embed = nn.Parameter(torch.randn(config.num_queries, d))
        else:
            self.box_pos = MLP(4 * (d // 4) * 2, d, d, 2)
        if config.queries == 'anchors':
            self.query_boxes = nn.Parameter(_spread_boxes(config.num_queries))
            self.query_content = nn.Parameter(torch.zeros(config.num_queries, d))
        if config.denoising:
            self.label_embed = nn.Embedding(config.num_classes, d)
        if config.queries != 'learned':
            for locate in self.bbox_embed:
                locate.start_at_zero()  # type: ignore[operator]

    def forward(
        self,
        memory: Memory,
        selected: _Queries | None,
        denoising: DenoisingQueries | None,
        *,
        shift: Tensor | None = None,
    ) -> tuple[list[LayerOutput], list[LayerOutput]]:
        """Return the predictions of every layer: of the matching and of the denoising queries."""
        queries = self._start(memory, selected)
        matching = queries.content.shape[1]
        queries, blocked = self._with_denoising(queries, denoising)
        outputs = self._run(queries, memory, blocked, shift)
        split = queries.content.shape[1] - matching
        return (
            [LayerOutput(o.logits[:, split:], o.boxes[:, split:]) for o in outputs],
            [LayerOutput(o.logits[:, :split], o.boxes[:, :split]) for o in outputs],
        )

    def cross_attention(
        self, memory: Memory, selected: _Queries | None, *, shift: Tensor | None = None
    ) -> Tensor:
        """Return the last layer's mean attention (B, Q, H, W) to the map."""
        seen: list[Tensor] = []
        last = self.layers[-1]
        assert isinstance(last, DecoderLayer)

        def record(attention: nn.Module, inputs: tuple[Tensor, ...], kwargs: Any) -> None:
            if isinstance(attention, Attention):
                seen.append(attention.weights(*inputs[:2], **kwargs))
            elif isinstance(attention, DeformableAttention):
                seen.append(attention.weight_map(inputs[0], inputs[1], memory.size))

        handle = last.multihead_attn.register_forward_pre_hook(record, with_kwargs=True)
        try:
            self(memory, selected, None, shift=shift)
        finally:
            handle.remove()
        return seen[0].unflatten(-1, memory.size)

    def reset_classes(self, config: FusionDetrConfig) -> None:
        """Replace the class heads and the label embedding."""
        self.config = config
        self.class_embed = _class_heads(config, len(self.class_embed))
        if config.denoising:
            self.label_embed = nn.Embedding(config.num_classes, config.d_model)

    def _start(self, memory: Memory, selected: _Queries | None) -> _Queries:
        if selected is not None:
            return selected
        batch = len(memory.tokens)
        if self.config.queries == 'anchors':
            content = self.query_content.expand(batch, -1, -1)
            return _Queries(content, None, self.query_boxes.sigmoid().expand(batch, -1, -1))
        pos = self.query_embed.expand(batch, -1, -1)
        return _Queries(torch.zeros_like(pos), pos, None)

    def _with_denoising(
        self, queries: _Queries, denoising: DenoisingQueries | None
    ) -> tuple[_Queries, Tensor | None]:
        if denoising is None:
            return queries, None
        assert queries.boxes is not None
        content = torch.cat((self.label_embed(denoising.labels), queries.content), 1)
        boxes = torch.cat((denoising.boxes, queries.boxes), 1)
        return _Queries(content, None, boxes), denoising.blocked(queries.content.shape[1])

    def _run(
        self, queries: _Queries, memory: Memory, blocked: Tensor | None, shift: Tensor | None
    ) -> list[LayerOutput]:
        content, boxes = queries.content, queries.boxes
        outputs = []
        for index, layer in enumerate(self.layers):
            reference = self._reference(index, boxes)
            pos = self._pos(queries.pos, reference)
            pos = pos if shift is None else pos + shift
            grid = None if reference is None else reference * memory.valid_ratio
            content = layer(content, pos, memory, blocked=blocked, boxes_cxcywh_grid=grid)
            output, boxes = self._predict(index, content, boxes, reference)
            outputs.append(output)
        return outputs

    def _reference(self, index: int, boxes: Tensor | None) -> Tensor | None:
        """Return the boxes a layer starts from: no gradient goes back, save to learned anchors."""
        if boxes is None or (index == 0 and self.config.queries == 'anchors'):
            return boxes
        return boxes.detach()

    def _pos(self, fixed: Tensor | None, reference: Tensor | None) -> Tensor:
        if fixed is not None:
            return fixed
        assert reference is not None
        return self.box_pos(sine_boxes(reference, self.config.d_model // 2).to(reference.dtype))

    def _predict(
        self, index: int, content: Tensor, boxes: Tensor | None, reference: Tensor | None
    ) -> tuple[LayerOutput, Tensor | None]:
        head = min(index, len(self.class_embed) - 1)
        normed = self.norm(content)
        logits, delta = self.class_embed[head](normed), self.bbox_embed[head](normed)
        if boxes is None or reference is None:
            return LayerOutput(logits, precise(delta).sigmoid()), None
        # Looking forward twice: the loss of this layer also reaches the layer before, while the
        # reference the next layer starts from carries no gradient (DINO, section 3.5).
        predicted = refine(boxes if index else reference, delta)
        return LayerOutput(logits, predicted), refine(reference, delta)


def _valid_ratio(padding: Tensor) -> Tensor:
    """Return (B, 1, 4): valid share of width, height, width, height of (B, H, W) padding."""
    valid = (~padding).float()
    height = valid[:, :, 0].mean(1)
    width = valid[:, 0, :].mean(1)
    ratio = torch.stack((width, height, width, height), -1)[:, None]
    return ratio.clamp(min=1e-6)  # an image that is all padding must not divide by zero


def _spread_boxes(count: int) -> Tensor:
    """Return (count, 4) logits of boxes on a grid, a tenth of the image wide."""
    side = math.ceil(math.sqrt(count))
    index = torch.arange(count)
    centre = (torch.stack((index % side, index // side), -1) + 0.5) / side
    boxes = torch.cat((centre, torch.full_like(centre, 0.1)), -1)
    return torch.logit(boxes, eps=1e-3)


def _class_heads(config: FusionDetrConfig, count: int) -> nn.ModuleList:
    heads = [nn.Linear(config.d_model, config.num_logits) for _ in range(count)]
    if config.class_loss != 'softmax':
        for head in heads:
            _start_quiet(head)
    return nn.ModuleList(heads)


def _start_quiet(classify: nn.Linear) -> None:
    """Start with low scores everywhere."""
    nn.init.constant_(classify.bias, PRIOR_LOGIT)


def fusion_strides(config: FusionDetrConfig) -> tuple[int, ...]:
    """Return the strides whose weights `FusionOutput` lists."""
    return STRIDES if config.num_scales == 4 else ()


__all__ = [
    'DenoisingOutput',
    'DenseOutput',
    'FusionDetr',
    'FusionDetrOutput',
    'LayerOutput',
    'Target',
    'fusion_strides',
]
