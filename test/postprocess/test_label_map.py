from __future__ import annotations

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.testing import assert_array_equal
import pytest
import torch
import torch.nn.functional as F

from thermal_perception.postprocess import label_map


def enlarged(logits, cell):
    """Return the best class of every pixel the slow way: of logits enlarged to full size."""
    size = (logits.shape[1] * cell, logits.shape[2] * cell)
    return F.interpolate(logits[None], size=size, mode='bilinear')[0].argmax(0).numpy()


def test_two_cells_share_the_pixels_between_them():
    logits = torch.tensor([[[3.0, 0.0]], [[0.0, 1.0]]])  # [classes, 1, 2]
    # Between the middles of both cells, at pixels 2.5, 3.5 .. of 4 each, the lead of class 0
    # falls from 3 by 4 over 4 pixels: it is 2.5, 1.5, 0.5 and -0.5.
    expected = [[0, 0, 0, 0, 0, 1, 1, 1]]
    assert_array_equal(label_map(logits, 4, (1, 8), (1, 8)), expected)


@settings(max_examples=40)
@given(
    st.integers(0, 10**6), st.sampled_from([2, 4, 8]), st.tuples(*[st.integers(1, 6)] * 2)
)
def test_labels_are_those_of_enlarged_logits(seed, cell, cells):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, *cells, generator=generator)
    size = (cells[0] * cell, cells[1] * cell)
    assert_array_equal(label_map(logits, cell, size, size), enlarged(logits, cell))


def test_labels_do_not_depend_on_how_logits_lie_in_memory():
    logits = torch.randn(1, 5, 12, 8, generator=torch.Generator().manual_seed(0))
    as_channels_last = logits.contiguous(memory_format=torch.channels_last)
    both = [label_map(x[0], 4, (48, 32), (48, 32)) for x in (logits, as_channels_last)]
    assert_array_equal(*both)


@pytest.mark.parametrize('value', [torch.nan, torch.inf, 0.0])
def test_logits_that_tell_nothing_give_some_class(value):
    labels = label_map(torch.full((3, 2, 2), value), 4, (8, 8), (8, 8))
    assert labels.shape == (8, 8)
    assert labels.max() < 3


def test_cells_outside_the_image_have_no_say():
    logits = torch.zeros(3, 3, 3)
    logits[1, :2, :2] = 1.0
    logits[2, 2], logits[2, :, 2] = 9.0, 9.0
    labels = label_map(logits, 4, (7, 5), (7, 5))  # two cells each way, the second ones cut
    assert_array_equal(labels, np.ones((7, 5), np.uint8))


def test_a_resized_image_gets_its_labels_back_at_full_size():
    logits = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    whole = label_map(logits, 2, (2, 4), (4, 8))
    assert whole.dtype == np.uint8
    assert_array_equal(whole, [[0, 0, 0, 0, 1, 1, 1, 1]] * 4)
