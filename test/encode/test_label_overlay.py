from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.class_sets import MFNET, PST900
from thermal_perception.encode import LabelPainter
from thermal_perception.types import SegmentationMask


def mask_of(labels, names=MFNET.names):
    return SegmentationMask(np.asarray(labels, np.uint8), names, 7, 'thermal_optical')


def test_classes_are_mixed_with_the_image_and_background_is_left_as_it_is():
    image = np.full((1, 3, 3), 100, np.uint8)
    painted = LabelPainter(MFNET.names).paint(image, mask_of([[0, 1, 3]]))
    # car is R, G, B 64, 0, 128, lifted to 128, 0, 181; bike 0, 128, 192 to 0, 181, 221
    assert_array_equal(painted[0], [[100, 100, 100], [140, 50, 114], [160, 140, 50]])
    assert image.max() == 100


def test_opaque_colours_are_different_for_all_classes():
    for known in (MFNET, PST900):
        labels = np.arange(len(known.names))[None]
        painter = LabelPainter(known.names, opacity=1.0)
        painted = painter.paint(np.zeros((1, labels.size, 3), np.uint8), mask_of(labels))
        assert len(np.unique(painted[0], axis=0)) == len(known.names)


def test_a_thermal_image_of_16_bits_shows_stretched_below():
    image = np.linspace(20_000, 21_000, 256).astype(np.uint16).reshape(16, 16)
    painted = LabelPainter(MFNET.names).paint(image, mask_of(np.zeros((16, 16))))
    assert painted.shape == (16, 16, 3)
    assert (painted.min(), painted.max()) == (0, 255)


def test_without_a_background_all_is_painted():
    names = ('road', 'sky')
    painted = LabelPainter(names, opacity=1.0).paint(
        np.full((1, 2), 9, np.uint8), mask_of([[0, 1]], names)
    )
    assert (painted[0] != 9).any(-1).all()


def test_a_label_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r'found an image \(2, 2\) and labels \(1, 2\)'):
        LabelPainter(MFNET.names).paint(np.zeros((2, 2), np.uint8), mask_of([[0, 1]]))
