"""Small networks for the tests of the models."""

from __future__ import annotations

import pytest
from tiny import published, small_backbones
import torch

from thermal_perception.models.build import make_model
from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.models.fusion import SelectiveFusion

TINY = published(('person', 'car'))


@pytest.fixture(autouse=True)
def steady(one_thread_and_seed):
    """Every test here computes."""


@pytest.fixture
def tiny_model():
    """Return a function that builds a small Fusion DETR with random weights, not training."""

    def make(**changes):
        torch.manual_seed(0)
        with small_backbones():
            return make_model('fusion_detr', {**TINY, **changes}, where='test').eval()

    return make


@pytest.fixture
def full_model():
    """Return a function that builds the published system as shapes without values."""

    def make(**changes):
        with torch.device('meta'):
            return make_model('fusion_detr', changes, where='test').eval()

    return make


@pytest.fixture
def make_fusion():
    """Return a function that builds the fusion module alone, by default with random weights."""

    def make(*, randomise=True, d_model=32, **changes):
        config = FusionDetrConfig(d_model=d_model, **changes)
        fusion = SelectiveFusion(config)
        if randomise:
            with torch.no_grad():
                for parameter in fusion.parameters():
                    parameter.normal_(std=0.5)
        return fusion

    return make


@pytest.fixture
def maps():
    """Return four aligned maps (2, 32, 6, 5)."""
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(2, 32, 6, 5, generator=generator) for _ in range(4)]


@pytest.fixture
def boost():
    """Return a function that makes the effect of random biases and embeddings visible."""

    def apply(model):
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            fusion = model.neck.fusion
            fusion.query.weight.normal_(std=0.3, generator=generator)
            fusion.w.normal_(generator=generator)
            if fusion.beta is not None:
                fusion.beta.normal_(generator=generator)
        return model

    return apply


def _linear(out, channels):
    return {'weight': (out, channels), 'bias': (out,)}


def _norm(channels):
    return {'weight': (channels,), 'bias': (channels,)}


def _attention(d):
    return {
        'in_proj_weight': (3 * d, d),
        'in_proj_bias': (3 * d,),
        'out_proj.weight': (d, d),
        'out_proj.bias': (d,),
    }


def _resnet50_shapes():
    """List the tensors of torchvision's ResNet-50, without the classifier."""
    shapes = {'conv1.weight': (64, 3, 7, 7)}

    def batch_norm(name, channels):
        for part in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'{name}.{part}'] = (channels,)

    batch_norm('bn1', 64)
    channels = 64
    for stage, (depth, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512)), start=1):
        for block in range(depth):
            name = f'layer{stage}.{block}'
            plan = [(width, channels, 1), (width, width, 3), (4 * width, width, 1)]
            for index, (out, into, kernel) in enumerate(plan, start=1):
                shapes[f'{name}.conv{index}.weight'] = (out, into, kernel, kernel)
                batch_norm(f'{name}.bn{index}', out)
            if block == 0:
                shapes[f'{name}.downsample.0.weight'] = (4 * width, channels, 1, 1)
                batch_norm(f'{name}.downsample.1', 4 * width)
            channels = 4 * width
    return shapes


def _detr_shapes(d=256, ffn=2048, layers=6, queries=100, logits=92):
    shapes = {f'backbone.0.body.{k}': v for k, v in _resnet50_shapes().items()}

    def add(prefix, tensors):
        shapes.update({f'{prefix}.{k}': v for k, v in tensors.items()})

    for n in range(layers):
        for kind, norms in (('encoder', 2), ('decoder', 3)):
            name = f'transformer.{kind}.layers.{n}'
            add(f'{name}.self_attn', _attention(d))
            add(f'{name}.linear1', _linear(ffn, d))
            add(f'{name}.linear2', _linear(d, ffn))
            for norm in range(1, norms + 1):
                add(f'{name}.norm{norm}', _norm(d))
        add(f'transformer.decoder.layers.{n}.multihead_attn', _attention(d))
    add('transformer.decoder.norm', _norm(d))
    add('class_embed', _linear(logits, d))
    for n, (out, into) in enumerate(((d, d), (d, d), (4, d))):
        add(f'bbox_embed.layers.{n}', _linear(out, into))
    shapes['query_embed.weight'] = (queries, d)
    add('input_proj', {'weight': (d, 2048, 1, 1), 'bias': (d,)})
    return shapes


@pytest.fixture
def detr_r50_state():
    """Return a stock DETR-R50 COCO state dict: names and shapes of the release, no values."""
    return {k: torch.empty(v, device='meta') for k, v in _detr_shapes().items()}
