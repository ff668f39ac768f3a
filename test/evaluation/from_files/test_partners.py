"""Files of one name in several folders: found, left out with a count, or missed by name."""

from __future__ import annotations

import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.from_files.partners import find_partners, read_names


@pytest.fixture
def folders(tmp_path):
    """Return a function that makes folders of empty files."""

    def make(**files):
        for side, names in files.items():
            (tmp_path / side).mkdir()
            for name in names.split():
                (tmp_path / side / name).touch()
        sources = {side: tmp_path / side for side in files if side != 'fused'}
        return sources, ('fused', tmp_path / 'fused')

    return make


def test_files_of_a_name_belong_together_whatever_their_suffix(folders, tmp_path):
    found = find_partners(*folders(thermal='b.jpg a.jpg', rgb='a.png b.bmp', fused='a.tif b.PNG'))
    assert [{side: path.name for side, path in row.items()} for row in found.rows] == [
        {'thermal': 'a.jpg', 'rgb': 'a.png', 'fused': 'a.tif'},
        {'thermal': 'b.jpg', 'rgb': 'b.bmp', 'fused': 'b.PNG'},
    ]
    assert found.left_out == {}


def test_sources_without_a_result_are_left_out_by_name(folders):
    found = find_partners(*folders(thermal='a.png b.png c.png', rgb='a.png b.png', fused='b.png'))
    assert len(found.rows) == 1
    assert found.left_out == {'thermal': ('a', 'c'), 'rgb': ('a',)}


def test_result_without_a_source_is_an_error_with_count_and_first_name(folders):
    made = folders(thermal='a.png', rgb='a.png b.png c.png', fused='a.png c.png b.png')
    with pytest.raises(
        DatasetError,
        match=r'thermal: holds no image for 2 of the 3 names of .*fused, the first is b',
    ):
        find_partners(*made)


def test_list_of_names_chooses_and_every_side_must_have_them(folders, tmp_path):
    made = folders(thermal='a.png b.png c.png', rgb='a.png b.png c.png', fused='a.png b.png')
    (tmp_path / 'test.txt').write_text('b\r\n\na.jpg\n')
    found = find_partners(*made, tmp_path / 'test.txt')
    assert [row['fused'].stem for row in found.rows] == ['a', 'b']
    assert found.left_out == {}
    (tmp_path / 'test.txt').write_text('a\nc\n')
    with pytest.raises(DatasetError, match=r'fused: holds no image for 1 of the 2 .*test.txt'):
        find_partners(*made, tmp_path / 'test.txt')


def test_two_files_of_a_name_in_one_folder_are_refused(folders):
    made = folders(thermal='a.png a.jpg', rgb='a.png', fused='a.png')
    with pytest.raises(DatasetError, match=r'found a.jpg and a.png, expected one image of a name'):
        find_partners(*made)


def test_empty_and_missing_folders_are_named(folders, tmp_path):
    made = folders(thermal='a.png', rgb='notes.txt', fused='a.png')
    with pytest.raises(DatasetError, match='rgb: holds no image'):
        find_partners(*made)
    with pytest.raises(DatasetError, match='gone: is not a folder'):
        find_partners({'thermal': tmp_path / 'gone'}, made[1])


def test_names_keep_dots_that_are_no_suffix(tmp_path):
    (tmp_path / 'names').write_text('v1.2\nv1.3.PNG\n')
    assert read_names(tmp_path / 'names') == ['v1.2', 'v1.3']


@pytest.mark.parametrize(
    ('text', 'message'),
    [('\n \n', 'is empty, expected the name'), ('a\nb\na.png\n', 'names a twice')],
)
def test_lists_that_cannot_be_meant_are_refused(tmp_path, text, message):
    (tmp_path / 'names').write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_names(tmp_path / 'names')
    with pytest.raises(DatasetError, match='gone: cannot be read'):
        read_names(tmp_path / 'gone')
