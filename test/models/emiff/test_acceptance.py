"""Shapes and counts of the published network, on the meta device."""

from __future__ import annotations

import pytest
import torch

from thermal_perception.models.emiff.anchors import make_anchors
from thermal_perception.models.emiff.compression import Compressor, Decompressor
from thermal_perception.models.emiff.config import CompressionLevel, EmiffConfig, GridConfig
from thermal_perception.models.emiff.lifting import View
from thermal_perception.models.emiff.network import Message
from thermal_perception.models.layers import FrozenBatchNorm2d


def numbers(module):
    """Count weights, also those of frozen norms, which are buffers here."""
    frozen = [m for m in module.modules() if isinstance(m, FrozenBatchNorm2d)]
    constant = sum(m.weight.numel() + m.bias.numel() for m in frozen)
    return sum(p.numel() for p in module.parameters()) + constant


@pytest.mark.parametrize(
    ('part', 'count'),
    [
        ('vehicle.encoder.backbone', 23_508_032),
        ('infrastructure.encoder.backbone', 23_508_032),
        ('vehicle.encoder.pyramid', 393_728),
        ('infrastructure.encoder.pyramid', 393_728),
        ('vehicle.correct_ego', 708_296),
        ('vehicle.correct_infra', 708_296),
        ('vehicle.rebuild', 296_448),
        ('infrastructure.compress', 591),
        ('vehicle.decompress', 37_840),
        ('vehicle.camera_mask', 54_816),
        ('vehicle.neck', 7_523_328),
        ('vehicle.head', 5_140),
        ('', 57_138_275),
    ],
)
def test_number_of_parameters(published, part, count):
    assert numbers(published.get_submodule(part)) == count


def test_parameters_of_compression_that_keeps_everything():
    level = CompressionLevel(1, 0)
    assert numbers(Compressor(64, level)) == 37_056
    assert numbers(Decompressor(64, level)) == 74_112


@pytest.mark.parametrize('batch', [1, 2])
def test_shapes(published, batch):
    image = torch.empty(batch, 3, 544, 960, device='meta')
    view = View(torch.empty(batch, 3, 3, device='meta'), torch.empty(batch, 4, 4, device='meta'))
    level = published.config.compression[0]
    vehicle = published.vehicle
    pyramid = vehicle.encoder(image)
    assert [tuple(x.shape) for x in pyramid] == [
        (batch, 64, 136, 240), (batch, 64, 68, 120), (batch, 64, 34, 60), (batch, 64, 17, 30)
    ]  # fmt: skip
    (z,) = published.infrastructure(image, level)
    assert z.shape == (batch, 1, 68, 120)
    rebuilt = vehicle.rebuild(vehicle.decompress['256x'](z))
    assert [x.shape for x in rebuilt] == [x.shape for x in pyramid]
    assert vehicle.correct_ego(pyramid).shape == (batch, 4, 64, 136, 240)
    assert vehicle.correct_infra(rebuilt).shape == (batch, 4, 64, 136, 240)
    features = torch.empty(batch, 64, 136, 240, device='meta')
    volume = vehicle.lifting(features, vehicle.lifting.lookup(view, (544, 960), (136, 240)))
    assert volume.shape == (batch, 64, 248, 288, 12)
    assert volume.numel() * 4 == batch * 219_414_528
    assert vehicle.neck(volume).shape == (batch, 256, 288, 248)
    output = vehicle(image, view, Message((z,), level, view, (544, 960)))
    assert [tuple(x.shape[1:]) for x in output.head] == [
        (2, 288, 248), (14, 288, 248), (4, 288, 248)
    ]  # fmt: skip
    assert output.scale_weights.shape == (batch, 4)


# Spec sections 5 and 12.1: channels, cells and bytes in float32, float16 and int8.
@pytest.mark.parametrize(
    ('level', 'ratio', 'shape', 'sizes'),
    [
        ((1, 0), 1, (64, 136, 240), (8_355_840, 4_177_920, 2_088_960)),
        ((4, 0), 4, (16, 136, 240), (2_088_960, 1_044_480, 522_240)),
        ((16, 0), 16, (4, 136, 240), (522_240, 261_120, 130_560)),
        ((64, 0), 64, (1, 136, 240), (130_560, 65_280, 32_640)),
        ((64, 1), 256, (1, 68, 120), (32_640, 16_320, 8_160)),
        ((64, 2), 1024, (1, 34, 60), (8_160, 4_080, 2_040)),
        ((64, 3), 4096, (1, 17, 30), (2_040, 1_020, 510)),
        ((64, 4), 16384, (1, 9, 15), (540, 270, 135)),
    ],
)
def test_what_is_sent(level, ratio, shape, sizes):
    level = CompressionLevel(*level)
    height = 576 if level.s == 4 else 544
    with torch.device('meta'):
        z = Compressor(64, level)(torch.empty(1, 64, height // 4, 240))
        back = Decompressor(64, level)(z)
    assert level.ratio == ratio
    assert tuple(z.shape[1:]) == shape
    kinds = (torch.float32, torch.float16, torch.uint8)
    assert tuple(z.to(k).numel() * z.to(k).itemsize for k in kinds) == sizes
    assert tuple(back.shape[1:]) == (64, height // 4, 240)


def test_anchors():
    anchors = make_anchors(EmiffConfig())
    assert anchors.shape == (288, 248, 2, 7)
    assert anchors[..., 0].numel() == 142_848
    assert anchors[0, 0, :, 6].tolist() == pytest.approx([0.0, 1.57])
    assert (anchors[..., 2] == -1.78).all() or anchors[..., 2].unique().tolist() == pytest.approx(
        [-1.78]
    )
    centre_z = anchors[..., 2] + anchors[..., 5] / 2
    assert centre_z.unique().tolist() == pytest.approx([-1.0])
    assert anchors[0, 0, 0, :2].tolist() == pytest.approx([0.18581, -39.54222], abs=1e-5)
    assert anchors[-1, -1, 0, :2].tolist() == pytest.approx([91.97419, 39.54222], abs=1e-5)


def test_square_preset_has_square_cells():
    grid = GridConfig(counts=(288, 248, 12))
    assert grid.step_m == pytest.approx((0.32, 0.32, 0.32))
    assert GridConfig().step_m == pytest.approx((0.37161, 0.27556, 0.32), abs=1e-5)
