from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.brightness import brightness
from thermal_perception.models.e2e_mfd.config import OrpptConfig
from thermal_perception.models.e2e_mfd.orppt import Orppt, pixel_widths

TINY = {'pixel_width': 4, 'pixel_convs': 1, 'width': 8, 'decoder_widths': (6,)}
RELEASED = OrpptConfig(region='sk', region_features='identity', gate='hard_sigmoid')

VARIANTS = [
    pytest.param({}, id='paper'),
    pytest.param({'region': 'sk', 'gate': 'hard_sigmoid'}, id='released code'),
    pytest.param({'region_features': 'identity', 'weights': 'softmax'}, id='softmax'),
    pytest.param({'reduction': 2}, id='half size'),
    pytest.param({'reduction': 4, 'weights': 'softmax'}, id='quarter size'),
    pytest.param({'levels': ()}, id='pixels only'),
]


def make(**options):
    return Orppt(OrpptConfig(**{**TINY, **options}), pyramid_width=8)


def inputs(batch=2, size=(64, 96), width=8, device=None):
    height, breadth = size
    thermal = torch.rand(batch, 1, height, breadth, device=device)
    rgb = torch.rand(batch, 3, height, breadth, device=device)
    pyramid = {
        s: torch.randn(batch, width, height // s, breadth // s, device=device)
        for s in (4, 8, 16, 32)
    }
    return thermal, rgb, pyramid


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_released_sizes_have_the_published_number_of_parameters():
    with torch.device('meta'):
        orppt = Orppt(RELEASED, pyramid_width=256)
    assert count(orppt.pixels) == 222_816
    assert [count(branch.masks) for branch in orppt.gate.branches.values()] == [9452] * 3
    assert count(orppt.gate.join) == 65_664
    assert count(orppt.gate.gate) == count(orppt.project) == 16_640
    assert count(orppt.decoder) + count(orppt.weigh) == 166_178
    assert count(orppt) == 516_294


def test_pixel_branch_doubles_its_width_at_the_end_of_each_block():
    assert pixel_widths(OrpptConfig()) == (4, 32, 32, 32, 64, 64, 64, 64, 128)


@pytest.mark.parametrize('reduction', [1, 2, 4])
def test_fused_image_has_the_size_of_the_input(reduction):
    with torch.device('meta'):
        orppt = Orppt(OrpptConfig(reduction=reduction), pyramid_width=256)
    out = orppt(*inputs(1, (768, 1024), 256, 'meta'))
    assert out.fused.shape == (1, 1, 768, 1024)
    assert out.weights.shape == (1, 2, 768, 1024)


@pytest.mark.parametrize('options', VARIANTS)
def test_weights_lie_between_zero_and_one_and_make_the_fused_image(options):
    thermal, rgb, pyramid = inputs()
    out = make(**options)(thermal, rgb, pyramid)
    assert out.weights.min() > 0
    assert out.weights.max() < 1
    w0, w1 = out.weights.split(1, 1)
    assert_close(out.fused, w0 * thermal + w1 * brightness(rgb))


@pytest.mark.parametrize('reduction', [1, 4])
def test_softmax_weights_sum_to_one(reduction):
    weights = make(weights='softmax', reduction=reduction)(*inputs()).weights
    assert_close(weights.sum(1), torch.ones(2, 64, 96))


@pytest.mark.parametrize('seed', range(5))
def test_an_untrained_branch_gives_about_the_mean_of_both_images(seed):
    torch.manual_seed(seed)
    thermal, rgb, pyramid = inputs(width=32)
    out = Orppt(OrpptConfig(), 32)(thermal, rgb, pyramid)
    assert (out.weights - 0.5).abs().mean() < 0.1
    assert (out.fused - (thermal + brightness(rgb)) / 2).abs().mean() < 0.1


@pytest.mark.parametrize('options', VARIANTS)
@pytest.mark.parametrize('training', [True, False], ids=['training', 'evaluation'])
def test_padding_changes_nothing_within_the_image(options, training):
    orppt = make(**options).train(training)
    thermal, rgb, pyramid = inputs(size=(96, 128))
    padding = torch.ones(2, 96, 128, dtype=torch.bool)
    padding[:, :64, :96] = False
    found = orppt(thermal, rgb, pyramid, padding)
    cropped = {s: level[..., : 64 // s, : 96 // s] for s, level in pyramid.items()}
    expected = orppt(thermal[..., :64, :96], rgb[..., :64, :96], cropped)
    assert_close(found.fused[..., :64, :96], expected.fused, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('reduction', [1, 4])
def test_what_is_beyond_an_odd_sized_image_does_not_matter(reduction):
    orppt = make(reduction=reduction).eval()
    thermal, rgb, pyramid = inputs(1, (64, 96))
    padding = torch.zeros(1, 64, 96, dtype=torch.bool)
    padding[:, 50:] = padding[..., 77:] = True
    expected = orppt(thermal, rgb, pyramid, padding).fused
    for image in (thermal, rgb):
        image.masked_fill_(padding[:, None], 0.7)
    for stride, level in pyramid.items():
        level[..., -(-50 // stride) :, :] = level[..., -(-77 // stride) :] = 55.0
    found = orppt(thermal, rgb, pyramid, padding).fused
    assert_close(found[..., :50, :77], expected[..., :50, :77])


@pytest.mark.parametrize('options', VARIANTS)
def test_every_parameter_gets_a_gradient(options):
    torch.manual_seed(1)
    orppt = make(**options)
    orppt(*inputs()).fused.square().mean().backward()
    without = [n for n, p in orppt.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def changed_by_a_step(orppt):
    """Return the names of the parameters that one step changes."""
    before = {name: p.detach().clone() for name, p in orppt.named_parameters()}
    optimiser = torch.optim.SGD(orppt.parameters(), lr=0.1)
    orppt(*inputs()).fused.square().mean().backward()
    optimiser.step()
    return {name for name, p in orppt.named_parameters() if not torch.equal(p, before[name])}


def test_pixel_branch_learns():
    changed = changed_by_a_step(make())
    assert {f'pixels.{n}.{part}' for n in range(4) for part in ('weight', 'bias')} <= changed


def test_frozen_pixel_branch_stays_as_it_is():
    changed = changed_by_a_step(make(freeze_pixels=True))
    assert not [name for name in changed if name.startswith('pixels.')]
    assert 'project.conv.weight' in changed


def test_images_of_a_batch_do_not_see_each_other():
    orppt = make(reduction=2).eval()
    thermal, rgb, pyramid = inputs()
    together = orppt(thermal, rgb, pyramid).fused
    alone = orppt(thermal[1:], rgb[1:], {s: level[1:] for s, level in pyramid.items()}).fused
    assert_close(together[1:], alone, atol=1e-6, rtol=1e-5)


def test_regions_of_the_pyramid_change_the_fused_image_where_they_are():
    orppt = make().eval()
    orppt.weigh.weight.data *= 10
    thermal, rgb, pyramid = inputs(1)
    before = orppt(thermal, rgb, pyramid).fused
    pyramid[16][..., :2, :2] += 5.0
    change = (orppt(thermal, rgb, pyramid).fused - before).abs()[0, 0]
    assert change[:32, :32].max() > 1e-3
    assert change[60:, 60:].max() == 0


@pytest.mark.parametrize('reduction', [1, 2])
def test_half_precision_is_close(reduction):
    orppt = make(reduction=reduction).eval()
    thermal, rgb, pyramid = inputs()
    expected = orppt(thermal, rgb, pyramid).fused
    with torch.autocast('cpu', torch.bfloat16):
        found = orppt(thermal, rgb, pyramid).fused
    assert (found - expected).abs().max() < 0.02


@pytest.mark.parametrize('options', [VARIANTS[1], VARIANTS[4]])
def test_exported_graph_equals_eager(options):
    orppt = make(**options).eval()
    arguments = inputs(1)
    with torch.no_grad():
        expected = orppt(*arguments)
        program = torch.export.export(orppt, arguments)
    assert_close(program.module()(*arguments).fused, expected.fused)


@pytest.mark.parametrize('reduction', [1, 2])
def test_learns_to_keep_the_brighter_image(reduction):
    torch.manual_seed(0)
    orppt = make(reduction=reduction, levels=())
    thermal, rgb, _ = inputs(2, (16, 24))
    thermal, rgb = (F.interpolate(x, scale_factor=4) for x in (thermal, rgb))
    target = torch.maximum(thermal, brightness(rgb))
    optimiser = torch.optim.Adam(orppt.parameters(), lr=0.01)
    losses = []
    for _ in range(80):
        optimiser.zero_grad()
        loss = (orppt(thermal, rgb, {}).fused - target).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
