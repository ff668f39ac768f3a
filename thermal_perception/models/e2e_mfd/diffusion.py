"""Noise on boxes: how much at which time, how to add it in training and take it away in use.

A box is V numbers in 0..1 (see `box_codes`), stretched to a signal in -s..s. Time t counts levels
of noise: at 0 there is next to none, at T - 1 nothing else.

Source: Chen et al., DiffusionDet, arXiv 2211.09788; cosine schedule: Nichol and Dhariwal,
arXiv 2102.09672; DDIM: Song et al., arXiv 2010.02502.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import Tensor

from thermal_perception.models.e2e_mfd.box_codes import make_box_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.models.e2e_mfd.box_codes import BoxCode
    from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig

_OFFSET = 0.008  # of the cosine schedule, so that the first level is not free of noise
_MOST_BETA = 0.999
_FILLER_STD = 1 / 6  # of proposals that stand beside the objects, in 0..1


@dataclass(frozen=True)
class NoiseSchedule:
    """Cosine schedule.

    Attributes:
        alpha_bar: share of the signal's variance that is left at each time, T values.
    """

    alpha_bar: tuple[float, ...]

    @classmethod
    def cosine(cls, timesteps: int) -> NoiseSchedule:
        """Return the schedule of T levels."""
        alpha_bar, left = [], 1.0
        for t in range(timesteps):
            decay = _cosine(t + 1, timesteps) / _cosine(t, timesteps)
            left *= 1 - min(1 - decay, _MOST_BETA)
            alpha_bar.append(left)
        return cls(tuple(alpha_bar))

    def add_noise(self, signal: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return signals at time t: z_t = sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) noise.

        Args:
            signal: (B, N, V) float32, without noise.
            noise: (B, N, V), standard normal.
            t: (B,) int64.
        """
        table = torch.tensor(self.alpha_bar, dtype=torch.float64, device=t.device)
        left = table[t][:, None, None]
        return left.sqrt().to(signal) * signal + (1 - left).sqrt().to(signal) * noise

    def step(self, signal: Tensor, clean: Tensor, noise: Tensor, t: int, s: int) -> Tensor:
        """Go from time t to an earlier s, by DDIM with eta = 1.

        Args:
            signal: (B, N, V) at time t.
            clean: (B, N, V), what the signal is thought to be without noise.
            noise: standard normal, broadcastable to the signal.
            t: where the signal is.
            s: where to go, below t.

        Returns:
            (B, N, V); distributed as `add_noise` would give it at s if `clean` is right.
        """
        left_t, left_s = self.alpha_bar[t], self.alpha_bar[s]
        variance = (1 - left_t / left_s) * (1 - left_s) / (1 - left_t)
        old = (signal - math.sqrt(left_t) * clean) / math.sqrt(1 - left_t)
        kept = math.sqrt(1 - left_s - variance)
        return math.sqrt(left_s) * clean + kept * old + math.sqrt(variance) * noise


def _cosine(t: int, timesteps: int) -> float:
    return math.cos((t / timesteps + _OFFSET) / (1 + _OFFSET) * math.pi / 2) ** 2


def sampling_times(timesteps: int, steps: int) -> tuple[int, ...]:
    """Return the S + 1 times of S steps, from T - 1 down to -1, which stands for the result."""
    return tuple(timesteps * step // steps - 1 for step in range(steps, -1, -1))


def draw_noise(config: DiffusionHeadConfig) -> Tensor:
    """Draw all the noise that sampling needs, the same on every call.

    Returns:
        (2 S - 1, N, V) float32 on the CPU: the start, then two for each further step.
    """
    generator = torch.Generator('cpu').manual_seed(config.seed)
    shape = (2 * config.steps - 1, config.proposals, config.box_values)
    return torch.randn(shape, generator=generator, device='cpu')


def to_signal(unit: Tensor, scale: float) -> Tensor:
    """Stretch numbers in 0..1 to -scale..scale."""
    return (2 * unit - 1) * scale


def from_signal(signal: Tensor, scale: float) -> Tensor:
    """Shrink a signal to 0..1; what lies beyond -scale..scale is cut."""
    return (signal.clamp(-scale, scale) / scale + 1) / 2


class NoisedProposals(NamedTuple):
    """Where the head starts in training.

    Attributes:
        boxes: (B, N, V) float32, normalised, noisy.
        t: (B,) int64, how noisy.
    """

    boxes: Tensor
    t: Tensor


def noised_proposals(
    boxes: Sequence[Tensor],
    config: DiffusionHeadConfig,
    schedule: NoiseSchedule,
    generator: torch.Generator | None = None,
) -> NoisedProposals:
    """Bring the objects of every image to N proposals and add noise of a random time.

    Args:
        boxes: per image (n, V) float32, normalised to the unpadded image; n may be 0 or above N.
        config: of the head.
        schedule: of T levels.
        generator: of the noise, on any device; None takes the default one of the boxes' device.
    """
    code = make_box_code(config.boxes)
    device = boxes[0].device if generator is None else generator.device
    random = _Random(generator, device)
    unit = torch.stack([_fill(code, b.to(device), config.proposals, random) for b in boxes])
    t = random.integers(config.timesteps, len(boxes))
    signal = to_signal(unit, config.signal_scale)
    noisy = schedule.add_noise(signal, random.normal(*unit.shape), t)
    start = code.from_unit(from_signal(noisy, config.signal_scale))
    return NoisedProposals(start.to(boxes[0].device), t.to(boxes[0].device))


@dataclass(frozen=True)
class _Random:
    """Draws from one generator on one device."""

    generator: torch.Generator | None
    device: torch.device

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def integers(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.generator, device=self.device)

    def order(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self.generator, device=self.device)


def _fill(code: BoxCode, boxes: Tensor, count: int, random: _Random) -> Tensor:
    """Return (count, V) in 0..1: the (n, V) boxes, or a random choice of them, and fillers.

    Where there is no object, one box of the whole image stands in for them, so that the head also
    sees empty images with something that is not noise alone.
    """
    unit = code.to_unit(boxes) if len(boxes) else boxes.new_tensor([code.full_image])
    if len(unit) > count:
        return unit[random.order(len(unit))[:count]]
    filler = 0.5 + _FILLER_STD * random.normal(count - len(unit), code.values)
    return torch.cat((unit, filler.clamp(0, 1)))
