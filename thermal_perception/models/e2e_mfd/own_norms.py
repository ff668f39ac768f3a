"""What one camera may have of its own in a backbone that it shares with another."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch
from torch import nn, Tensor
from torch.func import functional_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermal_perception.models.backbones import Backbone


class OwnNorms(nn.Module):
    """Scales and shifts channels of a shared backbone behind its trainable norms.

    Light and heat fill the channels of a network differently. Kernels are common to both cameras;
    the norm behind each has a gain and a shift for the second one: weight w becomes w (1 + gain),
    bias b becomes b + shift. Both start at zero, where the cameras share everything.

    Source: after Li et al., Adaptive Batch Normalization, arXiv 1603.04779, and Rebuffi et al.,
    Residual Adapters, arXiv 1705.08045; not part of E2E-MFD.
    """

    def __init__(self, backbone: Backbone) -> None:
        """Find the norms of a backbone, which is not kept."""
        super().__init__()
        sizes = dict(_norms(backbone))
        self._names = {name: name.replace('.', '/') for name in sizes}  # PyTorch refuses dots
        self.gain = nn.ParameterDict({self._names[n]: torch.zeros(s) for n, s in sizes.items()})
        self.shift = nn.ParameterDict({self._names[n]: torch.zeros(s) for n, s in sizes.items()})

    def forward(self, backbone: Backbone, x: Tensor) -> dict[int, Tensor]:
        """Run the backbone as the second camera sees through it."""
        changed = {}
        for name, key in self._names.items():
            weight, bias = f'{name}.weight', f'{name}.bias'
            changed[weight] = backbone.get_parameter(weight) * (1 + self.gain[key])
            changed[bias] = backbone.get_parameter(bias) + self.shift[key]
        maps: dict[int, Tensor] = functional_call(backbone, changed, (x,))
        return maps


def _norms(backbone: nn.Module) -> Iterator[tuple[str, torch.Size]]:
    """Yield name and size of the layers where a channel has a weight and a bias to train."""
    for name, layer in backbone.named_modules():
        weight: Any = getattr(layer, 'weight', None)
        bias: Any = getattr(layer, 'bias', None)
        both = isinstance(weight, nn.Parameter) and isinstance(bias, nn.Parameter)
        if both and weight.dim() == 1 and weight.requires_grad:
            yield name, weight.shape
