from __future__ import annotations

import pytest
from tiny import published
import torch
from torch.testing import assert_close

from thermal_perception.models.boxes import refine
from thermal_perception.models.build import make_model
from thermal_perception.models.denoising import Target

SELECTED = {'queries': 'selected', 'class_loss': 'varifocal', 'grid_stride': 8}
ANCHORS = {'queries': 'anchors', 'class_loss': 'focal'}
LITE = {
    **SELECTED,
    'decoder_attention': 'deformable',
    'num_points': 2,
    'proj_norm': True,
    'encoder_pool': 2,
    'encoder_conv': True,
    'denoising': 4,
}
KINDS = {
    'published': {},
    'anchors': ANCHORS,
    'anchors, softmax': {'queries': 'anchors'},
    'selected': SELECTED,
    'lite': LITE,
}


def every_kind(test):
    return pytest.mark.parametrize('changes', KINDS.values(), ids=KINDS.keys())(test)


def targets(count, batch=1):
    generator = torch.Generator().manual_seed(2)
    boxes = torch.rand(count, 4, generator=generator) * 0.3 + 0.2
    return [Target(torch.arange(count) % 2, boxes)] * batch


@every_kind
@pytest.mark.parametrize('size', [(64, 64), (64, 128)], ids=['square', 'wide'])
def test_output_shapes_without_nan(tiny_model, changes, size):
    model = tiny_model(**changes)
    with torch.no_grad():
        out = model(torch.rand(2, 1, *size))
    logits = model.config.num_logits
    assert out.logits.shape == (2, 6, logits)
    assert out.boxes.shape == (2, 6, 4)
    assert [o.logits.shape for o in out.auxiliary] == [(2, 6, logits)]
    assert torch.isfinite(out.logits).all()
    assert torch.isfinite(out.boxes).all()


@every_kind
def test_every_trainable_parameter_gets_a_gradient(tiny_model, boost, changes):
    model = boost(tiny_model(**changes, freeze_early=False)).train()
    with torch.no_grad():  # what starts at zero passes no gradient on to what lies before it
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    out = model(torch.rand(1, 1, 64, 96), None, targets(2))
    layers = [(out.logits, out.boxes), *out.auxiliary]
    if out.denoising is not None:
        layers += out.denoising.layers
    if out.dense is not None:
        layers.append((out.dense.logits, out.dense.boxes))
    sum(logits.square().sum() + boxes.square().sum() for logits, boxes in layers).backward()
    trained = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert [n for n, grad in trained.items() if grad is None or not grad.any()] == []


