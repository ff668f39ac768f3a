"""Facts that hold for every layout."""

from __future__ import annotations

from typing import get_args

import pytest

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError, DatasetError
from training.datasets import DatasetConfig, LayoutName, LAYOUTS
from training.datasets.folder import list_records


def test_every_name_of_a_layout_has_a_reader():
    assert set(get_args(LayoutName)) == {*LAYOUTS, 'dair'}  # which is of another kind


def test_a_configuration_reads_coco_unless_it_says_otherwise():
    assert DatasetConfig('set').layout == 'coco'
    assert from_mapping(DatasetConfig, {'directory': 'set'}, where='x') == DatasetConfig('set')


def test_an_unknown_layout_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="'koko', expected one of coco, .*pairs"):
        from_mapping(DatasetConfig, {'directory': 'set', 'layout': 'koko'}, where='x')


@pytest.mark.parametrize('layout', sorted(set(LAYOUTS) - {'coco'}))
def test_a_folder_of_something_else_is_refused_with_what_is_there_and_what_should_be(
    layout, read, tmp_path
):
    (tmp_path / 'something_else').mkdir()
    with pytest.raises(DatasetError, match='something_else') as caught:
        read(layout)
    assert 'expected' in str(caught.value)


@pytest.mark.parametrize('layout', sorted(LAYOUTS))
def test_a_missing_folder_is_refused_by_name(layout, read, tmp_path):
    with pytest.raises(DatasetError, match=tmp_path.name):
        read(layout)


def test_a_layout_of_another_kind_is_refused_where_images_are_wanted(tmp_path):
    with pytest.raises(DatasetError, match="found layout 'dair', expected one of single images"):
        list_records(DatasetConfig('set', layout='dair'), ('car',), tmp_path)
