"""Preparing where the network runs: hand-worked numbers, and the same tensors as on the host."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
import torch
from torch import nn

from thermal_perception.preprocess import (
    PairPreprocess,
    Preprocess,
    PreprocessConfig,
    RawPairPreprocess,
    RawPreprocess,
    TakesRaw,
    THERMAL_TRANSFORMS,
    ThermalTransformConfig,
)
from thermal_perception.preprocess.image import resize
from thermal_perception.preprocess.on_device import resized, stretched
from thermal_perception.types import Frame, FrameSet

PARAMS = {
    'fullscale': {'bits': 16},
    'window': {'low': 20_000.3, 'high': 50_000.7},
    'percentile': {'dead_values': (0, 65535)},
    'dataset_window': {'low': 20.3, 'high': 200.7},
}
KINDS = [
    (name, dtype)
    for name in THERMAL_TRANSFORMS
    for dtype in (np.uint8, np.uint16, np.float32)
    if name != 'identity8' or dtype == np.uint8
]
SHAPES = [
    pytest.param((64, 80), {'pad_multiple': 1}, id='as it is'),
    pytest.param((50, 70), {'pad_multiple': 32}, id='padded'),
    pytest.param((64, 80), {'short_side': 103, 'pad_multiple': 32}, id='enlarged'),
    pytest.param((99, 131), {'short_side': 37, 'pad_multiple': 32}, id='shrunk'),
    pytest.param((1, 90), {'max_long_side': 45, 'pad_multiple': 8}, id='one row'),
]


class Gives(nn.Module):
    """A network that gives what it is given."""

    def forward(self, *images, **options):
        """Return all of it."""
        return images, options


def thermal(size, dtype=np.uint16, seed=0):
    """Return noise over all the range of a type, also above 32767, with two dead values."""
    image = np.random.default_rng(seed).uniform(0, 65535, size)
    image.flat[[0, -1]] = 0, 65535
    image = image / 257 if dtype == np.uint8 else image
    return Frame(image.astype(dtype), 5, 'thermal_optical', 'thermal')


def colour(size, seed=0):
    """Return coloured noise."""
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    return Frame(image, 5, 'rgb_optical', 'rgb', 'bgr8')


def on_device(config, raw, **options):
    """Return what a network gets."""
    return TakesRaw(Gives(), config)(*raw.inputs, **options)[0]


def assert_same(found, expected, atol):
    """Compare what two networks got."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            assert_allclose(one, other, rtol=0, atol=atol)


# By hand


def test_counts_are_stretched_between_their_limits():
    levels = torch.tensor([30_000, 40_000, 45_000, 50_000, 60_000], dtype=torch.int32)
    bits = levels.to(torch.int16).view(1, 1, 1, 5)
    found = stretched(bits, torch.tensor([[40_000, 1e-4]]))
    assert_allclose(found[0, 0, 0], [0, 0, 0.5, 1, 1])


def test_every_image_of_a_batch_has_its_own_limits():
    levels = torch.full((2, 1, 1, 2), 100, dtype=torch.int16)
    found = stretched(levels, torch.tensor([[0, 0.005], [50, 0.01]]))
    assert_allclose(found[:, 0, 0, 0], [0.5, 0.5])
    assert_allclose(stretched(levels[:1], torch.zeros(1, 2)), 0)


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        pytest.param([0, 1], [0, 0.25, 0.75, 1], id='doubled'),
        pytest.param([0, 6, 12], [2, 10], id='three to two: a pixel and a half each'),
        pytest.param([0, 2, 4, 6], [1, 5], id='halved'),
        pytest.param([7], [7, 7, 7], id='from one'),
        pytest.param([1, 2, 6], [3], id='to one'),
    ],
)
def test_lines_are_resized(values, expected):
    line = torch.tensor(values, dtype=torch.float32)
    square = line.expand(1, 1, len(line), -1)  # each row is the line
    size = (len(expected), len(expected))
    assert_allclose(resized(square, size)[0, 0], [expected] * len(expected), atol=1e-6)
    assert_allclose(resized(square.mT, size)[0, 0].T, [expected] * len(expected), atol=1e-6)


def test_colours_become_planes_red_green_blue_and_padding_is_black():
    config = PreprocessConfig(pad_multiple=4)
    image = np.full((2, 3, 3), (51, 102, 255), np.uint8)
    raw = RawPairPreprocess(config)(FrameSet(rgb=Frame(image, 0, '', 'rgb')))
    thermal, rgb, padding = on_device(config, raw)
    assert thermal is None
    assert rgb.shape == (1, 3, 4, 4)
    assert_allclose(rgb[0, :, 1, 2], [1, 0.4, 0.2], atol=1e-6)
    assert padding.int().tolist() == [[[0, 0, 0, 1]] * 2 + [[1] * 4] * 2]
    assert rgb[0][:, padding[0]].abs().max() == 0


def test_options_reach_the_network():
    config = PreprocessConfig(pad_multiple=1)
    raw = RawPreprocess(config)(thermal((4, 4)))
    assert TakesRaw(Gives(), config)(*raw.inputs, fuse=True)[1] == {'fuse': True}


def test_network_that_is_told_the_content_needs_no_padding():
    config = PreprocessConfig(pad_multiple=32)
    raw = RawPreprocess(config)(thermal((50, 70)))
    assert raw.content_size == (50, 70)
    (image, padding), options = TakesRaw(Gives(), config)(*raw.inputs, content=raw.content_size)
    assert image.shape == (1, 1, 64, 96)
    assert padding is None
    assert options == {'content': (50, 70)}


# As on the host