@every_kind
def test_a_batch_gives_what_its_images_give_alone(tiny_model, changes):
    model = tiny_model(**changes)
    images = torch.rand(3, 1, 64, 96)
    with torch.no_grad():
        together = model(images)
        alone = [model(image[None]) for image in images]
    assert_close(together.logits, torch.cat([o.logits for o in alone]), atol=1e-4, rtol=1e-4)
    assert_close(together.boxes, torch.cat([o.boxes for o in alone]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('changes', [{}, LITE | {'queries': 'anchors'}], ids=['published', 'lite'])
def test_an_image_padded_into_a_larger_batch_gives_nearly_the_same(tiny_model, boost, changes):
    # Not exactly: padding changes what the backbone sees at the border.
    model = boost(tiny_model(**changes))
    image = torch.rand(1, 1, 128, 128)
    padded = torch.zeros(1, 1, 192, 256)
    padded[..., :128, :128] = image
    padding = torch.ones(1, 192, 256, dtype=torch.bool)
    padding[:, :128, :128] = False
    with torch.no_grad():
        alone, within = model(image), model(padded, padding)
        blind = model(padded)
    assert_close(within.boxes, alone.boxes, atol=0.02, rtol=0)
    assert_close(within.fusion.alpha_hat, alone.fusion.alpha_hat, atol=0.05, rtol=0)
    assert (within.logits - alone.logits).abs().max() < 0.5 * (
        blind.logits - alone.logits
    ).abs().max()


@every_kind
def test_what_stands_in_padded_pixels_does_not_matter(tiny_model, changes):
    model = tiny_model(**changes)
    image = torch.rand(1, 1, 64, 128)
    padding = torch.zeros(1, 64, 128, dtype=torch.bool)
    padding[..., 64:] = True
    other = image.masked_fill(padding[:, None], 7.0)
    with torch.no_grad():
        assert torch.equal(model(image, padding).logits, model(other, padding).logits)


@every_kind
@pytest.mark.parametrize('content', [(128, 192), (100, 150), (64, 192)])
def test_where_images_end_may_be_told_before_they_are_there(tiny_model, boost, changes, content):
    model = boost(tiny_model(**changes))
    images = torch.rand(2, 1, 128, 192)
    images[..., content[0] :, :] = 0.0
    images[..., content[1] :] = 0.0
    padding = torch.ones(2, 128, 192, dtype=torch.bool)
    padding[:, : content[0], : content[1]] = False
    with torch.no_grad():
        masked, told = model(images, padding), model(images, content=content)
    assert_close(told.logits, masked.logits, atol=1e-4, rtol=1e-4)
    assert_close(told.boxes, masked.boxes, atol=1e-4, rtol=1e-4)


def test_tokens_beyond_the_end_of_an_image_are_left_out(tiny_model):
    model = tiny_model(**LITE)
    seen = []
    model.encoder[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with torch.no_grad():
        model(torch.rand(1, 1, 128, 192), content=(100, 150))
    (tokens, _, size, padding), = seen
    assert (size, tokens.shape[1], padding) == ((13, 19), 13 * 19, None)  # stride 8, partly valid


@every_kind
def test_an_image_that_is_all_padding_gives_finite_numbers(tiny_model, changes):
    model = tiny_model(**changes)
    padding = torch.ones(1, 64, 64, dtype=torch.bool)
    with torch.no_grad():
        out = model(torch.rand(1, 1, 64, 64), padding)
    assert torch.isfinite(out.logits).all()
    assert torch.isfinite(out.boxes).all()


@pytest.mark.parametrize('target', ['pos', 'content', 'query', 'both'])
def test_scale_embedding_acts_where_it_is_told(tiny_model, boost, target):
    model = boost(tiny_model(scale_pe_target=target))
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        memory, fusion = model._remember(images, None)
        queries = model.decoder._start(memory, None)
        seen = {}
        model.decoder.layers[0].register_forward_pre_hook(
            lambda _, inputs: seen.update(query_pos=inputs[1])
        )
        model.encoder[0].register_forward_pre_hook(
            lambda _, inputs: seen.update(tokens=inputs[0], pos=inputs[1])
        )
        model(images)
    features = fusion.features.flatten(2).mT
    beta = fusion.beta_bar[:, None]
    moved = {
        'content': seen['tokens'] - features,
        'query': seen['query_pos'] - queries.pos,
    }
    places = {'pos': (), 'both': ('content',)}.get(target, (target,))
    for place, shift in moved.items():
        expected = beta if place in places else torch.zeros_like(beta)
        assert_close(shift, expected.expand_as(shift), atol=1e-5, rtol=0)
    plain = seen['pos'] - (beta if target in ('pos', 'both') else 0)
    assert plain.abs().max() <= 1 + 1e-5  # sines again, once the embedding is taken off


def test_scale_embedding_can_be_switched_off(tiny_model):
    model = tiny_model(scale_pe=False)
    assert not any('beta' in name for name in model.state_dict())
    with torch.no_grad():
        assert (model(torch.rand(1, 1, 64, 64)).fusion.beta_bar == 0).all()


@pytest.mark.parametrize('fusion', ['off', 'c5_up', 'dc5', 'uniform', 'bias_only'])
def test_every_ablation_runs_on_its_grid(tiny_model, fusion):
    model = tiny_model(fusion=fusion)
    with torch.no_grad():
        out = model(torch.rand(1, 1, 64, 128))
        seen = model.cross_attention(torch.rand(1, 1, 64, 128))
    stride = model.config.token_stride
    assert seen.shape == (1, 6, 64 // stride, 128 // stride)
    assert torch.isfinite(out.logits).all()
    assert (out.fusion is None) == (fusion in ('off', 'c5_up', 'dc5'))


@pytest.mark.parametrize('changes', [{}, {'scale_pe_target': 'query'}, LITE], ids=str)
def test_cross_attention_says_where_the_queries_of_this_very_pass_look(tiny_model, boost, changes):
    model = boost(tiny_model(**changes))
    images = torch.rand(2, 1, 64, 96)
    seen = []
    module = model.decoder.layers[-1].multihead_attn
    handle = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with torch.no_grad():
        model(images)
        handle.remove()
        attention = model.cross_attention(images)
    size = attention.shape[-2:]
    if 'num_points' in changes:
        expected = module.weight_map(seen[0][0], seen[0][1], size)
    else:
        expected = module.weights(seen[0][0], seen[0][1])
        assert_close(attention.sum((2, 3)), torch.ones(2, 6))
    assert_close(attention.flatten(2), expected)


def test_selected_queries_are_the_best_tokens_and_start_from_their_boxes(tiny_model):
    model = tiny_model(**SELECTED)
    with torch.no_grad():
        model.proposals.class_embed.weight.normal_()
        model.proposals.bbox_embed.layers[-1].bias.normal_(std=0.2)
        memory, _ = model._remember(torch.rand(1, 1, 64, 64), None)
        dense, queries = model.proposals(memory)
        scores = dense.logits[0].max(-1).values
        best = scores.argsort(descending=True)[:6]
        assert_close(queries.boxes[0], dense.boxes[0, best])
        out = model(torch.rand(1, 1, 64, 64))
    assert out.dense.logits.shape == (1, 64, 2)


def test_tokens_that_repeat_a_better_box_are_selected_last(tiny_model):
    model = tiny_model(**SELECTED, distinct_iou=0.5, num_queries=6)
    proposals = model.proposals
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]])
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2]]).repeat(1, 7, 1)
    boxes[0, 3, 0], boxes[0, 5, 1] = 0.2, 0.2  # two others elsewhere
    assert proposals._choose(scores, boxes).tolist() == [[0, 3, 5, 1, 2, 4]]
    scores[0, 3:6] = float('-inf')  # padding is no object and comes after repetitions
    assert proposals._choose(scores, boxes)[0, :4].tolist() == [0, 1, 2, 6]
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]])
    proposals.distinct_iou = 1.0
    assert proposals._choose(scores, boxes).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_padded_tokens_are_never_selected(tiny_model):
    model = tiny_model(**SELECTED)
    padding = torch.zeros(1, 64, 128, dtype=torch.bool)
    padding[..., 64:] = True
    with torch.no_grad():
        model.proposals.class_embed.weight.normal_()
        memory, _ = model._remember(torch.rand(1, 1, 64, 128), padding)
        _, queries = model.proposals(memory)
    assert (queries.boxes[..., :2] < 1).all()  # relative to the unpadded image


