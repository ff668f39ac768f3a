from __future__ import annotations

import pytest

from thermal_perception.files import write_whole


def test_file_is_replaced_and_readable_by_all(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('old')
    write_whole(path, 'wärme')
    assert path.read_text(encoding='utf-8') == 'wärme'
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('old')
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, '\ud800')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / 'none' / 'a.json', '')
