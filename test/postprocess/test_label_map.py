from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import torch

from thermal_perception.postprocess import label_map, top_labels


def test_every_pixel_gets_its_best_class_and_the_first_of_equals():
    logits = torch.tensor([[[[1.0, 0.0, 2.0]], [[0.5, 3.0, 2.0]]]])  # [1, 2 classes, 1, 3]
    labels = top_labels(logits)
    assert labels.dtype == torch.uint8
    assert labels.tolist() == [[[0, 1, 0]]]


def test_labels_do_not_depend_on_how_logits_lie_in_memory():
    logits = torch.randn(2, 5, 12, 8, generator=torch.Generator().manual_seed(0))
    as_channels_last = logits.contiguous(memory_format=torch.channels_last)
    assert torch.equal(top_labels(as_channels_last), top_labels(logits))


def test_logits_without_a_number_give_some_class():
    assert int(top_labels(torch.full((1, 3, 2, 2), torch.nan)).max()) < 3


def test_padding_is_cut_away():
    labels = torch.arange(12, dtype=torch.uint8).reshape(3, 4)
    assert_array_equal(label_map(labels, (2, 3), (2, 3)), [[0, 1, 2], [4, 5, 6]])


def test_a_resized_image_gets_its_labels_back_at_full_size():
    labels = torch.tensor([[1, 2, 9], [3, 4, 9]], dtype=torch.uint8)
    whole = label_map(labels, (2, 2), (4, 4))
    assert whole.dtype == np.uint8
    assert_array_equal(whole, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
