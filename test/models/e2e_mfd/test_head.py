from __future__ import annotations

from diffusion_heads import image_sizes, random_pyramid, tiny_head
import pytest
import torch
from torch.testing import assert_close

from thermal_perception.errors import ConfigError
from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig
from thermal_perception.models.e2e_mfd.diffusion import noised_proposals
from thermal_perception.models.e2e_mfd.head import (
    DiffusionHead,
    DynamicConv,
    Modulation,
    sine_time,
)

KINDS = pytest.mark.parametrize('kind', ['upright', 'oriented'])


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def start_boxes(head, batch=1, seed=3):
    generator = torch.Generator().manual_seed(seed)
    empty = [torch.zeros(0, head.config.box_values)] * batch
    return noised_proposals(empty, head.config, head.schedule, generator).boxes


def run(head, pyramid, sizes, boxes=None, t=500):
    boxes = start_boxes(head, len(sizes)) if boxes is None else boxes
    return head(pyramid, boxes, torch.full((len(sizes),), t), sizes)


@pytest.mark.parametrize(('classes', 'stage', 'head'), [
    (6, 13_741_194, 83_759_932),
    (80, 13_760_212, 83_874_040),
])  # fmt: skip
def test_published_head_has_the_published_number_of_parameters(classes, stage, head):
    with torch.device('meta'):
        model = DiffusionHead(DiffusionHeadConfig(), 256, classes)
    assert parameters(model.stages[0]) == stage
    assert parameters(model) == head


@KINDS
@pytest.mark.parametrize('size', [(64, 96), (96, 32)])
def test_head_gives_logits_and_boxes_at_every_stage(kind, size):
    head = tiny_head(boxes=kind, classes=3)
    outputs = run(head, random_pyramid(*size, batch=2), image_sizes(size, size))
    assert len(outputs) == 2
    for output in outputs:
        assert output.logits.shape == (2, 12, 3)
        assert output.boxes.shape == (2, 12, 5 if kind == 'oriented' else 4)
        assert output.boxes.dtype == torch.float32
        assert output.logits.isfinite().all()
        assert output.boxes.isfinite().all()


@pytest.mark.parametrize('classes', [3, 4, 8])
def test_start_when_classes_are_as_many_as_other_features_sets_class_biases_alone(classes):
    head = tiny_head(classes=classes)  # 4 values of a box, 8 features
    for stage in head.stages:
        assert_close(stage.class_logits.bias.sigmoid(), torch.full((classes,), 0.01))
        assert (stage.box_hidden[0][0].weight != 0).any()
        assert (stage.box_deltas.bias == 0).all()
        assert (stage.norm1.bias == 0).all()


@KINDS
def test_start_leaves_boxes_in_place(kind):
    head = tiny_head(boxes=kind)
    boxes = start_boxes(head)
    assert_close(run(head, random_pyramid(), image_sizes((64, 96)), boxes)[-1].boxes, boxes)


def test_time_when_scale_and_shift_are_zero_leaves_features_unchanged():
    modulation = Modulation(8, 20)
    modulation.start_at_identity()
    features = torch.randn(2, 5, 8)
    assert torch.equal(modulation(features, torch.randn(2, 20)), features)


def test_time_scales_and_shifts_the_features_of_its_image():
    modulation = Modulation(2, 1)
    with torch.no_grad():
        modulation.linear.weight.zero_()
        modulation.linear.bias.copy_(torch.tensor([0.5, -1.0, 3.0, 4.0]))
    features = torch.tensor([[[2.0, 7.0]]])
    assert_close(modulation(features, torch.zeros(1, 1)), torch.tensor([[[6.0, 4.0]]]))


def test_time_when_learned_changes_the_predictions():
    head, pyramid, sizes = tiny_head(lively=True), random_pyramid(), image_sizes((64, 96))
    early, late = (run(head, pyramid, sizes, t=t)[-1] for t in (0, 999))
    assert not torch.allclose(early.logits, late.logits, atol=1e-3)


def test_embedding_of_time_is_sines_then_cosines_from_fast_to_slow():
    embedded = sine_time(torch.tensor([0, 3]), 4)
    expected = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.14112, 3e-4, -0.98999, 1.0]])
    assert_close(embedded, expected, atol=1e-5, rtol=0)  # sin 3, sin 3e-4, cos 3, cos 3e-4


def test_dynamic_convolution_is_two_matrix_products_per_proposal():
    torch.manual_seed(0)
    layer = DynamicConv(width=6, inner=4, cells=9)
    proposals, regions = torch.randn(2, 3, 6), torch.randn(2, 3, 9, 6)
    expected = torch.empty(2, 3, 6)
    for b in range(2):
        for n in range(3):
            filters = layer.filters(proposals[b, n])
            hidden = layer.norm1(regions[b, n] @ filters[:24].reshape(6, 4)).relu()
            back = layer.norm2(hidden @ filters[24:].reshape(4, 6)).relu()
            expected[b, n] = layer.norm3(layer.out(back.reshape(54))).relu()
    assert_close(layer(proposals, regions), expected)


