"""The detection head: stages that look at regions of the pyramid and move the boxes of those.

Source: Chen et al., DiffusionDet, arXiv 2211.09788; its stage is that of Sun et al., Sparse R-CNN,
arXiv 2011.12450, with the time of the noise added.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.errors import ConfigError
from thermal_perception.models.attention import Attention
from thermal_perception.models.e2e_mfd.box_codes import make_box_code
from thermal_perception.models.e2e_mfd.diffusion import draw_noise, NoiseSchedule
from thermal_perception.models.precise import precise
from thermal_perception.models.roi_align import (
    FlatPyramid,
    flatten_pyramid,
    pyramid_roi_align,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig

_PRIOR_LOGIT = -math.log(99)  # sigmoid of it is 0.01: most proposals see no object
_LONGEST_WAVE = 10000.0


class StageOutput(NamedTuple):
    """Predictions of one stage.

    Attributes:
        logits: (B, N, K), for sigmoid.
        boxes: (B, N, V) float32, normalised to the unpadded image; V is 4, or 5 with an angle.
    """

    logits: Tensor
    boxes: Tensor


class DiffusionHead(nn.Module):
    """Moves noisy boxes onto objects, stage by stage.

    Attributes:
        config: its settings.
        code: conversions of its kind of boxes.
        schedule: levels of noise it was made for.
        noise: (2 S - 1, N, V) float32 that `sample` starts from, a constant of the config.
    """

    def __init__(self, config: DiffusionHeadConfig, width: int, num_classes: int) -> None:
        """Create the stages with random weights; width is that of the pyramid.

        Raises:
            ConfigError: if the width is odd, which the time's embedding cannot be.
        """
        super().__init__()
        if width % 2:
            raise ConfigError(f'width of the pyramid: found {width}, expected an even number')
        self.config = config
        self.code = make_box_code(config.boxes)
        self.schedule = NoiseSchedule.cosine(config.timesteps)
        self.noise: Tensor
        self.register_buffer('noise', draw_noise(config), persistent=False)
        self.time = nn.Sequential(
            nn.Linear(width, config.time_dim),
            nn.GELU(),
            nn.Linear(config.time_dim, config.time_dim),
        )
        self.stages = nn.ModuleList(
            Stage(config, width, num_classes) for _ in range(config.stages)
        )
        self._reset()

    def _reset(self) -> None:
        """Start Xavier-uniform; what each stage starts from see `Stage.start_quiet`."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for stage in self.stages:
            stage.start_quiet()  # type: ignore[operator]

    def forward(
        self,
        pyramid: Mapping[int, Tensor] | FlatPyramid,
        boxes: Tensor,
        t: Tensor,
        image_sizes: Tensor,
    ) -> tuple[StageOutput, ...]:
        """Refine boxes.

        Args:
            pyramid: stride to (B, C, H / stride, W / stride), or what `flatten_pyramid` made of
                it.
            boxes: (B, N, V) float32, normalised to the unpadded image.
            t: (B,) int64, time of the noise on the boxes, 0..T-1.
            image_sizes: (B, 2) float32 height and width of the unpadded images, pixels.

        Returns:
            The predictions of every stage. Boxes carry no gradient from one stage to the next.
        """
        flat = pyramid if isinstance(pyramid, FlatPyramid) else flatten_pyramid(pyramid)
        waves = sine_time(t, flat.cells.shape[-1])
        time = self.time(waves.to(flat.cells.dtype))  # [batch, time_dim]
        proposals: Tensor | None = None
        outputs = []
        for stage in self.stages:
            boxes = boxes.detach()
            regions = self._regions(flat, boxes, image_sizes)
            proposals, logits, deltas = stage(regions, proposals, time)
            boxes = self.code.refine(boxes, precise(deltas), image_sizes)
            outputs.append(StageOutput(logits, boxes))
        return tuple(outputs)

    def _regions(self, flat: FlatPyramid, boxes: Tensor, image_sizes: Tensor) -> Tensor:
        """Return (B, N, cells, C) features under (B, N, V) boxes, cells row by row."""
        features = pyramid_roi_align(
            flat,
            self.code.to_pixels(boxes, image_sizes),
            size=self.config.roi_size,
            sampling_ratio=self.config.sampling_ratio,
        )  # [batch, proposal, C, size, size]
        return features.flatten(3).mT


