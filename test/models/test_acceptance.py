"""The acceptance facts of Fusion DETR that concern the network, by their number.

Facts of losses, matching and learning (14, 15, 16, 20, 21): test/training/test_acceptance.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.fusion import align
from thermal_perception.models.published import load_detr_state_dict
from thermal_perception.models.transformer import Memory
from thermal_perception.preprocess import make_thermal_transform
from thermal_perception.types import Frame


def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_fact_01_weights_are_positive_and_sum_to_one_per_image(make_fusion, maps):
    out = make_fusion()(maps)
    for weights in (out.alpha, out.prior[None], out.alpha_hat):
        assert_close(weights.sum(-1), torch.ones(len(weights)), atol=1e-6, rtol=0)
        assert (weights > 0).all()


def test_fact_02_alpha_hat_is_the_softmax_of_z_plus_w_and_a_shift_of_w_changes_nothing(
    make_fusion, maps
):
    fusion = make_fusion()
    before = fusion(maps)
    product = before.alpha * before.prior  # the form of the source
    assert_close(
        before.alpha_hat, product / product.sum(-1, keepdim=True), atol=1e-6, rtol=0
    )
    assert_close(before.alpha_hat, (before.logits + fusion.w).softmax(-1), atol=1e-6, rtol=0)
    with torch.no_grad():
        fusion.w += 3.0
    assert_close(fusion(maps).alpha_hat, before.alpha_hat, atol=1e-6, rtol=0)


def test_fact_03_equal_keys_and_zero_w_give_the_mean_of_the_scales(make_fusion, maps):
    fusion = make_fusion(share_keys=True)
    with torch.no_grad():
        fusion.w.zero_()
        fusion.keys[0].weight.zero_()  # every key is the bias, whatever the scale shows
    out = fusion(maps)
    assert out.logits.abs().max() > 0.1
    assert_close(out.alpha_hat, torch.full((2, 4), 0.25))
    assert_close(fusion.mix(maps, out.alpha_hat), torch.stack(maps).mean(0))


def test_fact_04_fusion_starts_as_the_mean_and_its_query_projection_learns_at_once(
    make_fusion, maps
):
    fusion = make_fusion(randomise=False)
    out = fusion(maps)
    assert (out.alpha_hat == 0.25).all()
    assert_close(out.features, torch.stack(maps).mean(0))
    out.features.square().sum().backward()
    assert fusion.query.weight.grad.abs().max() > 0


def test_fact_05_an_extreme_w_selects_one_scale_without_nan(make_fusion, maps):
    fusion = make_fusion()
    with torch.no_grad():
        fusion.w.copy_(torch.tensor([0.0, 0.0, 1000.0, 0.0]))
    out = fusion(maps)
    assert_close(fusion.mix(maps, out.alpha_hat), maps[2])
    assert_close(out.beta_bar, fusion.beta[2].expand(2, -1))
    assert all(torch.isfinite(value).all() for value in out)


def test_fact_06_equal_scales_mix_to_themselves_whatever_the_weights(make_fusion, maps):
    fusion = make_fusion()
    equal = [maps[0]] * 4
    out = fusion(equal)
    assert (out.alpha_hat - 0.25).abs().max() > 0.05
    assert_close(fusion.mix(equal, out.alpha_hat), maps[0])


def test_fact_07_scale_dim_is_sqrt_dim_over_sixteen(make_fusion):
    generator = torch.Generator().manual_seed(7)
    maps = [torch.randn(2, 256, 3, 3, generator=generator) for _ in range(4)]
    root, literal = (make_fusion(d_model=256, scale=s) for s in ('sqrt_dim', 'dim'))
    literal.load_state_dict(root.state_dict())
    assert_close(literal(maps).logits, root(maps).logits / 16)


def test_fact_08_values_in_padded_cells_do_not_reach_the_weights(make_fusion, maps):
    fusion = make_fusion()
    padding = torch.zeros(2, 6, 5, dtype=torch.bool)
    padding[1, 4:] = True
    before = fusion(maps, padding).alpha_hat
    changed = [f.masked_fill(padding[:, None], 1e4) for f in maps]
    assert_close(fusion(changed, padding).alpha_hat, before)
    assert (fusion(changed).alpha_hat - before).abs().max() > 0.1  # a plain mean would see them


def test_fact_09_weights_belong_to_the_image_and_follow_its_place_in_the_batch(make_fusion, maps):
    fusion = make_fusion()
    alpha_hat = fusion(maps).alpha_hat
    swapped = fusion([f.flip(0) for f in maps]).alpha_hat
    assert_close(swapped, alpha_hat.flip(0))
    assert (alpha_hat[0] - alpha_hat[1]).abs().max() > 0.01


def test_fact_10_halving_c3_is_two_by_two_average_pooling():
    c3 = torch.randn(1, 3, 8, 6)
    halved = align(c3, torch.Size((4, 3)))
    by_hand = (
        c3[:, :, 0::2, 0::2] + c3[:, :, 0::2, 1::2] + c3[:, :, 1::2, 0::2] + c3[:, :, 1::2, 1::2]
    ) / 4
    assert_close(halved, by_hand, atol=1e-6, rtol=0)
    bilinear = torch.nn.functional.interpolate(c3, (4, 3), mode='bilinear', align_corners=False)
    assert_close(halved, bilinear, atol=1e-6, rtol=0)


def test_fact_11_shapes_of_the_published_system_at_512_by_640(full_model):
    model = full_model()
    images = torch.empty(2, 1, 512, 640, device='meta')
    features = model.backbone(torch.empty(2, 3, 512, 640, device='meta'))
    assert [tuple(features[s].shape) for s in (8, 16, 32)] == [
        (2, 512, 64, 80),
        (2, 1024, 32, 40),
        (2, 2048, 16, 20),
    ]
    assert model.neck.c6(features[32]).shape == (2, 256, 8, 10)
    out = model(images)
    assert out.fusion.features.shape == (2, 256, 32, 40)
    assert out.fusion.features.flatten(2).shape[-1] == 1280
    assert out.logits.shape == (2, 100, 4)
    assert out.boxes.shape == (2, 100, 4)
    assert len(out.auxiliary) == 5


def test_fact_11_boxes_lie_in_the_open_unit_interval(tiny_model):
    with torch.no_grad():
        boxes = tiny_model()(torch.rand(2, 1, 64, 64)).boxes
    assert ((boxes > 0) & (boxes < 1)).all()


@pytest.mark.parametrize('stem', ['copy', 'sum'])
def test_fact_12_one_channel_and_its_three_fold_copy_give_identical_output(tiny_model, stem):
    model = tiny_model(stem=stem)
    grey = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        one, three = model(grey), model(grey.expand(-1, 3, -1, -1).contiguous())
    # The stem sees one channel by a kernel of its own: the same sum in another order.
    assert_close(one.logits, three.logits, atol=1e-5, rtol=1e-5)
    assert_close(one.boxes, three.boxes, atol=1e-5, rtol=1e-5)


def test_fact_13_the_scale_embedding_on_keys_of_the_decoder_cancels(tiny_model, boost):
    model = boost(tiny_model())
    images = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        memory, fusion = model._remember(images, None)
        plain = Memory(
            memory.tokens,
            memory.pos - fusion.beta_bar[:, None],
            memory.size,
            memory.padding,
            memory.valid_ratio,
        )
        with_beta, _ = model.decoder(memory, None, None)
        without_beta, _ = model.decoder(plain, None, None)
    assert fusion.beta_norm.min() > 1
    assert_close(without_beta[-1].logits, with_beta[-1].logits, atol=1e-5, rtol=0)
    assert_close(without_beta[-1].boxes, with_beta[-1].boxes, atol=1e-5, rtol=0)


def test_fact_13_the_scale_embedding_in_the_encoder_changes_the_output(tiny_model, boost):
    model = boost(tiny_model())
    images = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        before = model(images).logits
        model.neck.fusion.beta.zero_()
        after = model(images).logits
    assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        pytest.param({'fusion': 'off'}, 41_279_752, id='baseline'),
        pytest.param(
            {'fusion': 'off', 'class_names': tuple(f'c{i}' for i in range(91))},
            41_302_368,
            id='baseline, 91 classes',
        ),
        pytest.param({}, 47_574_796, id='Fusion DETR'),
        pytest.param({'c6_mode': 'cheap'}, 43_380_236, id='cheap C6'),
        pytest.param({'share_keys': True}, 47_574_796 - 197_376, id='shared keys'),
        pytest.param({'proj_norm': True}, 47_574_796 + 4 * 512, id='GroupNorm per scale'),
    ],
)
def test_fact_17_trainable_parameters_of(full_model, changes, expected):
    assert trainable(full_model(**changes)) == expected


def test_fact_17_parameters_of_every_part(full_model):
    model = full_model()

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(model.backbone) == 23_454_912
    assert count(model.backbone.conv1) == 9_408
    assert count(model.backbone.layer1) == 212_992
    assert trainable(model.backbone) == 23_232_512
    assert count(model.encoder) == 7_890_432
    assert count(model.decoder.layers) + count(model.decoder.norm) == 9_473_024
    assert model.decoder.query_embed.numel() == 25_600
    assert count(model.decoder.bbox_embed) == 132_612
    assert count(model.decoder.class_embed) == 1_028
    neck, fusion = model.neck, model.neck.fusion
    assert {k: count(p) for k, p in neck.projections.items()} == {
        '8': 131_328,
        '16': 262_400,
        '32': 524_544,
        '64': 65_792,
    }
    assert count(neck.c6) == 4_718_848
    assert (count(fusion.query), count(fusion.keys)) == (262_400, 263_168)
    assert (count(fusion.conv), fusion.beta.numel(), fusion.w.numel()) == (590_080, 1_024, 4)
    assert sum(p.numel() for p in model.parameters()) == 47_574_796 + 222_400


def test_fact_18_off_loads_a_stock_detr_state_dict_but_for_the_class_head(
    full_model, detr_r50_state
):
    report = load_detr_state_dict(full_model(fusion='off'), detr_r50_state)
    assert report.skipped == ('decoder.class_embed.0.bias', 'decoder.class_embed.0.weight')
    assert report.fresh == report.skipped


def as_frame(image, bits):
    return Frame(image, 0, 'thermal', 'thermal', valid_bits=bits)


def test_fact_19_percentile_of_a_constant_frame_is_all_zeros():
    transform = make_thermal_transform('percentile')
    image = np.full((32, 40), 5000, np.uint16)
    assert (transform.apply(as_frame(image, 16)) == 0).all()


def test_fact_19_percentile_of_a_16_bit_ramp_is_monotone_and_spans_the_unit_interval():
    transform = make_thermal_transform('percentile')
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    unit = transform.apply(as_frame(ramp, 16)).ravel()
    assert (np.diff(unit) >= 0).all()
    assert (unit.min(), unit.max()) == (0, 1)


def test_fact_19_percentile_sees_no_difference_between_14_bits_and_the_same_bits_shifted():
    transform = make_thermal_transform('percentile')
    counts = np.random.default_rng(0).integers(3000, 9000, (64, 80)).astype(np.uint16)
    low = transform.apply(as_frame(counts, 14)).copy()
    high = transform.apply(as_frame(counts << 2, 16))
    np.testing.assert_allclose(high, low, atol=1e-3)


def test_fact_22_alpha_hat_under_amp_agrees_with_full_precision(tiny_model, boost):
    model = boost(tiny_model())
    images = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        full = model(images).fusion
        with torch.autocast('cpu', dtype=torch.float16):
            amp = model(images).fusion
    assert full.logits.abs().max() > 0.1
    assert amp.features.dtype == torch.float16
    assert_close(amp.alpha_hat, full.alpha_hat, atol=1e-3, rtol=0)


def test_fact_22_weights_are_computed_in_full_precision_whatever_the_features(make_fusion, maps):
    fusion = make_fusion()
    rounded = [f.bfloat16() for f in maps]
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        amp = fusion(rounded)
    exact = fusion([f.float() for f in rounded])
    assert_close(amp.alpha_hat, exact.alpha_hat, atol=1e-6, rtol=0)


def test_fact_22_a_state_dict_survives_a_round_trip_exactly(tiny_model):
    first, second = tiny_model(), tiny_model()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.normal_()
    second.load_state_dict(first.state_dict())
    for name, value in second.state_dict().items():
        assert torch.equal(value, first.state_dict()[name])
