"""The acceptance facts of RGB-T segmentation that concern the network, by their number.

Facts of losses and recipe (16, 17, 18): test/training/rgbt_segmentation.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from thermal_perception.models.backbones.convnext_v2 import GlobalResponseNorm, LayerNorm2d
from thermal_perception.models.rgbt_segmentation.encoders import Encoder
from thermal_perception.models.rgbt_segmentation.frequency_fusion import (
    FrequencyFusion,
    GaussianSplit,
)
from thermal_perception.models.rgbt_segmentation.semantic_fusion import SemanticFusion

SIZES = ('nano', 'tiny', 'base')
# rgb encoder, thermal encoder, fusion 1 to 4, decoder, all; for nine classes
PARAMETERS = {
    'nano': (14_981_520, 14_978_960, 144_636, 577_156, 671_779, 2_649_059, 1_514_174, 35_517_284),
    'tiny': (27_864_960, 27_861_888, 208_100, 830_804, 962_787, 3_805_539, 2_178_726, 63_712_804),
    'base': (
        87_690_752, 87_686_656, 369_588, 1_476_340, 1_701_475, 6_745_187, 3_869_558, 189_539_556
    ),
}  # fmt: skip
FIVE_CLASSES = {'nano': 35_515_500, 'tiny': 63_710_668, 'base': 189_536_716}
AS_PUBLISHED = {'nano': 35.425e6, 'tiny': 63.574e6, 'base': 189.170e6}
PST900 = ('background', 'fire_extinguisher', 'backpack', 'hand_drill', 'rescue_randy')


def count(module):
    return sum(p.numel() for p in module.parameters())


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('size', SIZES)
def test_fact_1_each_part_has_as_many_parameters_as_published(make_meta, size):
    model = make_meta(encoder=f'convnextv2_{size}')
    parts = (model.backbone['rgb'], model.backbone['thermal'], *model.fusion.values())
    assert tuple(count(p) for p in (*parts, model.decoder, model)) == PARAMETERS[size]


@pytest.mark.parametrize('size', SIZES)
def test_fact_1_five_classes_need_fewer_parameters(make_meta, size):
    model = make_meta(encoder=f'convnextv2_{size}', class_names=PST900)
    assert count(model) == FIVE_CLASSES[size]


def seen_by_the_published_profiler(model):
    """Count what runs in evaluation and is of a kind the authors' profiler knows."""
    unseen = [m for m in model.modules() if isinstance(m, (GlobalResponseNorm, LayerNorm2d))]
    unseen += [m for m in model.modules() if type(m) is nn.LayerNorm]
    residual_scalars = 2
    return count(model) - sum(map(count, unseen)) - count(model.decoder.deep) - residual_scalars


@pytest.mark.parametrize('size', SIZES)
def test_fact_1_parameters_that_a_profiler_counts_are_the_published_number(make_meta, size):
    seen = seen_by_the_published_profiler(make_meta(encoder=f'convnextv2_{size}'))
    assert seen == pytest.approx(AS_PUBLISHED[size], abs=600)
    if size == 'nano':
        assert seen == 35_425_406


def multiply_accumulates(model, height, width):
    """Return 1e9 multiply-accumulates of convolutions and matrix products."""
    with torch.device('meta'), torch.no_grad(), FlopCounterMode(display=False) as flops:
        model(torch.empty(1, 1, height, width), torch.empty(1, 3, height, width))
    return flops.get_total_flops() / 2e9


@pytest.mark.parametrize(
    ('encoder', 'size', 'gmac'),
    [
        ('nano', (480, 640), 51.4),
        ('nano', (720, 1280), 153.8),
        ('tiny', (480, 640), 85.4),
        ('tiny', (720, 1280), 255.5),
        ('base', (480, 640), 242.8),
        ('base', (720, 1280), 727.2),
    ],
)
def test_work_is_the_published_one_but_for_the_norms(make_meta, encoder, size, gmac):
    model = make_meta(encoder=f'convnextv2_{encoder}')
    assert multiply_accumulates(model, *size) == pytest.approx(gmac, rel=0.004)


@pytest.mark.parametrize(('classes', 'parameters'), [(9, 2916), (5, 1620)])
def test_fact_2_deep_heads_are_small(make_meta, classes, parameters):
    model = make_meta(class_names=tuple(map(str, range(classes))))
    assert count(model.decoder.deep) == parameters


def test_fact_3_parts_of_the_first_fusion_have_their_published_sizes():
    fusion = FrequencyFusion(80)
    assert count(fusion.projection) == 6_560
    assert count(fusion.low_attention) == 98
    assert count(fusion.high_attention) == 18
    assert count(fusion.band_mixing) == 12_800
    assert count(fusion.confidence) == 3_240
    assert count(fusion.correction) == 121_920


def test_fact_4_the_gaussian_is_the_published_one():
    split = GaussianSplit()
    kernel = split.kernel
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    assert kernel[3, 3].item() == pytest.approx(0.0467, abs=5e-5)
    assert kernel[0, 0].item() == pytest.approx(0.0049, abs=5e-5)
    for same in (kernel.flip(0), kernel.flip(1), kernel.T):
        assert torch.equal(kernel, same)
    taps = torch.tensor([0.0702, 0.1311, 0.1907, 0.2161, 0.1907, 0.1311, 0.0702])
    assert_close(kernel.sum(0), taps, atol=5e-5, rtol=0)