def test_anchors_of_tokens_are_centred_on_their_cells_with_the_configured_side(tiny_model):
    model = tiny_model(**SELECTED, anchor_size_px=16.0)
    with torch.no_grad():
        out = model(torch.rand(1, 1, 64, 128))
    assert_close(out.dense.anchors[0, 0], torch.tensor([4 / 128, 4 / 64, 16 / 128, 16 / 64]))
    assert_close(out.dense.anchors[0, 17], torch.tensor([12 / 128, 12 / 64, 16 / 128, 16 / 64]))
    assert_close(out.dense.boxes, out.dense.anchors)  # nothing moves at the start


@pytest.mark.parametrize('loss', ['softmax', 'focal'])
def test_anchor_queries_start_on_a_grid_and_do_not_move_at_first(tiny_model, loss):
    model = tiny_model(queries='anchors', class_loss=loss, num_queries=4)
    with torch.no_grad():
        boxes = model(torch.rand(1, 1, 64, 64)).boxes[0]
    by_hand = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert_close(boxes, torch.tensor([[*c, 0.1, 0.1] for c in by_hand]))


def test_each_layer_refines_the_boxes_of_the_one_before(tiny_model):
    model = tiny_model(**ANCHORS)
    deltas = []
    for head in model.decoder.bbox_embed:
        torch.nn.init.normal_(head.layers[-1].bias, std=0.3)
        head.register_forward_hook(lambda _, __, delta: deltas.append(delta))
    with torch.no_grad():
        out = model(torch.rand(1, 1, 64, 64))
    start = model.decoder.query_boxes.sigmoid()[None]
    first = refine(start, deltas[0])
    assert_close(out.auxiliary[0].boxes, first)
    assert_close(out.boxes, refine(first, deltas[1]))


