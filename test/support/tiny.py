"""Networks small enough to be made with random weights in every test."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thermal_perception.models.checkpoint import Checkpoint


@contextmanager
def small_backbones() -> Iterator[None]:
    """Make the smallest backbones of two kinds smaller still, within this process.

    For tests that need some network; its weights fit no network of another process.
    """
    from thermal_perception.models.backbones import convnext_v2, efficientnet_lite

    shape = convnext_v2._Shape((1, 1, 1, 1), 8)
    stages = tuple(
        efficientnet_lite._Stage(1, 3, stride, expand, channels)
        for stride, expand, channels in ((1, 1, 8), (2, 2, 8), (2, 2, 16), (2, 2, 24), (2, 2, 32))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(convnext_v2._SHAPES, 'convnextv2_atto', shape)
        patch.setattr(efficientnet_lite, '_STAGES', stages)
        yield


def lite(class_names: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a small network of the embedded kind."""
    return {
        'class_names': list(class_names),
        'backbone': 'efficientnet_lite0',
        'grid_stride': 16,
        'd_model': 32,
        'ffn_dim': 32,
        'encoder_layers': 1,
        'decoder_layers': 1,
        'num_queries': 12,
    }


def published(class_names: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a small network of the published kind, without dropout."""
    return {
        'class_names': list(class_names),
        'backbone': 'convnextv2_atto',
        'd_model': 32,
        'num_heads': 4,
        'ffn_dim': 64,
        'encoder_layers': 1,
        'decoder_layers': 2,
        'num_queries': 6,
        'dropout': 0.0,
    }


def e2e_mfd(class_names: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a small network for two cameras."""
    return {
        'class_names': list(class_names),
        'backbone': 'efficientnet_lite0',
        'pyramid_width': 16,
        'fusion': {
            'pixel_width': 4,
            'pixel_blocks': 1,
            'pixel_convs': 1,
            'width': 8,
            'decoder_widths': [8],
            'reduction': 2,
        },
        'detection': {
            'proposals': 12,
            'stages': 2,
            'num_heads': 2,
            'dynamic_width': 4,
            'ffn_dim': 16,
            'time_dim': 16,
            'roi_size': 3,
        },
    }


def rgbt(class_names: Sequence[str], **changes: Any) -> dict[str, Any]:
    """Return the settings of a small network that labels every pixel of two images."""
    return {
        'class_names': list(class_names),
        'encoder': 'convnextv2_atto',
        'decoder_width': 8,
        **changes,
    }


def emiff(**changes: Any) -> dict[str, Any]:
    """Return the settings of a small network of a vehicle and the roadside."""
    return {
        'class_names': ['car'],
        'backbone': 'efficientnet_lite0',
        'width': 8,
        'compression': [{'c': 4, 's': 0}, {'c': 4, 's': 1}],
        'grid': {'low_m': [0, -8, -3], 'high_m': [16, 8, 0.6], 'counts': [8, 8, 12]},
        'neck_widths': [8, 8, 16],
        **changes,
    }


@contextmanager
def emiff_checkpoint(settings: dict[str, Any], resize_to: tuple[int, int]) -> Iterator[Checkpoint]:
    """Give a checkpoint of random weights that finds much, with smaller backbones meanwhile."""
    import torch

    from thermal_perception.models.build import make_model
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.models.record import CheckpointInfo

    preprocess = {'resize_to': list(resize_to), 'pad_multiple': 32}
    info = CheckpointInfo('tiny', 'emiff', settings, preprocess, ('car',), score_threshold=0.0)
    torch.manual_seed(0)
    with small_backbones():
        model = make_model('emiff', settings, where='test')
        torch.nn.init.normal_(model.vehicle.head.classify.weight, std=2.0)
        yield Checkpoint(info, model.state_dict(), 'abcd', Path('memory'))
