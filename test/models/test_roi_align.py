"""Regions of maps: numbers by hand, a slow loop over the definition, and every odd box."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.errors import GeometryError
from thermal_perception.models.boxes import cxcywh_to_xyxy
from thermal_perception.models.roi_align import (
    flatten_pyramid,
    pyramid_levels,
    pyramid_roi_align,
    roi_align,
    rotated_roi_align,
)

STRIDES = (4, 8, 16, 32)


def random_map(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_pyramid(batch=2, channels=3, height=128, width=160):
    return {s: random_map(batch, channels, height // s, width // s, seed=s) for s in STRIDES}


def ramp(height, width):
    """Return a map (1, 2, height, width) whose cells hold their own x and y, counted in cells."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    return torch.stack((x, y))[None].float()


def first(count=1):
    return torch.zeros(count, dtype=torch.int64)


def read_point(channel, x, y):
    """Read a map (rows of numbers) at x, y, where cell i lies at i; from the definition."""
    height, width = len(channel), len(channel[0])
    if not (-1 <= x <= width and -1 <= y <= height):
        return 0.0
    x, y = min(max(x, 0.0), width - 1), min(max(y, 0.0), height - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    upper = channel[top][left] * (left + 1 - x) + channel[top][right] * (x - left)
    lower = channel[bottom][left] * (left + 1 - x) + channel[bottom][right] * (x - left)
    return upper * (top + 1 - y) + lower * (y - top)


def slow_roi_align(channel, box, *, size, ratio, stride):
    """Read a box, (x1, y1, x2, y2) or (cx, cy, w, h, angle), from one channel, point by point."""
    upright = len(box) == 4
    w, h = (box[2] - box[0], box[3] - box[1]) if upright else box[2:4]
    cx, cy = (box[0] + w / 2, box[1] + h / 2) if upright else box[:2]
    angle = 0.0 if upright else box[4]
    bins = torch.zeros(size, size)
    for row in range(size):
        for column in range(size):
            for i in range(ratio):
                for k in range(ratio):
                    along = ((column + (k + 0.5) / ratio) / size - 0.5) * w
                    beside = ((row + (i + 0.5) / ratio) / size - 0.5) * h
                    x = cx + along * math.cos(angle) - beside * math.sin(angle)
                    y = cy + along * math.sin(angle) + beside * math.cos(angle)
                    value = read_point(channel, x / stride - 0.5, y / stride - 0.5)
                    bins[row, column] += value / ratio**2
    return bins


def slow_batch(features, boxes, batch_index, **options):
    return torch.stack(
        [
            torch.stack([slow_roi_align(c.tolist(), box.tolist(), **options) for c in features[b]])
            for box, b in zip(boxes, batch_index)
        ]
    )


def test_ramp_is_read_exactly_at_the_centres_of_the_bins():
    # From 8 to 40 and from 16 to 32 pixels is 2 to 10 and 4 to 8 cells of 4 pixels; a cell's own
    # centre is half a cell in, so that bins of 4 x 2 cells have their centres at 3.5 and 4.5.
    box = torch.tensor([[8.0, 16.0, 40.0, 32.0]])
    x, y = roi_align(ramp(12, 12), box, first(), size=2, sampling_ratio=2, stride=4)[0]
    assert_close(x, torch.tensor([[3.5, 7.5], [3.5, 7.5]]))
    assert_close(y, torch.tensor([[4.5, 4.5], [6.5, 6.5]]))


def test_box_of_one_cell_reads_that_cell():
    features = random_map(1, 3, 5, 7)
    box = torch.tensor([[4 * 8.0, 2 * 8.0, 5 * 8.0, 3 * 8.0]])
    bins = roi_align(features, box, first(), size=1, sampling_ratio=1, stride=8)
    assert_close(bins[0, :, 0, 0], features[0, :, 2, 4])


@pytest.mark.parametrize(
    ('box', 'expected'),
    [
        pytest.param([-1.0, 1, 1, 3], 5.0, id='on the edge'),
        pytest.param([-1.4, 1, 0.6, 3], 5.0, id='less than a cell off the first'),
        pytest.param([-1.6, 1, 0.4, 3], 0.0, id='further off'),
        pytest.param([3.4, 1, 5.4, 3], 5.0, id='less than a cell off the last'),
        pytest.param([3.6, 1, 5.6, 3], 0.0, id='further off there'),
        pytest.param([-90, -90, -80, -80], 0.0, id='far away'),
        pytest.param([-1.6, -1.6, 0.4, 0.4], 0.0, id='in the corner'),
    ],
)
def test_point_off_the_map_reads_its_edge_up_to_one_cell(box, expected):
    # Of one point, in the middle of the box; cell 0 of the map lies at 0.5 pixels.
    features = torch.full((1, 1, 4, 4), 5.0)
    bins = roi_align(features, torch.tensor([box]), first(), size=1, sampling_ratio=1, stride=1)
    assert bins.item() == pytest.approx(expected)


def test_point_exactly_one_cell_off_the_last_corner_reads_that_corner():
    features = random_map(2, 1, 4, 5)
    boxes = torch.tensor([[4.5, 3.5, 6.5, 5.5]] * 2)  # about (5.5, 4.5), cell (5, 4) of (4, 3)
    bins = roi_align(features, boxes, torch.arange(2), size=1, sampling_ratio=1, stride=1)
    assert_close(bins[:, 0, 0, 0], features[:, 0, 3, 4])


def boxes_around(width, height, *, seed):
    """Return 40 boxes cxcywha about a picture: small, large, partly or wholly out of it."""
    generator = torch.Generator().manual_seed(seed)
    centre, size = torch.rand(2, 40, 2, generator=generator) * torch.tensor([width, height])
    angle = torch.randn(40, 1, generator=generator) * 2
    return torch.cat((centre * 1.4 - 0.2 * centre.amax(0), size, angle), 1)


@pytest.mark.parametrize(('size', 'ratio'), [(1, 1), (2, 3), (3, 2), (7, 2)])
def test_upright_boxes_equal_a_slow_loop(size, ratio):
    features = random_map(2, 2, 9, 11)
    boxes = cxcywh_to_xyxy(boxes_around(88, 72, seed=size)[:, :4])
    index = torch.arange(40) % 2
    bins = roi_align(features, boxes, index, size=size, sampling_ratio=ratio, stride=8)
    slow = slow_batch(features, boxes, index, size=size, ratio=ratio, stride=8)
    assert_close(bins, slow, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(('size', 'ratio'), [(1, 1), (2, 3), (3, 2), (7, 2)])
def test_turned_boxes_equal_a_slow_loop(size, ratio):
    features = random_map(2, 2, 9, 11)
    boxes = boxes_around(88, 72, seed=size)
    index = torch.arange(40) % 2
    bins = rotated_roi_align(features, boxes, index, size=size, sampling_ratio=ratio, stride=8)
    slow = slow_batch(features, boxes, index, size=size, ratio=ratio, stride=8)
    assert_close(bins, slow, atol=1e-4, rtol=1e-4)


def test_angle_zero_equals_the_upright_box():
    features = random_map(1, 4, 16, 20)
    upright = torch.tensor([[10.0, 20, 90, 60], [-20, 30, 40, 170]])
    turned = torch.tensor([[50.0, 40, 80, 40, 0], [10, 100, 60, 140, 0]])
    options = {'size': 7, 'sampling_ratio': 2, 'stride': 8}
    assert_close(
        rotated_roi_align(features, turned, first(2), **options),
        roi_align(features, upright, first(2), **options),
        atol=1e-4,
        rtol=1e-4,
    )


def test_quarter_turn_of_picture_and_box_gives_the_same_values():
    features = random_map(1, 3, 12, 12)
    options = {'size': 4, 'sampling_ratio': 2, 'stride': 4}
    box = torch.tensor([[20.0, 30.0, 24.0, 10.0, 0.3]])
    # From x towards y about the centre (24, 24): (x, y) goes to (48 - y, x).
    turned = torch.tensor([[48.0 - 30, 20.0, 24.0, 10.0, 0.3 + math.pi / 2]])
    picture = features.rot90(-1, (2, 3))
    assert_close(
        rotated_roi_align(picture, turned, first(), **options),
        rotated_roi_align(features, box, first(), **options),
        atol=1e-5,
        rtol=1e-5,
    )


def test_turned_box_reads_a_ramp_along_its_own_sides():
    # Centre (32, 24) pixels, 16 long, turned by 90 degrees: the width runs down. One cell is a
    # pixel; points are a quarter of the width off the centre.
    box = torch.tensor([[32.0, 24.0, 16.0, 8.0, math.pi / 2]])
    x, y = rotated_roi_align(ramp(48, 64), box, first(), size=2, sampling_ratio=2, stride=1)[0]
    assert_close(x, torch.tensor([[33.5, 33.5], [29.5, 29.5]]))
    assert_close(y, torch.tensor([[19.5, 27.5], [19.5, 27.5]]))


@pytest.mark.parametrize(
    ('side', 'stride'),
    [(0, 4), (1, 4), (111, 4), (112, 8), (223, 8), (224, 16), (447, 16), (448, 32), (9999, 32)],
)
def test_side_of_224_pixels_belongs_to_stride_16(side, stride):
    assert STRIDES[pyramid_levels(torch.tensor(float(side**2)), STRIDES)] == stride


def test_levels_follow_the_published_formula():
    sides = torch.linspace(1, 1200, 4321)
    formula = (4 + (sides / 224).log2()).floor().clamp(2, 5) - 2
    assert_close(pyramid_levels(sides.square(), STRIDES), formula.long())


def test_pyramid_is_read_at_the_level_of_each_box():
    pyramid = random_pyramid(height=512, width=640)
    boxes = torch.tensor(
        [[9.0, 8, 99, 70], [9, 8, 209, 140], [30, 20, 330, 333], [0, 0, 600, 500]]
    )
    boxes = torch.stack((boxes, boxes.flip(0)))
    bins = pyramid_roi_align(pyramid, boxes, size=3, sampling_ratio=2)
    assert bins.shape == (2, 4, 3, 3, 3)
    for image, order in enumerate((STRIDES, STRIDES[::-1])):
        for box, stride, found in zip(boxes[image], order, bins[image]):
            options = {'size': 3, 'sampling_ratio': 2, 'stride': stride}
            index = torch.tensor([image])
            assert_close(found, roi_align(pyramid[stride], box[None], index, **options)[0])


def test_level_of_a_turned_box_depends_on_its_own_sides_not_on_its_hull():
    pyramid = {s: torch.full((1, 1, 512 // s, 640 // s), float(s)) for s in STRIDES}
    boxes = torch.tensor([[[320.0, 256, 300, 40, 0], [320, 256, 300, 40, 0.8]]])
    bins = pyramid_roi_align(pyramid, boxes, size=2, sampling_ratio=1)
    assert_close(bins, torch.full((1, 2, 1, 2, 2), 4.0))  # sqrt(300 * 40) is 110


@pytest.mark.parametrize('box', [[600.0, 600, 200, 200], [300.0, 300, -400, -400, 0.0]])
def test_box_that_is_inside_out_counts_as_small(box):
    pyramid = {s: torch.full((1, 1, 640 // s, 640 // s), float(s)) for s in STRIDES}
    bins = pyramid_roi_align(pyramid, torch.tensor([[box]]), size=2, sampling_ratio=1)
    assert_close(bins, torch.full((1, 1, 1, 2, 2), 4.0))


def test_area_of_a_half_precision_box_does_not_overflow():
    pyramid = {s: torch.full((1, 1, 640 // s, 640 // s), float(s)) for s in STRIDES}
    box = torch.tensor([[[300.0, 300, 400, 400, 0.0]]], dtype=torch.float16)
    bins = pyramid_roi_align(pyramid, box, size=2, sampling_ratio=1)
    assert_close(bins, torch.full((1, 1, 1, 2, 2), 16.0))


def test_flat_pyramid_serves_as_the_pyramid_does():
    pyramid = random_pyramid()
    flat = flatten_pyramid(dict(reversed(pyramid.items())))
    boxes = random_map(2, 5, 4).abs() * 50
    options = {'size': 7, 'sampling_ratio': 2}
    assert torch.equal(
        pyramid_roi_align(flat, boxes, **options), pyramid_roi_align(pyramid, boxes, **options)
    )


def test_maps_that_are_channels_last_give_the_same():
    pyramid = random_pyramid(channels=8)
    last = {s: x.to(memory_format=torch.channels_last) for s, x in pyramid.items()}
    boxes = random_map(2, 5, 4).abs() * 50
    options = {'size': 7, 'sampling_ratio': 2}
    assert torch.equal(
        pyramid_roi_align(last, boxes, **options), pyramid_roi_align(pyramid, boxes, **options)
    )


@pytest.mark.parametrize('values', [4, 5])
def test_no_boxes_give_no_regions_and_zero_gradients(values):
    pyramid = {s: x.requires_grad_() for s, x in random_pyramid().items()}
    bins = pyramid_roi_align(pyramid, torch.zeros(2, 0, values), size=7, sampling_ratio=2)
    assert bins.shape == (2, 0, 3, 7, 7)
    bins.sum().backward()
    assert all(not x.grad.any() for x in pyramid.values())


def test_box_without_size_reads_its_point_in_every_bin():
    point = torch.tensor([[10.0, 6.0, 10.0, 6.0]])
    x, y = roi_align(ramp(8, 8), point, first(), size=2, sampling_ratio=2, stride=2)[0]
    assert_close(x, torch.full((2, 2), 4.5))
    assert_close(y, torch.full((2, 2), 2.5))


def test_negative_side_mirrors():
    features = random_map(1, 3, 10, 10)
    options = {'size': 3, 'sampling_ratio': 2, 'stride': 4}
    box = torch.tensor([[4.0, 8, 30, 20]])
    mirrored = roi_align(features, box[:, [2, 1, 0, 3]], first(), **options)
    assert_close(mirrored.flip(-1), roi_align(features, box, first(), **options))


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf, 1e30])
def test_box_that_is_nowhere_reads_zero_and_spoils_no_other(bad):
    pyramid = random_pyramid(batch=1)
    boxes = torch.tensor([[[10.0, 20, 50, 60, 0.5], [bad, 20, 50, 60, 0.5]]])
    bins = pyramid_roi_align(pyramid, boxes, size=2, sampling_ratio=2)
    assert not bins[0, 1].any()
    assert_close(bins[:, :1], pyramid_roi_align(pyramid, boxes[:, :1], size=2, sampling_ratio=2))


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (1, 6), (6, 1)])
def test_map_of_a_single_row_or_column_is_read(height, width):
    features = random_map(2, 3, height, width)
    boxes = torch.tensor([[0.0, 0, 32 * width, 32 * height]] * 2)
    index = torch.tensor([1, 0])
    bins = roi_align(features, boxes, index, size=3, sampling_ratio=2, stride=32)
    slow = slow_batch(features, boxes, index, size=3, ratio=2, stride=32)
    assert_close(bins, slow, atol=1e-5, rtol=1e-5)


def test_gradient_is_the_share_that_each_cell_had():
    # One point in the middle of four cells.
    features = torch.zeros(1, 1, 4, 4, requires_grad=True)
    box = torch.tensor([[1.0, 1, 3, 3]])
    roi_align(features, box, first(), size=1, sampling_ratio=1, stride=1).sum().backward()
    expected = torch.zeros(4, 4)
    expected[1:3, 1:3] = 0.25
    assert_close(features.grad[0, 0], expected)


@pytest.mark.parametrize(
    'box',
    [
        pytest.param([20.0, 20, 30, 15, 0.3], id='inside'),
        pytest.param([1.0, 1, 50, 15, 0.3], id='over the edge'),
        pytest.param([20.0, 20, 0, 0, 0], id='a point'),
        pytest.param([20.0, 20, -9, 5, 0], id='inside out'),
        pytest.param([-900.0, 20, 30, 15, 0.3], id='outside'),
    ],
)
def test_gradients_of_features_and_boxes_are_finite(box):
    features = random_map(1, 2, 10, 10).requires_grad_()
    box = torch.tensor([box], requires_grad=True)
    bins = rotated_roi_align(features, box, first(), size=3, sampling_ratio=2, stride=4)
    bins.square().sum().backward()
    assert features.grad.isfinite().all()
    assert box.grad.isfinite().all()


def test_box_learns_where_the_ramp_rises():
    # The value in the middle of a box is its centre: moving it by a pixel is 1 / stride of a cell.
    box = torch.tensor([[20.0, 22, 8, 8, 0.0]], requires_grad=True)
    bins = rotated_roi_align(ramp(10, 10), box, first(), size=1, sampling_ratio=2, stride=4)
    bins[0, 0].sum().backward()
    assert_close(box.grad, torch.tensor([[0.25, 0, 0, 0, 0]]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_maps_are_read_at_exact_places(dtype):
    # 601 pixels is no number of bfloat16: coordinates that were rounded would read another cell.
    features = torch.zeros(1, 1, 8, 160, dtype=dtype)
    features[..., 150] = 1
    box = torch.tensor([[601.0, 12, 603, 16]])
    with torch.autocast('cpu', dtype):
        bins = roi_align(features, box, first(), size=1, sampling_ratio=1, stride=4)
    assert bins.dtype == dtype
    assert_close(bins.item(), 1.0)


def test_half_precision_agrees_with_full():
    pyramid = random_pyramid()
    half = {s: x.bfloat16().requires_grad_() for s, x in pyramid.items()}
    boxes = torch.tensor([[[9.0, 8, 99, 70], [9, 8, 150, 120]]] * 2)
    options = {'size': 7, 'sampling_ratio': 2}
    bins = pyramid_roi_align(half, boxes, **options)
    assert_close(bins.float(), pyramid_roi_align(pyramid, boxes, **options), atol=0.03, rtol=0.03)
    bins.sum().backward()
    assert half[4].grad.isfinite().all()


@pytest.mark.parametrize('values', [4, 5])
def test_exported_graph_equals_eager(values):
    class Reader(torch.nn.Module):
        def forward(self, p2, p3, p4, p5, boxes):
            pyramid = dict(zip(STRIDES, (p2, p3, p4, p5)))
            return pyramid_roi_align(pyramid, boxes, size=7, sampling_ratio=2)

    inputs = (*random_pyramid().values(), random_map(2, 6, values).abs() * 60)
    expected = Reader()(*inputs)
    exported = torch.export.export(Reader(), inputs)
    assert 'embedding_bag' not in str(exported.graph)  # which run-times do not know
    assert_close(exported.module()(*inputs), expected)


@pytest.mark.parametrize(
    ('read', 'shape', 'expected'),
    [
        (roi_align, (3, 5), r'boxes: found \(3, 5\), expected \(R, 4\)'),
        (rotated_roi_align, (3, 4), r'boxes: found \(3, 4\), expected \(R, 5\)'),
    ],
)
def test_boxes_of_the_other_kind_are_refused(read, shape, expected):
    with pytest.raises(GeometryError, match=expected):
        read(ramp(4, 4), torch.zeros(shape), first(3), size=2, sampling_ratio=1, stride=4)


def test_pyramid_refuses_boxes_without_a_batch():
    with pytest.raises(GeometryError, match=r'found \(3, 4\), expected \(B, N, 4 or 5\)'):
        pyramid_roi_align(random_pyramid(), torch.zeros(3, 4), size=2, sampling_ratio=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_graphics_card_agrees_and_can_record_it():
    pyramid = {s: x.cuda() for s, x in random_pyramid().items()}
    boxes = (random_map(2, 9, 5).abs() * 60).cuda()
    options = {'size': 7, 'sampling_ratio': 2}
    eager = pyramid_roi_align(pyramid, boxes, **options)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = pyramid_roi_align(pyramid, boxes, **options)
    graph.replay()
    assert_close(recorded, eager)
    expected = pyramid_roi_align(random_pyramid(), boxes.cpu(), **options)
    assert_close(eager.cpu(), expected, atol=1e-4, rtol=1e-4)