def test_sigmoid_heads_start_with_a_score_of_one_percent(tiny_model):
    model = tiny_model(**SELECTED)
    for head in (*model.decoder.class_embed, model.proposals.class_embed):
        assert_close(head.bias.sigmoid(), torch.full((2,), 0.01))


@pytest.mark.parametrize('changes', [{}, LITE], ids=['published', 'lite'])
def test_other_classes_keep_everything_but_the_class_heads(tiny_model, changes):
    model = tiny_model(**{**changes, 'class_names': ['object']})
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.reset_classes(('person', 'bike', 'vehicle'))
    assert model.config.class_names == ('person', 'bike', 'vehicle')
    fresh = tiny_model(**{**changes, 'class_names': ['person', 'bike', 'vehicle']})
    for name, value in model.state_dict().items():
        assert value.shape == fresh.state_dict()[name].shape
        if value.shape == before[name].shape:
            assert torch.equal(value, before[name]) or 'class_embed' in name
        else:
            assert 'class_embed' in name or 'label_embed' in name
    out = model.train()(torch.rand(1, 1, 64, 96), None, targets(2))
    assert out.logits.shape[-1] == model.config.num_logits


def test_a_one_channel_stem_sees_what_three_equal_channels_show(tiny_model):
    summed = tiny_model(stem='sum', backbone='efficientnet_lite0')
    copied = tiny_model(stem='copy', backbone='efficientnet_lite0')
    for name in ('neck', 'encoder', 'decoder'):
        getattr(summed, name).load_state_dict(getattr(copied, name).state_dict())
    published = copied.backbone.state_dict()
    summed.backbone.load_state_dict(summed.backbone.adapt_state_dict(published))
    images = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        assert_close(summed(images).logits, copied(images).logits, atol=1e-4, rtol=1e-4)


def test_stored_output_of_a_fixed_network_is_met():
    # Parameters and image follow from index arithmetic, so that no random generator matters.
    # Tolerance: other processors and PyTorch versions sum in another order.
    changes = {'backbone': 'efficientnet_lite0', 'd_model': 64, 'num_queries': 3}
    config = {**published(('person', 'car')), **LITE, **changes}
    model = make_model('fusion_detr', config, where='test').eval()
    with torch.no_grad():
        for index, (name, value) in enumerate(model.state_dict().items()):
            if value.dim() > 1 or name.endswith(('bias', '.w')):
                size = (3 / value[0].numel()) ** 0.5 if value.dim() > 1 else 0.5
                wave = torch.arange(value.numel(), dtype=torch.float64) * (0.7 + 0.01 * index)
                value.copy_((torch.sin(wave + index) * size).view(value.shape))
        y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing='ij')
        image = 0.5 + 0.4 * torch.sin(x / 7) * torch.cos(y / 5)
        out = model(image[None, None])
    assert_close(out.logits[0], torch.tensor(STORED_LOGITS), atol=2e-3, rtol=2e-3)
    assert_close(out.boxes[0], torch.tensor(STORED_BOXES), atol=2e-3, rtol=2e-3)
    assert_close(out.fusion.alpha_hat[0], torch.tensor(STORED_ALPHA), atol=2e-3, rtol=2e-3)


STORED_LOGITS = [
    [-0.37073, 1.22031],
    [-0.37074, 1.22030],
    [-0.37074, 1.22030],
]
STORED_BOXES = [
    [0.82159, -0.61594, 0.82742, 0.00500],
    [0.73826, -0.61593, 0.82730, 0.00500],
    [0.90496, -0.61590, 0.82738, 0.00500],
]
STORED_ALPHA = [0.03647, 0.07495, 0.03449, 0.85409]
