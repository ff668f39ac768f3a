"""The training loss of RGB-T segmentation: label maps of the main head and of its helpers.

Source: "Frequency-Guided Fusion For RGB-Thermal Semantic Segmentation", arXiv 2605.26273, and its
released code, without the faults of its Dice and Lovász terms.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thermal_perception.errors import ConfigError
from training.rgbt_segmentation.label_terms import (
    boundary_loss,
    cross_entropy,
    dice_loss,
    focal_loss,
    hard_cross_entropy,
    Known,
    Lovasz,
    lovasz_loss,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from thermal_perception.models.rgbt_segmentation.network import RgbtSegmentationOutput

_LARGEST_CLASS_WEIGHT = 10.0
_CLASS_WEIGHT_RANGE = (0.5, 15.0)


@dataclass(frozen=True)
class SegmentationLossConfig:
    """Weights of the terms; the defaults are the published loss.

    Attributes:
        ce_weight: of the class-weighted cross-entropy of the main logits.
        dice_weight: of the soft Dice term.
        lovasz_weight: of the Lovász term.
        lovasz: `standard`, or `reference`: what the released code computes under that name.
        class_weights: of the classes in label order, see `class_weights`; empty means 1.
        count_classes: take `class_weights` from the pixels of the training set instead.
        boosts: factors on the counted weights of single classes, by name; published for MFNet:
            car_stop 1.4, guardrail 2.0, bump 1.3, for PST900: hand_drill 1.3.
        auxiliary_start: weight of the helpers (auxiliary and deep heads) in epoch 0.
        auxiliary_end: weight of the helpers from `auxiliary_epochs` on.
        auxiliary_epochs: epochs over which it changes linearly.
        deep_weights: of each deep head among the helpers, finest level first.
        hard_weight: alternative loss: of the cross-entropy of hard pixels; published 0.1.
        boundary_weight: alternative loss: of the distance between edges; published 0.1.
        focal_weight: alternative loss: of the focal term of one class.
        focal_label: that class.
    """

    ce_weight: float = 0.4
    dice_weight: float = 0.3
    lovasz_weight: float = 0.3
    lovasz: Lovasz = 'standard'
    class_weights: tuple[float, ...] = ()
    count_classes: bool = False
    boosts: dict[str, float] = field(default_factory=dict)
    auxiliary_start: float = 0.3
    auxiliary_end: float = 0.05
    auxiliary_epochs: int = 80
    deep_weights: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4)
    hard_weight: float = 0.0
    boundary_weight: float = 0.0
    focal_weight: float = 0.0
    focal_label: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in (f.name for f in fields(self) if f.name.endswith('_weight')):
            if getattr(self, name) < 0:
                raise ConfigError(f'{name}: found {getattr(self, name)}, expected at least 0')
        if any(not weight > 0 for weight in self.class_weights):
            raise ConfigError(f'class_weights: found {self.class_weights}, expected all above 0')
        if self.auxiliary_epochs < 1:
            raise ConfigError(
                f'auxiliary_epochs: found {self.auxiliary_epochs}, expected at least 1'
            )

    def auxiliary_weight(self, epoch: float) -> float:
        """Return lambda, the weight of all helpers, in an epoch counted from 0."""
        done = min(epoch / self.auxiliary_epochs, 1.0)
        return self.auxiliary_start + done * (self.auxiliary_end - self.auxiliary_start)


class SegmentationCriterion:
    """Compares the logits of all heads with a label image."""

    def __init__(self, num_classes: int, config: SegmentationLossConfig) -> None:
        """Keep the weights.

        Raises:
            ConfigError: if class weights or the focal class do not fit `num_classes`.
        """
        weights = config.class_weights or (1.0,) * num_classes
        if len(weights) != num_classes:
            raise ConfigError(f'class_weights: found {len(weights)}, expected {num_classes}')
        if not 0 <= config.focal_label < num_classes:
            raise ConfigError(
                f'focal_label: found {config.focal_label}, expected 0..{num_classes - 1}'
            )
        self.config = config
        self._class_weights = torch.tensor(weights)

    def __call__(
        self, output: RgbtSegmentationOutput, masks: Tensor, *, epoch: float
    ) -> dict[str, Tensor]:
        """Return the weighted terms by name, those without weight left out; their sum is the loss.

        Args:
            output: of the network while it trains.
            masks: (B, H, W) uint8 labels, 255 where unknown or padded, which changes nothing.
            epoch: counted from 0, for the weight of the helpers.
        """
        labels = masks.long()
        self._class_weights = self._class_weights.to(labels.device)
        terms = self._main(output.logits.float(), labels)
        helpers = self.config.auxiliary_weight(epoch)
        if output.auxiliary is not None:
            terms['auxiliary'] = helpers * self._cross_entropy(output.auxiliary, labels)
        if output.deep:
            terms['deep'] = helpers * self._deep(output.deep, labels)
        return terms

    def _main(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        c, weights = self.config, self._class_weights
        known = Known.of(logits, labels)
        makers: dict[str, tuple[float, Callable[[], Tensor]]] = {
            'ce': (c.ce_weight, lambda: cross_entropy(logits, labels, weights)),
            'dice': (c.dice_weight, lambda: dice_loss(known, weights)),
            'lovasz': (c.lovasz_weight, lambda: lovasz_loss(known, c.lovasz)),
            'hard': (c.hard_weight, lambda: hard_cross_entropy(logits, labels, weights)),
            'boundary': (c.boundary_weight, lambda: boundary_loss(logits, labels)),
            'focal': (c.focal_weight, lambda: focal_loss(known, c.focal_label)),
        }
        return {name: weight * make() for name, (weight, make) in makers.items() if weight}

    def _deep(self, deep: Sequence[Tensor], labels: Tensor) -> Tensor:
        losses = [self._cross_entropy(logits, labels) for logits in deep]
        weights = losses[0].new_tensor(self.config.deep_weights)
        if len(losses) != len(weights):
            raise ConfigError(f'deep_weights: found {len(weights)}, expected {len(losses)}')
        return (weights * torch.stack(losses)).sum()

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits.float(), labels, self._class_weights)


def class_weights(
    pixels: Sequence[int], boosts: Mapping[int, float] | None = None
) -> tuple[float, ...]:
    """Return class weights from how often each class is seen.

    The rarest class weighs 10 and the others in inverse proportion to their pixels, within
    0.5..15. A class that is never seen weighs 1; it has no pixel to count.

    Args:
        pixels: of each class in the raw label images of the training set.
        boosts: factors on single classes, by label, applied last.

    Raises:
        ConfigError: if no class is seen.
    """
    seen = [count for count in pixels if count > 0]
    if not seen:
        raise ConfigError(f'pixels: found {list(pixels)}, expected a class with some')
    low, high = _CLASS_WEIGHT_RANGE
    # N / (K n), divided by its largest value, is the rarest count over n.
    weights = [
        min(max(_LARGEST_CLASS_WEIGHT * min(seen) / n, low), high) if n else 1.0 for n in pixels
    ]
    return tuple(w * (boosts or {}).get(label, 1.0) for label, w in enumerate(weights))
