from __future__ import annotations

import pytest
import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.errors import PreprocessError
from thermal_perception.models.padding import (
    batch_norm,
    blank,
    cells_of,
    enlarge,
    padding_around,
    padding_at,
    reduce,
)


def padded(size, valid, batch=1):
    """Return padding (B, H, W) of images whose first `valid` rows and columns count."""
    padding = torch.ones(batch, *size, dtype=torch.bool)
    padding[:, : valid[0], : valid[1]] = False
    return padding


def test_a_partly_padded_cell_counts_as_valid():
    padding = padding_at(padded((64, 96), (64, 70)), (2, 3))
    assert padding.tolist() == [[[False, False, False], [False, False, False]]]
    padding = padding_at(padded((64, 96), (32, 64)), (2, 3))
    assert padding.tolist() == [[[False, False, True], [True, True, True]]]


def test_no_padding_stays_no_padding_at_any_size():
    assert padding_at(None, (2, 3)) is None


@pytest.mark.parametrize('content', [(64, 96), (64, 65), (33, 96), (1, 1), (32, 64)])
@pytest.mark.parametrize('size', [(64, 96), (8, 12), (4, 6), (2, 3)])
def test_images_that_end_alike_have_cells_that_can_be_counted(content, size):
    images = torch.zeros(2, 1, 64, 96)
    padding = padding_around(content, images)
    if content == (64, 96):
        assert padding is None
        assert cells_of(content, (64, 96), size) == size
        return
    assert torch.equal(padding, padded((64, 96), content, batch=2))
    valid = ~padding_at(padding, size)
    rows, columns = cells_of(content, (64, 96), size)
    assert valid[:, :rows, :columns].all()
    assert valid.sum() == 2 * rows * columns


def test_blank_sets_padded_cells_to_zero():
    x = torch.ones(1, 2, 2, 2)
    assert blank(x, padded((2, 2), (1, 2)))[0, 1].tolist() == [[1, 1], [0, 0]]


def test_a_padding_may_be_of_the_pixels_that_a_map_was_made_from():
    pixels, cells = padded((8, 12), (4, 8)), padded((2, 3), (1, 2))
    x = torch.rand(1, 2, 2, 3)
    assert_close(blank(x, pixels), blank(x, cells))
    assert_close(enlarge(x, torch.Size((4, 6)), pixels), enlarge(x, torch.Size((4, 6)), cells))
    norm = nn.BatchNorm2d(2)
    assert_close(batch_norm(x, norm, pixels), batch_norm(x, norm, cells))


def test_reduce_averages_blocks():
    x = torch.tensor([[1.0, 3.0, 0.0, 0.0], [5.0, 7.0, 0.0, 8.0]])[None, None]
    assert_close(reduce(x, 2), torch.tensor([4.0, 2.0])[None, None, None])


@pytest.mark.parametrize('factor', [1, 2, 3, 4])
def test_reduce_equals_average_pooling(factor):
    x = torch.rand(2, 3, 12, 24)
    assert_close(reduce(x, factor), F.avg_pool2d(x, factor))


def test_reduce_averages_only_the_pixels_of_a_block_that_are_not_padded():
    x = torch.tensor([[1.0, 3.0, 5.0, 99.0], [1.0, 3.0, 7.0, 99.0]])[None, None]
    assert_close(reduce(x, 2, padded((2, 4), (2, 3))), torch.tensor([2.0, 6.0])[None, None, None])


def test_reduce_gives_zero_where_a_whole_block_is_padded():
    x = torch.full((1, 1, 2, 4), 9.0)
    assert reduce(x, 2, padded((2, 4), (2, 2))).flatten().tolist() == [9, 0]


def test_reduce_refuses_a_size_that_is_no_multiple():
    with pytest.raises(PreprocessError, match='found 6x9, expected multiples of 2'):
        reduce(torch.zeros(1, 1, 6, 9), 2)


def test_enlarge_interpolates_between_cell_centres():
    x = torch.tensor([0.0, 4.0])[None, None, None]
    found = enlarge(x, torch.Size((1, 4)))
    assert_close(found.flatten(), torch.tensor([0.0, 1.0, 3.0, 4.0]))


def test_enlarged_pixels_do_not_see_padded_cells():
    x = torch.rand(1, 3, 4, 5)
    x[..., 3:, :] = x[..., 4:] = 99.0
    found = enlarge(x, torch.Size((16, 20)), padded((4, 5), (3, 4)))
    expected = enlarge(x[..., :3, :4], torch.Size((12, 16)))
    assert_close(found[..., :12, :16], expected)


def test_batch_norm_learns_from_the_cells_that_are_not_padded():
    x = torch.randn(2, 4, 6, 7) * 3 + 1
    x[..., 4:, :] = x[..., 5:] = 99.0
    ours, theirs = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    found = batch_norm(x, ours, padded((6, 7), (4, 5), batch=2))
    assert_close(found[..., :4, :5], theirs(x[..., :4, :5]))
    assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize(
    'layout', [torch.contiguous_format, torch.channels_last], ids=['rows', 'channels last']
)
def test_gradients_of_batch_norm_are_those_without_the_padding(layout):
    x = (torch.randn(2, 4, 6, 7) * 3 + 1).contiguous(memory_format=layout)
    weights = torch.randn(2, 4, 4, 5)
    ours, theirs = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    gradients = []
    for norm, padding in ((ours, padded((6, 7), (4, 5), batch=2)), (theirs, None)):
        leaf = x.clone().requires_grad_()
        shown = leaf if padding is not None else leaf[..., :4, :5].contiguous()
        (batch_norm(shown, norm, padding)[..., :4, :5] * weights).sum().backward()
        gradients.append(leaf.grad)
    assert_close(*gradients)
    assert_close(ours.weight.grad, theirs.weight.grad)
    assert_close(ours.bias.grad, theirs.bias.grad)


def test_batch_norm_that_does_not_train_keeps_its_statistics():
    norm = nn.BatchNorm2d(4).eval()
    x = torch.randn(2, 4, 6, 7)
    assert_close(batch_norm(x, norm, padded((6, 7), (4, 5), batch=2)), norm(x))
    assert norm.num_batches_tracked == 0
