from __future__ import annotations

import pytest

from thermal_perception.class_sets import (
    background_label,
    bright_colours_of,
    colours_of,
    countable_labels,
    MFNET,
    PST900,
)


@pytest.mark.parametrize('known', [MFNET, PST900], ids=['mfnet', 'pst900'])
def test_id_to_colour_and_back_is_the_id(known):
    assert len(known.names) == len(known.colours)
    back = {colour: label for label, colour in enumerate(known.colours)}
    assert [back[colour] for colour in colours_of(known.names)] == list(range(len(known.names)))


def test_published_colours():
    assert colours_of(MFNET.names)[2] == (64, 64, 0)  # person
    assert colours_of(PST900.names)[4] == (255, 255, 255)  # rescue randy: white, not yellow


def test_bright_colours_are_square_roots():
    # of 64 x 255 and 128 x 255
    assert bright_colours_of(MFNET.names)[1] == (128, 0, 181)  # car, published as (64, 0, 128)
    assert bright_colours_of(PST900.names)[4] == (255, 255, 255)


def test_other_classes_get_different_colours_and_background_none():
    colours = colours_of(('unlabelled', 'road', 'person'))
    assert colours[0] == (0, 0, 0)
    assert len(set(colours)) == 3


def test_kerbs_and_guardrails_are_not_counted():
    names = [MFNET.names[label] for label in countable_labels(MFNET.names)]
    assert names == ['car', 'person', 'bike', 'car_stop', 'color_cone', 'bump']
    assert countable_labels(PST900.names) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ('names', 'label'),
    [(MFNET.names, 0), (PST900.names, 0), (('road', 'unlabelled'), 1), (('a', 'b'), None)],
)
def test_background_is_found_by_its_name(names, label):
    assert background_label(names) == label
