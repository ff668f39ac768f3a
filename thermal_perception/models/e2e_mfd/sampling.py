"""From noise to boxes: the head in a few steps of DDIM.

All images start from the same noise and take the same noise on their way, so that what is detected
depends on nothing but the image. Nothing branches on values: the loop traces and exports.

Source: Chen et al., DiffusionDet, arXiv 2211.09788, section 3.4. Where its released code differs
we follow the paper: the last step belongs to the ensemble, and renewal is per image.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import Tensor

from thermal_perception.models.e2e_mfd.diffusion import from_signal, sampling_times, to_signal
from thermal_perception.models.roi_align import flatten_pyramid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.models.e2e_mfd.head import DiffusionHead, StageOutput
    from thermal_perception.models.roi_align import FlatPyramid


class SampledBoxes(NamedTuple):
    """What sampling finds; M = N, or S * N in an ensemble of S steps.

    Attributes:
        logits: (B, M, K), for sigmoid.
        boxes: (B, M, V) float32, normalised to the unpadded image; an object may come repeatedly.
    """

    logits: Tensor
    boxes: Tensor


def sample(
    head: DiffusionHead,
    pyramid: Mapping[int, Tensor],
    image_sizes: Tensor,
    *,
    noise: Tensor | None = None,
) -> SampledBoxes:
    """Detect.

    Args:
        head: says in its config how many steps, and whether all of them count.
        pyramid: stride to (B, C, H / stride, W / stride).
        image_sizes: (B, 2) float32 height and width of the unpadded images, pixels.
        noise: (2 S - 1, N, V) as of `draw_noise`; None takes the head's own.
    """
    config, flat = head.config, flatten_pyramid(pyramid)
    noise = (head.noise if noise is None else noise).to(image_sizes)
    signal = noise[0].expand(len(image_sizes), -1, -1)
    times = sampling_times(config.timesteps, config.steps)
    found = []
    for index, (t, following) in enumerate(pairwise(times)):
        output = _denoise(head, flat, signal, t, image_sizes)
        found.append(output)
        if following >= 0:
            signal = _advance(head, signal, output, noise[2 * index + 1 :], t, following)
    return _together(found if config.ensemble else found[-1:])


def _denoise(
    head: DiffusionHead, flat: FlatPyramid, signal: Tensor, t: int, image_sizes: Tensor
) -> StageOutput:
    """Return what the last stage makes of the (B, N, V) signal of time t."""
    boxes = head.code.from_unit(from_signal(signal, head.config.signal_scale))
    time = torch.full((len(signal),), t, dtype=torch.int64, device=signal.device)
    output: StageOutput = head(flat, boxes, time, image_sizes)[-1]
    return output


def _advance(
    head: DiffusionHead, signal: Tensor, output: StageOutput, noise: Tensor, t: int, following: int
) -> Tensor:
    """Return the (B, N, V) signal of the time that follows; poor proposals start anew.

    Args:
        head: with its schedule.
        signal: (B, N, V) of time t.
        output: what the head made of it.
        noise: (2 or more, N, V), for the step and for what starts anew.
        t: now.
        following: next, below t.
    """
    clean = to_signal(head.code.to_unit(output.boxes), head.config.signal_scale)
    stepped = head.schedule.step(signal, clean, noise[0], t, following)
    score = output.logits.sigmoid().amax(-1, keepdim=True)  # [batch, proposal, 1]
    return torch.where(score > head.config.renewal_score, stepped, noise[1])


def _together(found: list[StageOutput]) -> SampledBoxes:
    return SampledBoxes(
        torch.cat([output.logits for output in found], dim=1),
        torch.cat([output.boxes for output in found], dim=1),
    )