def test_fact_4_the_gaussian_is_stored_and_never_trained():
    split = GaussianSplit()
    assert 'kernel' in split.state_dict()
    assert not split.kernel.requires_grad
    assert list(split.parameters()) == []


def test_fact_4_an_optimiser_step_leaves_the_gaussian_alone(make_network, images):
    model = make_network().train()
    before = model.fusion['4'].split.kernel.clone()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1.0)
    model(*images).logits.square().mean().backward()
    optimiser.step()
    assert torch.equal(model.fusion['4'].split.kernel, before)


@pytest.mark.parametrize('border', ['zero', 'replicate'])
def test_fact_5_both_bands_add_up_to_the_map(border):
    x = 10 * random(2, 5, 11, 9)
    low, high = GaussianSplit(border)(x)
    assert_close(low + high, x, atol=1e-6, rtol=1e-6)


def test_fact_5_a_constant_map_has_no_high_band_away_from_the_border():
    low, high = GaussianSplit()(torch.full((1, 2, 12, 14), 3.0))
    assert high[..., 3:-3, 3:-3].abs().max() < 1e-5
    assert (low[..., 0, 0] / 3).tolist() == [[pytest.approx(0.3697, abs=5e-5)] * 2]
    assert GaussianSplit('replicate')(torch.full((1, 2, 12, 14), 3.0)).high.abs().max() < 1e-5


def test_fact_6_masks_and_gates_are_open_fractions_of_the_right_shape():
    fine, coarse = FrequencyFusion(32).eval(), SemanticFusion(32).eval()
    rgb, thermal = random(2, 32, 10, 12), random(2, 32, 10, 12, seed=1)
    bands = fine.split(fine.projection(thermal))
    gates = coarse.gates(rgb, coarse.projection(thermal))
    found = {
        'low mask': (fine.low_attention(bands.low), (2, 1, 10, 12)),
        'high mask': (fine.high_attention(bands.high), (2, 1, 10, 12)),
        's': (fine.confidence(rgb), (2, 1, 1, 1)),
        'a': (fine.low_share(bands), (2, 32, 1, 1)),
        'g_R': (gates.rgb, (2, 32, 1, 1)),
        'g_T': (gates.thermal, (2, 32, 1, 1)),
    }
    for name, (value, shape) in found.items():
        assert value.shape == shape, name
        assert 0 < value.min() <= value.max() < 1, name


def test_fact_7_without_its_last_norm_the_frequency_module_is_the_identity_on_rgb():
    fusion = FrequencyFusion(32).eval()
    nn.init.zeros_(fusion.correction[-1].norm.weight)
    rgb = random(2, 32, 10, 12)
    for seed in (1, 2):
        thermal = 100 * random(2, 32, 10, 12, seed=seed)
        assert torch.equal(fusion(rgb=rgb, thermal=thermal).features, rgb)


def test_fact_7_the_correction_can_subtract():
    rgb, thermal = random(2, 32, 10, 12), random(2, 32, 10, 12, seed=1)
    difference = FrequencyFusion(32).eval()(rgb=rgb, thermal=thermal).features - rgb
    assert difference.min() < 0 < difference.max()


def test_fact_8_mixed_thermal_lies_between_its_bands(monkeypatch):
    fusion = FrequencyFusion(32).eval()
    seen = []
    monkeypatch.setattr(fusion, '_corrected', lambda x, padding: seen.append(x) or x[:, :32])
    rgb, thermal = random(2, 32, 10, 12), random(2, 32, 10, 12, seed=1)
    fusion(rgb=rgb, thermal=thermal)
    mixed = seen[0][:, 32:]
    low, high = fusion.attended(fusion.split(fusion.projection(thermal)))
    assert (mixed >= torch.minimum(low, high) - 1e-6).all()
    assert (mixed <= torch.maximum(low, high) + 1e-6).all()


def test_fact_9_without_refinement_the_semantic_module_gives_the_gated_sum():
    fusion = SemanticFusion(32).eval()
    assert fusion.refinement.item() == pytest.approx(0.1)
    nn.init.zeros_(fusion.refinement)
    rgb, thermal = random(2, 32, 10, 12), random(2, 32, 10, 12, seed=1)
    projected = fusion.projection(thermal)
    gates = fusion.gates(rgb, projected)
    union = gates.rgb * rgb + gates.thermal * projected
    assert_close(fusion(rgb=rgb, thermal=thermal).features, union)


def test_fact_9_closed_gates_leave_nothing(monkeypatch):
    fusion = SemanticFusion(32).eval()
    nn.init.zeros_(fusion.refinement)
    monkeypatch.setattr(fusion.cross_gate, 'forward', lambda x, padding: torch.zeros(2, 64, 1, 1))
    out = fusion(rgb=random(2, 32, 10, 12), thermal=random(2, 32, 10, 12, seed=1))
    assert not out.features.any()


