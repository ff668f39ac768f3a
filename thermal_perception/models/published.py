"""Start from published weights: released DETR checkpoints, torchvision ResNet, timm ConvNeXt V2.

Source of the names: Carion et al., DETR, arXiv 2005.12872, released code; torchvision; timm.
"""

from __future__ import annotations

from dataclasses import dataclass
import pickle
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file
import torch

from thermal_perception.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from thermal_perception.models.fusion_detr import FusionDetr

_BACKBONE = 'backbone.0.body.'
_DETR_NAMES = {
    'transformer.encoder.layers.': 'encoder.',
    'transformer.decoder.': 'decoder.',
    'input_proj.': 'neck.projections.32.conv.',
    'query_embed.weight': 'decoder.query_embed',
    'class_embed.': 'decoder.class_embed.0.',
    'bbox_embed.': 'decoder.bbox_embed.0.',
}
_CLASS_HEAD = 'decoder.class_embed.'
_QUERIES = 'decoder.query_embed'
# What a Fusion DETR has and no DETR: these keep their start.
_ADDED = ('neck.projections.', 'neck.c6.', 'neck.fusion.')


@dataclass(frozen=True)
class LoadReport:
    """What became of a published state dict.

    Attributes:
        loaded: names of the model's tensors that were taken over.
        skipped: names of published tensors left aside, because their shape differs or the model
            has no such part.
        fresh: names of the model's tensors that keep their random start.
    """

    loaded: tuple[str, ...]
    skipped: tuple[str, ...]
    fresh: tuple[str, ...]


def read_published(path: Path) -> dict[str, Tensor]:
    """Read a published state dict from a PyTorch or safetensors file.

    Only tensors are unpickled. A wrapping `model` or `state_dict` entry is taken off.

    Raises:
        CheckpointError: if the file is missing, damaged or holds anything but tensors.
    """
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f'{path}: cannot be read as published weights: {error}') from error
    for wrapper in ('model', 'state_dict'):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not _all_tensors(content):
        raise CheckpointError(f'{path}: found no state dict, expected names with tensors')
    return content


def load_backbone_state_dict(model: FusionDetr, state: Mapping[str, Tensor]) -> None:
    """Load published ImageNet weights into the backbone, strictly; a classifier is left out.

    Fits torchvision's ResNet, timm's ConvNeXt V2 and the PyTorch EfficientNet-Lite0, each for the
    backbone of that name. With `stem='sum'` the stem is folded to one channel.

    Raises:
        CheckpointError: if names or shapes do not fit.
    """
    try:
        model.backbone.load_state_dict(model.backbone.adapt_state_dict(state))
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f'backbone {model.config.backbone}: published weights do not fit: {error}'
        ) from error


def load_detr_state_dict(
    model: FusionDetr, state: Mapping[str, Tensor], *, c5_weight: float = 0.0
) -> LoadReport:
    """Load the state dict of a released DETR (R50, R50-DC5 or of the same shape).

    DETR's input projection becomes the projection of C5. The class head is skipped when the
    classes differ, the queries when their number does or when the model has none of that kind.

    Args:
        model: with `queries='learned'` or not, and any fusion.
        state: names of DETR's released code, see `read_published`.
        c5_weight: start of w for C5; 2..4 lets a fusing network begin near 'upsampled C5', which
            the transformer knows. 0 keeps the average of all scales.

    Raises:
        CheckpointError: if anything else is missing or of another shape.
    """
    offered = _to_our_names(model, state)
    own = model.state_dict()
    fits = {k: v for k, v in offered.items() if k in own and own[k].shape == v.shape}
    _check_misfits(model, offered, fits)
    model.load_state_dict(fits, strict=False)
    if c5_weight and model.config.num_scales == 4:
        with torch.no_grad():
            model.neck.fusion.w.copy_(torch.tensor([0.0, 0.0, c5_weight, 0.0]))
    return LoadReport(
        tuple(sorted(fits)),
        tuple(sorted(offered.keys() - fits.keys())),
        tuple(sorted(own.keys() - fits.keys())),
    )


def _to_our_names(model: FusionDetr, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    body = {k[len(_BACKBONE) :]: v for k, v in state.items() if k.startswith(_BACKBONE)}
    if 'conv1.weight' not in body:
        raise CheckpointError(
            f'DETR weights: found no {_BACKBONE}conv1.weight, expected the names of the released '
            'DETR code'
        )
    named = {f'backbone.{k}': v for k, v in model.backbone.adapt_state_dict(body).items()}
    for name, value in state.items():
        for theirs, ours in _DETR_NAMES.items():
            if name.startswith(theirs):
                named[ours + name[len(theirs) :]] = value
    return {k: v for k, v in named.items() if not k.endswith('num_batches_tracked')}


def _check_misfits(
    model: FusionDetr, offered: Mapping[str, Tensor], fits: Mapping[str, Tensor]
) -> None:
    own = model.state_dict()
    may_differ = (_CLASS_HEAD, _QUERIES)
    wrong = [k for k in offered.keys() - fits.keys() if not k.startswith(may_differ)]
    lacking = [
        k for k in own.keys() - offered.keys() if not k.startswith((*may_differ, *_ADDED))
    ]
    if wrong or lacking:
        examples = ', '.join(sorted(wrong + lacking)[:4])
        raise CheckpointError(
            f'DETR weights: {len(wrong)} tensors do not fit this model and {len(lacking)} of its '
            f'tensors are missing ({examples}, ...): expected a ResNet DETR with the same '
            'transformer; only class head and queries may differ'
        )


def _all_tensors(content: Mapping[object, object]) -> bool:
    return bool(content) and all(isinstance(v, torch.Tensor) for v in content.values())