@KINDS
def test_batch_gives_what_each_image_gives_alone(kind):
    head, pyramid = tiny_head(boxes=kind, lively=True), random_pyramid(batch=2)
    sizes = image_sizes((64, 96), (50, 70))
    boxes, t = start_boxes(head, 2), torch.tensor([10, 900])
    together = head(pyramid, boxes, t, sizes)[-1]
    for i in range(2):
        one = slice(i, i + 1)
        alone = head({s: p[one] for s, p in pyramid.items()}, boxes[one], t[one], sizes[one])[-1]
        assert_close(together.logits[one], alone.logits, atol=1e-4, rtol=1e-4)
        assert_close(together.boxes[one], alone.boxes, atol=1e-4, rtol=1e-4)


def test_order_of_proposals_does_not_matter():
    head, pyramid, sizes = tiny_head(), random_pyramid(), image_sizes((64, 96))
    boxes = start_boxes(head)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    straight = run(head, pyramid, sizes, boxes)[-1]
    shuffled = run(head, pyramid, sizes, boxes[:, order])[-1]
    assert_close(straight.boxes[:, order], shuffled.boxes, atol=1e-4, rtol=1e-4)


def test_padding_of_the_batch_moves_no_box():
    head = tiny_head()
    pyramid, sizes = random_pyramid(64, 64), image_sizes((64, 64))
    wider = {s: torch.nn.functional.pad(p, (0, 64 // s)) for s, p in pyramid.items()}
    boxes = torch.tensor([0.4, 0.5, 0.2, 0.3]).expand(1, 12, 4)
    assert_close(run(head, pyramid, sizes, boxes)[0], run(head, wider, sizes, boxes)[0])


@KINDS
def test_every_parameter_gets_a_gradient(kind):
    head = tiny_head(boxes=kind, lively=True)
    outputs = run(head, random_pyramid(), image_sizes((64, 96)))
    sum(o.logits.square().sum() + o.boxes.square().sum() for o in outputs).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A constant added to all keys of an attention changes nothing.
        part = parameter.grad[8:16] if name.endswith('in_proj_bias') else None
        assert (parameter.grad != 0).any(), name
        assert part is None or (part.abs() < 1e-3).all()


def test_boxes_carry_no_gradient_from_stage_to_stage():
    head = tiny_head()
    outputs = run(head, random_pyramid(), image_sizes((64, 96)))
    outputs[1].boxes.sum().backward()
    assert all(p.grad is None for p in head.stages[0].box_hidden.parameters())
    assert head.stages[0].dynamic.filters.weight.grad is not None  # features do carry one


@KINDS
@pytest.mark.parametrize('mixed', [True, False], ids=['autocast', 'all bfloat16'])
def test_half_precision_keeps_boxes_in_full(kind, mixed):
    head, pyramid, sizes = tiny_head(boxes=kind), random_pyramid(), image_sizes((64, 96))
    boxes = start_boxes(head)
    full = run(head, pyramid, sizes, boxes)[0]
    head = head if mixed else head.bfloat16()
    with torch.autocast('cpu', torch.bfloat16, enabled=mixed):
        half = run(head, {s: p.bfloat16() for s, p in pyramid.items()}, sizes, boxes)[0]
    assert half.boxes.dtype == torch.float32
    assert_close(half.boxes, full.boxes, atol=1e-3, rtol=0)
    assert_close(half.logits.float(), full.logits, atol=0.1, rtol=0)


def test_state_when_saved_and_loaded_gives_the_same_boxes():
    head, pyramid, sizes = tiny_head(lively=True), random_pyramid(), image_sizes((64, 96))
    other = DiffusionHead(head.config, 8, 3).eval()
    other.load_state_dict(head.state_dict())
    assert torch.equal(run(head, pyramid, sizes)[-1].boxes, run(other, pyramid, sizes)[-1].boxes)


def test_state_does_not_hold_the_noise():
    assert not [name for name in tiny_head().state_dict() if 'noise' in name]


@KINDS
def test_one_batch_can_be_learned_by_heart(kind):
    head, pyramid, sizes = tiny_head(boxes=kind).train(), random_pyramid(), image_sizes((64, 96))
    target = torch.tensor([[0.3, 0.4, 0.2, 0.1, 0.5], [0.7, 0.6, 0.3, 0.2, -1.2]])
    boxes = start_boxes(head)
    target = target[(boxes[0, :, 0] > 0.5).long(), : head.config.box_values]
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        units = [head.code.to_unit(o.boxes[0]) for o in run(head, pyramid, sizes, boxes)]
        losses.append(sum((unit - head.code.to_unit(target)).abs().mean() for unit in units))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]


def test_head_when_the_width_is_odd_says_so():
    with pytest.raises(ConfigError, match='found 9, expected an even number'):
        DiffusionHead(DiffusionHeadConfig(num_heads=3), 9, 2)
