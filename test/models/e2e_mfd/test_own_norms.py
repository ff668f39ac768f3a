"""Gains and shifts of the colour camera in a backbone that both cameras share."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.models.backbones import make_backbone
from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig, E2eMfdConfig, OrpptConfig
from thermal_perception.models.e2e_mfd.network import E2eMfd
from thermal_perception.models.e2e_mfd.own_norms import OwnNorms
from thermal_perception.models.layers import conv_bn, FoldingConv2d, FrozenBatchNorm2d

pytestmark = pytest.mark.usefixtures('small_backbones')

TINY = E2eMfdConfig(
    class_names=('person',),
    backbone='efficientnet_lite0',
    train_norm=True,
    own_norms=True,
    pyramid_width=16,
    fusion=OrpptConfig(pixel_width=4, pixel_blocks=1, pixel_convs=1, width=8, decoder_widths=(8,)),
    detection=DiffusionHeadConfig(
        proposals=4, stages=1, num_heads=2, dynamic_width=4, ffn_dim=16, time_dim=16
    ),
)


class OneLayer(nn.Module):
    """A backbone of one 1x1 convolution and one norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = FoldingConv2d(3, 1, 1, bias=False), FrozenBatchNorm2d(1, eps=0.0)

    def forward(self, x):
        return {1: conv_bn(self.conv, self.norm, x)}


@pytest.fixture
def layer():
    layer = OneLayer()
    nn.init.ones_(layer.conv.weight)
    layer.norm.weight.data.fill_(2.0)
    layer.norm.bias.data.fill_(10.0)
    layer.norm.running_mean.fill_(3.0)
    layer.norm.running_var.fill_(4.0)
    return layer


@pytest.fixture(scope='module')
def images():
    generator = torch.Generator().manual_seed(1)
    thermal = torch.rand(1, 1, 64, 64, generator=generator)
    return thermal, torch.rand(1, 3, 64, 64, generator=generator)


def test_norm_of_one_layer_by_hand(layer):
    norms = OwnNorms(layer)
    norms.gain['norm'].data.fill_(0.5)
    norms.shift['norm'].data.fill_(-4.0)
    x = torch.ones(1, 3, 1, 1)  # their sum, 3, is the mean: 0 behind the norm
    assert norms(layer, x)[1].item() == 10 - 4
    assert norms(layer, 2 * x)[1].item() == (6 - 3) / 2 * 2 * 1.5 + 10 - 4
    assert layer(2 * x)[1].item() == (6 - 3) / 2 * 2 + 10  # the other camera sees none of it


def test_they_hold_when_the_backbone_is_frozen_later(layer):
    norms = OwnNorms(layer)
    norms.shift['norm'].data.fill_(-4.0)
    layer.requires_grad_(False)
    assert norms(layer, torch.ones(1, 3, 1, 1))[1].item() == 10 - 4


def test_constant_norms_have_nothing_of_their_own(layer):
    layer.requires_grad_(False)
    assert not list(OwnNorms(layer).parameters())


@pytest.mark.parametrize('name', ['efficientnet_lite0', 'resnet18', 'convnextv2_atto'])
def test_every_trainable_norm_of_a_backbone_has_its_own(name):
    backbone = make_backbone(name, train_norm=True, freeze_early=True)
    norms = {
        name
        for name, module in backbone.named_modules()
        if 'Norm' in type(module).__name__ and all(p.requires_grad for p in module.parameters())
    }
    own = {k.replace('/', '.') for k in OwnNorms(backbone).gain}
    assert own
    assert own == norms


def test_at_the_start_a_network_answers_as_without(images):
    torch.manual_seed(0)
    own = E2eMfd(TINY).eval()
    shared = E2eMfd(dataclasses.replace(TINY, own_norms=False)).eval()
    left = shared.load_state_dict(own.state_dict(), strict=False)
    assert {name.split('.')[0] for name in left.unexpected_keys} == {'rgb_norms'}
    for stride, x in shared.features(*images).items():
        assert_close(own.features(*images)[stride], x)


def test_colour_image_alone_sees_them(images):
    torch.manual_seed(0)
    network = E2eMfd(TINY).eval()
    thermal, rgb = (network.features(*p) for p in ((images[0], None), (None, images[1])))
    for shift in network.rgb_norms.shift.values():
        nn.init.constant_(shift, 0.3)
    for stride, x in network.features(images[0], None).items():
        assert torch.equal(x, thermal[stride])
    for stride, x in network.features(None, images[1]).items():
        # Edges and blobs of stride 4 are constant, and common to both.
        assert ((x - rgb[stride]).abs().max() > 0.1) == (stride > 4)


def test_both_tasks_train_them(images):
    torch.manual_seed(0)
    network = E2eMfd(TINY)
    sum(x.square().mean() for x in network.features(*images).values()).backward()
    shared = {id(p) for p in network.shared_parameters()}
    for name, parameter in network.rgb_norms.named_parameters():
        assert id(parameter) in shared
        assert parameter.grad.abs().max() > 0, name
