"""Small layers that several backbones share."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn, Tensor
import torch.nn.functional as F


class FrozenBatchNorm2d(nn.Module):
    """Batch norm with constant running statistics.

    Weight and bias are parameters: `requires_grad_(False)` gives DETR's fully frozen form,
    leaving them trainable lets a small data set shift and scale the channels. Names equal those
    of `nn.BatchNorm2d`, so published state dicts load.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        """Start as the identity; `affine` False keeps weight and bias as constants."""
        super().__init__()
        self.eps = eps
        self.running_mean: Tensor
        self.running_var: Tensor
        if affine:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
        else:
            self.register_buffer('weight', torch.ones(channels))
            self.register_buffer('bias', torch.zeros(channels))
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))

    def scale_shift(self) -> tuple[Tensor, Tensor]:
        """Return per-channel (C,) scale and shift of `y = x * scale + shift`."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        scale, shift = self.scale_shift()
        return x * scale[:, None, None] + shift[:, None, None]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.pop(prefix + 'num_batches_tracked', None)
        super()._load_from_state_dict(state_dict, prefix, *args)


Network = TypeVar('Network', bound=nn.Module)


def channels_last(model: Network) -> Network:
    """Lay the kernels of a network out channels last, in place, as CPUs and GPUs like them best.

    Those of 3D convolutions too, which `nn.Module.to` refuses.
    """
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() in formats:
            tensor.data = tensor.data.contiguous(memory_format=formats[tensor.dim()])
    return model


def masked_group_norm(x: Tensor, norm: nn.GroupNorm, valid: Tensor) -> Tensor:
    """Apply a group norm whose statistics leave padded cells out.

    Args:
        x: (B, C, H, W).
        norm: with weight and bias.
        valid: (B, 1, H, W), 1 where the cell counts and 0 where it is padded.

    Returns:
        (B, C, H, W); in valid cells the same as the norm of the unpadded part alone.
    """
    grouped = x.float().unflatten(1, (norm.num_groups, -1))  # [B, groups, C / groups, H, W]
    weight = valid[:, None].float()
    count = (weight.sum((2, 3, 4), keepdim=True) * grouped.shape[2]).clamp(min=1)
    mean = (grouped * weight).sum((2, 3, 4), keepdim=True) / count
    variance = ((grouped - mean).square() * weight).sum((2, 3, 4), keepdim=True) / count
    y = ((grouped - mean) * torch.rsqrt(variance + norm.eps)).flatten(1, 2)
    return (y * norm.weight[:, None, None] + norm.bias[:, None, None]).to(x.dtype)


def depthwise_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Convolve every channel of (B, C, H, W) by itself; `weight` is (C, 1, k, k).

    Under autocast on a CPU it keeps single precision while gradients are wanted: oneDNN has no
    kernels for theirs in half precision, which take ten times as long.
    """

    def convolve(x: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias, stride, padding, dilation, len(weight))

    on_cpu = x.device.type == 'cpu'
    if not (on_cpu and torch.is_grad_enabled() and torch.is_autocast_enabled('cpu')):
        return convolve(x)
    with torch.autocast('cpu', enabled=False):
        return convolve(x.float())


class FoldingConv2d(nn.Conv2d):
    """Convolution that can be called with another weight and bias, see `conv_bn`."""

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Convolve (B, C, H, W), optionally with replaced weight and bias (folded norm)."""
        weight = self.weight if weight is None else weight
        return self._conv_forward(x, weight, self.bias if bias is None else bias)


def conv_bn(
    conv: nn.Conv2d, bn: FrozenBatchNorm2d, x: Tensor, kernel: Tensor | None = None
) -> Tensor:
    """Apply a bias-free convolution and a frozen norm as one convolution.

    Folding the norm into the kernel on the fly saves one pass over the feature map, which is what
    a CPU waits for; gradients reach the kernel and the norm's weight and bias as usual. `kernel`
    stands for that of the convolution.
    """
    scale, shift = bn.scale_shift()
    weight = (conv.weight if kernel is None else kernel) * scale[:, None, None, None]
    if _is_matrix_product(conv, x):
        y = F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), shift)  # [batch, height, width, C]
        return y.permute(0, 3, 1, 2)
    return conv(x, weight, shift)


def _is_matrix_product(conv: nn.Conv2d, x: Tensor) -> bool:
    """Tell a 1x1 convolution of a channels-last map; PyTorch's own is slower on one thread.

    A compiler is told of a convolution, which it can do as it likes.
    """
    if torch.compiler.is_exporting():
        return False
    plain = conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.groups == 1
    return plain and x.is_contiguous(memory_format=torch.channels_last)
