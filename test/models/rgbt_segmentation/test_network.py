"""The whole network: switches, a missing camera, padding, published weights, what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close


def run(network, *args, **options):
    with torch.inference_mode():
        return network(*args, **options)


def crop(images, size):
    return [image[..., : size[0], : size[1]] for image in images]


@pytest.mark.parametrize('missing', [0, 1], ids=['thermal', 'rgb'])
def test_a_missing_camera_is_the_same_as_one_marked_missing(network, images, missing):
    absent = [None if n == missing else image for n, image in enumerate(images)]
    present = torch.tensor([[n != missing for n in range(2)]] * 2)
    expected = run(network, *absent).logits
    assert_close(run(network, *images, present=present).logits, expected)
    assert not torch.allclose(run(network, *images).logits, expected)


@pytest.mark.parametrize('missing', [0, 1], ids=['thermal', 'rgb'])
def test_a_missing_camera_counts_for_its_image_alone(network, images, missing):
    present = torch.ones(2, 2, dtype=torch.bool)
    present[1, missing] = False
    mixed, both = run(network, *images, present=present).logits, run(network, *images).logits
    assert_close(mixed[0], both[0], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(mixed[1], both[1], atol=1e-3)


def test_a_missing_camera_is_seen_as_its_mean(network, images):
    mean = torch.tensor(network.backbone['rgb'].mean)[:, None, None].expand(2, 3, 64, 96)
    expected = run(network, images[0], mean).logits
    assert_close(run(network, images[0], None).logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('value', [0.0, 0.3616, 1.0])
def test_constant_images_give_finite_logits_in_training_too(make_network, value):
    network = make_network().train()
    images = torch.full((2, 1, 64, 64), value), torch.full((2, 3, 64, 64), value)
    output = network(*images)
    output.logits.sum().backward()
    assert output.logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_no_camera_at_all_is_refused(network):
    with pytest.raises(ValueError, match='found no image, expected thermal or rgb'):
        network(None, None)


def test_images_of_different_sizes_are_refused(network):
    message = r'found \(height, width\) \[\(64, 64\), \(64, 96\)\], expected one size'
    with pytest.raises(ValueError, match=message):
        network(torch.zeros(1, 1, 64, 64), torch.zeros(1, 3, 64, 96))


def test_images_too_small_for_the_coarsest_map_are_refused(network):
    with pytest.raises(ValueError, match=r'found .*\(64, 63\)\], expected one size of 64x64'):
        network(torch.zeros(1, 1, 64, 63), None)


def padded(images, size):
    """Put (B, C, h, w) images into the corner of larger ones, full of what must not be seen."""
    height, width = images[0].shape[-2:]
    larger = []
    for image in images:
        noise = torch.full((*image.shape[:2], *size), 7.0)
        noise[..., :height, :width] = image
        larger.append(noise)
    padding = torch.ones(len(images[0]), *size, dtype=torch.bool)
    padding[:, :height, :width] = False
    return larger, padding


@pytest.mark.parametrize('size', [(64, 128), (96, 96), (160, 192)])
def test_what_is_padded_changes_no_pixel(network, images, size):
    larger, padding = padded(images, size)
    expected, found = run(network, *images), run(network, *larger, padding)
    assert_close(found.logits[..., :64, :96], expected.logits, atol=1e-4, rtol=1e-4)
    for name, value in expected.readings.items():
        assert_close(found.readings[name], value)


def test_what_is_padded_changes_no_statistic_of_training(make_network, images):
    plain, other = make_network().train(), make_network().train()
    for network in (plain, other):  # dropout would differ
        network.decoder.main.dropout.p = 0.0
    larger, padding = padded(images, (96, 128))
    expected, found = plain(*images), other(*larger, padding)
    for a, b in zip((expected.auxiliary, *expected.deep), (found.auxiliary, *found.deep)):
        assert_close(b[..., :64, :96], a, atol=2e-3, rtol=1e-3)
    assert_close(other.state_dict(), plain.state_dict(), atol=1e-4, rtol=1e-3)


def test_images_that_end_within_a_cell_are_hardly_touched_by_padding(network, images):
    cut = crop(images, (64, 88))
    larger, padding = padded(cut, (64, 96))
    expected = run(network, *cut).logits[..., :56]
    found = run(network, *larger, padding).logits[..., :56]
    assert (found.argmax(1) == expected.argmax(1)).float().mean() > 0.9


def test_readings_tell_how_cameras_were_judged(network, images):
    readings = run(network, *images).readings
    names = {'rgb_confidence', 'low_share', 'rgb_gate', 'thermal_gate'}
    assert readings.keys() == names
    for value in readings.values():
        assert value.shape == (2, 2)
        assert 0 < value.min() <= value.max() < 1


@pytest.mark.parametrize(
    ('changes', 'readings'),
    [
        ({'fine_fusion': 'addition'}, {'rgb_gate', 'thermal_gate'}),
        ({'coarse_fusion': 'addition'}, {'rgb_confidence', 'low_share'}),
        ({'confidence_gate': False}, {'low_share', 'rgb_gate', 'thermal_gate'}),
        ({'fine_fusion': 'addition', 'coarse_fusion': 'addition'}, set()),
    ],
    ids=['no frequency module', 'no semantic fusion', 'no confidence gate', 'plain addition'],
)
def test_switched_off_modules_leave_a_network_that_runs(make_network, images, changes, readings):
    network = make_network(**changes)
    output = run(network, *images)
    assert output.logits.shape == (2, 3, 64, 96)
    assert output.readings.keys() == readings
    assert not torch.allclose(run(network, images[0], None).logits, output.logits)


def test_plain_addition_has_no_parameters(make_meta):
    model = make_meta(fine_fusion='addition', coarse_fusion='addition')
    assert list(model.fusion.parameters()) == []


def test_without_confidence_gate_the_rest_of_the_module_stays(make_meta):
    whole, without = make_meta().fusion['4'], make_meta(confidence_gate=False).fusion['4']
    left_out = whole.state_dict().keys() - without.state_dict().keys()
    assert left_out == {'confidence.squeeze.weight', 'confidence.excite.weight'}


@pytest.mark.parametrize('camera', ['thermal', 'rgb'])
def test_a_network_of_one_camera_takes_no_notice_of_the_other(make_network, images, camera):
    network = make_network(cameras=camera)
    output = run(network, *images)
    alone = [image if name == camera else None for name, image in zip(('thermal', 'rgb'), images)]
    assert torch.equal(run(network, *alone).logits, output.logits)
    assert list(network.backbone) == [camera]
    assert output.readings == {}


def test_a_network_of_one_camera_needs_it(make_network, images):
    with pytest.raises(ValueError, match='found no image, expected rgb'):
        make_network(cameras='rgb')(images[0], None)


def test_reduced_images_give_logits_of_full_size(make_network):
    whole, half = make_network(), make_network(reduction=2)
    small = torch.rand(1, 1, 64, 96), torch.rand(1, 3, 64, 96)
    large = [image.repeat_interleave(2, 2).repeat_interleave(2, 3) for image in small]
    found = run(half, *large)
    assert found.logits.shape == (1, 3, 128, 192)
    for name, value in run(whole, *small).readings.items():
        assert_close(found.readings[name], value)


def test_reduced_images_leave_padding_out(make_network):
    network = make_network(reduction=2)
    images = torch.rand(1, 1, 128, 128), torch.rand(1, 3, 128, 128)
    larger, padding = padded(images, (192, 256))
    found = run(network, *larger, padding).logits[..., :128, :128]
    assert_close(found, run(network, *images).logits, atol=1e-4, rtol=1e-4)


def timm_shapes(depths, width):
    """List the tensors of timm's ConvNeXt V2, 1x1 convolutions as linear layers."""
    shapes = {'stem.0.weight': (width, 3, 4, 4)}
    shapes |= dict.fromkeys(('stem.0.bias', 'stem.1.weight', 'stem.1.bias'), (width,))
    for n, depth in enumerate(depths):
        c = width << n
        if n:
            norm = (f'stages.{n}.downsample.0.weight', f'stages.{n}.downsample.0.bias')
            shapes |= dict.fromkeys(norm, (c // 2,))
            shapes[f'stages.{n}.downsample.1.weight'] = (c, c // 2, 2, 2)
            shapes[f'stages.{n}.downsample.1.bias'] = (c,)
        for m in range(depth):
            block = f'stages.{n}.blocks.{m}'
            shapes[f'{block}.conv_dw.weight'] = (c, 1, 7, 7)
            shapes[f'{block}.mlp.fc1.weight'] = (4 * c, c)
            shapes[f'{block}.mlp.fc2.weight'] = (c, 4 * c)
            narrow = ('conv_dw.bias', 'norm.weight', 'norm.bias', 'mlp.fc2.bias')
            wide = ('mlp.fc1.bias', 'mlp.grn.weight', 'mlp.grn.bias')
            shapes |= {f'{block}.{name}': (c,) for name in narrow}
            shapes |= {f'{block}.{name}': (4 * c,) for name in wide}
    last = width * 8
    shapes |= {'head.norm.weight': (last,), 'head.norm.bias': (last,)}
    return {**shapes, 'head.fc.weight': (1000, last), 'head.fc.bias': (1000,)}


@pytest.mark.parametrize(
    ('size', 'depths', 'width'),
    [
        ('atto', (2, 2, 6, 2), 40),
        ('femto', (2, 2, 6, 2), 48),
        ('nano', (2, 2, 8, 2), 80),
        ('tiny', (3, 3, 9, 3), 96),
        ('base', (3, 3, 27, 3), 128),
    ],
)
def test_published_weights_fit_both_encoders_by_name(make_meta, size, depths, width):
    model = make_meta(encoder=f'convnextv2_{size}')
    timm = {k: torch.empty(v, device='meta') for k, v in timm_shapes(depths, width).items()}
    model.backbone.load_state_dict(model.backbone.adapt_state_dict(timm), strict=True)


def test_published_weights_reach_both_encoders_and_the_thermal_stem_sums_them(make_network):
    network = make_network()
    shapes = timm_shapes((1, 1, 1, 1), 8)
    timm = {
        k: torch.randn(v, generator=torch.Generator().manual_seed(5)) for k, v in shapes.items()
    }
    network.backbone.load_state_dict(network.backbone.adapt_state_dict(timm))
    rgb, thermal = network.backbone['rgb'].state_dict(), network.backbone['thermal'].state_dict()
    assert_close(thermal['stem.0.weight'], timm['stem.0.weight'].sum(1, keepdim=True))
    for name in timm.keys() - {'stem.0.weight'}:
        if not name.startswith('head.'):
            assert torch.equal(rgb[name], timm[name])
            assert torch.equal(thermal[name], timm[name])


def test_thermal_statistics_of_the_configuration_are_used(make_network, images):
    one, other = make_network(), make_network(thermal_mean=0.2266, thermal_std=0.2804)
    other.load_state_dict(one.state_dict())
    moved = (images[0] - 0.2266) / 0.2804 * 0.0765 + 0.3616
    expected = run(one, moved, images[1]).logits
    assert_close(run(other, *images).logits, expected, atol=1e-3, rtol=1e-3)


def test_a_copy_of_the_weights_computes_the_same(make_network, images):
    one = make_network()
    other = make_network()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(one.state_dict())
    assert torch.equal(run(other, *images).logits, run(one, *images).logits)


def test_the_network_can_be_exported_as_a_graph(network, images):
    program = torch.export.export(network, tuple(images))
    found = program.module()(*images)
    assert_close(found.logits, run(network, *images).logits, atol=1e-4, rtol=1e-4)


class MainLogits(torch.nn.Module):
    """A network of which only the result is wanted, as run-times take it."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, thermal, rgb):
        return self.network(thermal, rgb).logits


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning', 'ignore::DeprecationWarning')
def test_the_network_can_be_traced(network, images):
    with torch.no_grad():
        traced = torch.jit.trace(MainLogits(network).eval(), images, check_trace=False)
        assert_close(traced(*images), network(*images).logits)