class Stage(nn.Module):
    """One refinement: proposals speak with each other, then each with its region."""

    def __init__(self, config: DiffusionHeadConfig, width: int, num_classes: int) -> None:
        """Create the stage; see `DiffusionHeadConfig`."""
        super().__init__()
        self.self_attn = Attention(width, config.num_heads)
        self.norm1 = nn.LayerNorm(width)
        self.dynamic = DynamicConv(width, config.dynamic_width, config.roi_size**2)
        self.norm2 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, config.ffn_dim)
        self.linear2 = nn.Linear(config.ffn_dim, width)
        self.norm3 = nn.LayerNorm(width)
        self.modulation = Modulation(width, config.time_dim)
        self.class_hidden = _hidden(width, config.class_layers)
        self.class_logits = nn.Linear(width, num_classes)
        self.box_hidden = _hidden(width, config.box_layers)
        self.box_deltas = nn.Linear(width, config.box_values)

    def start_quiet(self) -> None:
        """Start with low scores, features that time leaves alone, and boxes that stay in place.

        The published head starts with Xavier-uniform deltas too: they throw boxes about by their
        own size at every stage, which takes a short training long to unlearn.
        """
        nn.init.constant_(self.class_logits.bias, _PRIOR_LOGIT)
        nn.init.zeros_(self.box_deltas.weight)
        self.modulation.start_at_identity()

    def forward(
        self, regions: Tensor, proposals: Tensor | None, time: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refine.

        Args:
            regions: (B, N, cells, C) features under the boxes.
            proposals: (B, N, C) from the stage before; None at the first.
            time: (B, time_dim), embedded.

        Returns:
            Proposals (B, N, C), logits (B, N, K) and box deltas (B, N, V).
        """
        x = regions.mean(2) if proposals is None else proposals
        x = self.norm1(x + self.self_attn(x, x, x))
        x = self.norm2(x + self.dynamic(x, regions))
        x = self.norm3(x + self.linear2(F.relu(self.linear1(x))))
        timed = self.modulation(x, time)
        logits = self.class_logits(self.class_hidden(timed))
        return x, logits, self.box_deltas(self.box_hidden(timed))


class DynamicConv(nn.Module):
    """Every proposal filters its region with two 1x1 convolutions that it makes for itself."""

    def __init__(self, width: int, inner: int, cells: int) -> None:
        """Create the layer that makes the filters, and the one that reads the result."""
        super().__init__()
        self.inner = inner
        self.filters = nn.Linear(width, 2 * width * inner)
        self.norm1 = nn.LayerNorm(inner)
        self.norm2 = nn.LayerNorm(width)
        self.out = nn.Linear(cells * width, width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, proposals: Tensor, regions: Tensor) -> Tensor:
        """Return (B, N, C) of proposals (B, N, C) and their regions (B, N, cells, C)."""
        into, back = self.filters(proposals).chunk(2, dim=-1)  # [batch, proposal, C * inner]
        x = regions @ into.unflatten(-1, (-1, self.inner))
        x = F.relu(self.norm1(x), inplace=True)  # [batch, proposal, cells, inner]
        x = x @ back.unflatten(-1, (self.inner, -1))
        x = F.relu(self.norm2(x), inplace=True)  # [batch, proposal, cells, C]
        return F.relu(self.norm3(self.out(x.flatten(2))))


class Modulation(nn.Module):
    """Scales and shifts features by the time of the noise."""

    def __init__(self, width: int, time_dim: int) -> None:
        """Create the layer."""
        super().__init__()
        self.linear = nn.Linear(time_dim, 2 * width)

    def start_at_identity(self) -> None:
        """Leave features as they are until something is learned."""
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return (B, N, C) of features (B, N, C) and the embedded time (B, time_dim)."""
        scale, shift = self.linear(F.silu(time))[:, None].chunk(2, dim=-1)  # [batch, 1, C]
        return x * (scale + 1) + shift


def sine_time(t: Tensor, features: int) -> Tensor:
    """Return (B, features) float32: sines, then cosines, of (B,) times, from fast to slow."""
    half = features // 2
    index = torch.arange(half, dtype=torch.float32, device=t.device)
    frequencies = torch.exp(index * (-math.log(_LONGEST_WAVE) / max(half - 1, 1)))
    angles = t.float()[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def _hidden(width: int, layers: int) -> nn.Sequential:
    """Return normalised hidden layers of a branch."""
    return nn.Sequential(
        *(
            nn.Sequential(nn.Linear(width, width, bias=False), nn.LayerNorm(width), nn.ReLU())
            for _ in range(layers)
        )
    )