@pytest.mark.parametrize(('name', 'dtype'), KINDS)
@pytest.mark.parametrize(('size', 'settings'), SHAPES)
def test_thermal_images_are_those_of_the_host(name, dtype, size, settings):
    transform = ThermalTransformConfig(name, PARAMS.get(name, {}))
    config = PreprocessConfig(transform, transform, **settings)
    frame = thermal(size, dtype)
    expected = Preprocess(config)(frame)[:2]
    found = on_device(config, RawPreprocess(config)(frame))
    assert_same(found, expected, 8e-6 if dtype == np.float32 else 1e-6)


def test_counts_are_the_same_to_the_bit_where_nothing_is_resized():
    config = PreprocessConfig(pad_multiple=32)
    frame = thermal((50, 70))
    found = on_device(config, RawPreprocess(config)(frame))
    assert_array_equal(found[0], Preprocess(config)(frame).image)


@pytest.mark.parametrize('name', ['percentile', 'clahe'])
@pytest.mark.parametrize(
    'image',
    [
        np.full((40, 50), 9000, np.uint16),
        np.full((40, 50), 3e38, np.float32),
        np.full((40, 50), np.nan, np.float32),
        np.where(np.eye(50) > 0, np.inf, 300 + np.arange(50)).astype(np.float32),
        np.where(np.eye(50) > 0, 3e38, -3e38).astype(np.float32),
    ],
    ids=['constant', 'constant and large', 'all NaN', 'some Inf', 'span beyond float32'],
)
def test_frames_without_signal_are_those_of_the_host(name, image):
    config = PreprocessConfig(thermal_16bit=ThermalTransformConfig(name), pad_multiple=1)
    frame = Frame(image, 0, '', 'thermal')
    found = on_device(config, RawPreprocess(config)(frame))
    assert_same(found, Preprocess(config)(frame)[:2], 8e-6)


@pytest.mark.parametrize(('size', 'settings'), SHAPES)
@pytest.mark.parametrize('missing', ['none', 'thermal', 'rgb'])
def test_pairs_are_those_of_the_host(size, settings, missing):
    frames = {'thermal': thermal(size), 'rgb': colour(size)}
    frames.pop(missing, None)
    config = PreprocessConfig(**settings)
    expected = PairPreprocess(config)(FrameSet(**frames)).inputs
    found = on_device(config, RawPairPreprocess(config)(FrameSet(**frames)))
    enlarges = 'short_side' in settings and settings['short_side'] > size[0]
    # Where it enlarges bytes OpenCV computes in whole numbers: off by one level here and there.
    assert_same(found, expected, 1.001 / 255 if enlarges else 1e-6)
    assert_same(found[::2], expected[::2], 1e-6)


@pytest.mark.parametrize('size', [(512, 640), (333, 515), (1080, 1920)])
@pytest.mark.parametrize('new', [(171, 213), (800, 1000), (480, 641), (97, 311)])
def test_resizing_agrees_with_opencv(size, new):
    image = np.random.default_rng(0).random(size, np.float32)
    found = resized(torch.from_numpy(image)[None, None], new)[0, 0]
    # OpenCV leaves out what covers less than a thousandth of a pixel.
    assert_allclose(found, resize(image, new), atol=1e-3)
    assert np.abs(found.numpy() - resize(image, new)).mean() < 1e-5


def test_shrinking_averages_what_a_new_pixel_covers():
    image = np.random.default_rng(0).random((1, 17), np.float32).repeat(3, 0)
    fine = image.repeat(7, 1)  # 17 pixels to 7: each is 17 of these
    expected = fine[:2].reshape(2, 7, 17).mean(2)
    assert_allclose(
        resized(torch.from_numpy(image)[None, None], (2, 7))[0, 0], expected, atol=1e-6
    )


def test_batch_gives_each_image_what_it_gets_alone():
    config = PreprocessConfig(short_side=40, pad_multiple=32)
    raws = []
    for seed in range(3):
        frames = FrameSet(thermal((50, 70), seed=seed), colour((50, 70), seed))
        inputs = RawPairPreprocess(config)(frames).inputs
        raws.append(inputs)
    network = TakesRaw(Gives(), config)
    together, _ = network(*(torch.cat(parts) for parts in zip(*raws)))
    alone = [network(*inputs)[0] for inputs in raws]
    for found, expected in zip(together, zip(*alone)):
        assert_array_equal(found, torch.cat(expected))


def test_half_precision_of_the_network_rounds_nothing():
    config = PreprocessConfig(short_side=40, pad_multiple=32)
    raw = RawPairPreprocess(config)(FrameSet(thermal((50, 70)), colour((50, 70))))
    expected = on_device(config, raw)
    with torch.autocast('cpu', torch.bfloat16):
        found = on_device(config, raw)
    assert_same(found, expected, 0)


def test_images_are_laid_out_channels_last():
    config = PreprocessConfig(short_side=40, pad_multiple=32)
    raw = RawPairPreprocess(config)(FrameSet(thermal((50, 70)), colour((50, 70))))
    for image in on_device(config, raw)[:2]:
        assert image.is_contiguous(memory_format=torch.channels_last)


def test_one_compiled_graph_holds_all_of_it():
    config = PreprocessConfig(short_side=40, pad_multiple=32)
    inputs = RawPairPreprocess(config)(FrameSet(thermal((50, 70)), colour((50, 70)))).inputs
    network = TakesRaw(Gives(), config)
    graph = torch.compile(network, fullgraph=True, dynamic=False, backend='eager')
    assert_same(graph(*inputs)[0], network(*inputs)[0], 0)