def test_fact_10_response_norm_starts_as_the_identity_and_bears_an_empty_map():
    norm = GlobalResponseNorm(6)
    x = random(2, 5, 7, 6)
    assert torch.equal(norm(x), x)
    nn.init.ones_(norm.weight)
    assert not norm(torch.zeros(2, 5, 7, 6)).any()


def test_fact_10_response_norm_weighs_channels_by_their_relative_energy():
    norm = GlobalResponseNorm(6)
    nn.init.ones_(norm.weight)
    x = random(2, 5, 7, 6)
    assert_close(norm(1000 * x), 1000 * norm(x), atol=1e-2, rtol=1e-5)


def test_fact_11_a_summed_stem_sees_one_channel_as_three_equal_ones():
    torch.manual_seed(0)
    options = {'mean': (0.4,), 'std': (0.1,)}
    three = Encoder('convnextv2_atto', **{k: v * 3 for k, v in options.items()}).eval()
    one = Encoder('convnextv2_atto', **options).eval()
    one.load_state_dict(one.adapt_state_dict(three.state_dict()))
    assert_close(one.stem[0].weight, three.stem[0].weight.sum(1, keepdim=True))
    grey = random(1, 1, 64, 96)
    with torch.no_grad():
        expected, found = three(grey.expand(-1, 3, -1, -1)), one(grey)
    for stride, x in expected.items():
        assert_close(found[stride], x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ('size', 'parameters', 'with_classifier'),
    [
        ('nano', 14_981_520, 15_623_800),
        ('tiny', 27_864_960, 28_635_496),
        ('base', 87_690_752, 88_717_800),
    ],
)
def test_fact_12_encoders_are_the_published_ones_without_classifier(
    make_meta, size, parameters, with_classifier
):
    encoder = make_meta(encoder=f'convnextv2_{size}').backbone['rgb']
    last = encoder.channels[32]
    assert count(encoder) == parameters
    assert count(encoder) + 2 * last + 1000 * (last + 1) == with_classifier


@pytest.mark.parametrize(
    ('size', 'cells'),
    [
        ((480, 640), [(120, 160), (60, 80), (30, 40), (15, 20)]),
        ((720, 1280), [(180, 320), (90, 160), (45, 80), (22, 40)]),
        ((500, 620), [(125, 155), (62, 77), (31, 38), (15, 19)]),
    ],
)
def test_fact_13_features_and_logits_have_the_published_shapes(make_meta, size, cells):
    model = make_meta().train()
    with torch.device('meta'):
        thermal, rgb = torch.empty(2, 1, *size), torch.empty(2, 3, *size)
        features = model.backbone['rgb'](rgb)
        output = model(thermal, rgb)
    shapes = [(c, *hw) for c, hw in zip((80, 160, 320, 640), cells)]
    assert [tuple(x.shape[1:]) for x in features.values()] == shapes
    for logits in (output.logits, output.auxiliary, *output.deep):
        assert logits.shape == (2, 9, *size)
    assert len(output.deep) == 4


@pytest.mark.parametrize('size', [(90, 70), (95, 127), (64, 65)])
def test_fact_13_odd_sizes_are_classified_to_the_last_pixel(network, size):
    with torch.inference_mode():
        output = network(torch.rand(1, 1, *size), torch.rand(1, 3, *size))
    assert output.logits.shape == (1, 3, *size)
    assert output.logits.isfinite().all()
    assert output.auxiliary is None
    assert output.deep == ()


def test_fact_14_context_keeps_at_least_half(network):
    channels, width = (network.backbone.of('thermal').channels[stride] for stride in (32, 4))
    features = {32: 100 * random(2, channels, 2, 3)}
    factor = network.decoder.context_factor(features, None)
    assert factor.shape == (2, width, 1, 1)
    assert network.decoder.context_factor({32: random(2, channels, 2, 3)}, None).min() > 0.5
    assert factor.min() >= 0.5
    assert factor.max() <= 1


def test_fact_15_one_training_step_reaches_every_parameter(make_network, images):
    model = make_network().train()
    output = model(*images)
    weights = [random(*output.logits.shape, seed=n) for n in range(6)]
    logits = (output.logits, output.auxiliary, *output.deep)
    sum((w * x).sum() for w, x in zip(weights, logits)).backward()
    idle = [k for k, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_fact_23_a_batch_of_two_is_two_batches_of_one(network, images):
    with torch.inference_mode():
        both, again = network(*images), network(*images)
        alone = [network(images[0][n : n + 1], images[1][n : n + 1]) for n in range(2)]
    assert torch.equal(both.logits, again.logits)
    scale = both.logits.abs().max()
    for n in range(2):
        assert_close(alone[n].logits[0] / scale, both.logits[n] / scale, atol=1e-5, rtol=0)


def test_fact_23_half_precision_sees_the_same_classes(network, images):
    with torch.inference_mode():
        full = network(*images).logits.argmax(1)
        with torch.autocast('cpu', dtype=torch.float16):
            half = network(*images).logits.argmax(1)
    assert full.unique().numel() > 1
    assert (full == half).float().mean() > 0.99
