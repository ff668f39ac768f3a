from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import DatasetError
from training.datasets import cache as cache_module, Picture
from training.datasets.cache import decode_all


@pytest.fixture
def pictures(tmp_path):
    """Three images of different size and depth, and one that is not there."""
    rng = np.random.default_rng(1)
    sizes = [((7, 9), np.uint8), ((5, 3), np.uint16), ((8, 8), np.uint8)]
    made = []
    for n, (size, dtype) in enumerate(sizes):
        path = tmp_path / f'{n}.png'
        cv2.imwrite(str(path), rng.integers(0, 250, size).astype(dtype))
        made.append(Picture(path, 'thermal'))
    return [*made, Picture(tmp_path / 'missing.png', 'thermal')]


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def test_images_of_any_size_and_depth_come_back_from_the_file(pictures, tmp_path):
    folder = tmp_path / 'cache'
    for _ in range(2):
        images = decode_all(pictures, folder)
        for image, picture in zip([images[0], images[1], images[2]], pictures):
            assert_array_equal(image, picture.read())
            assert image.dtype == picture.read().dtype
        assert list(images.failed) == [3]
        with pytest.raises(DatasetError, match='missing.png: cannot be read'):
            images[3]
    assert len(files(folder)) == 1


def test_the_file_is_mapped_and_not_loaded(pictures, tmp_path):
    image = decode_all(pictures, tmp_path / 'cache')[0]
    assert not image.flags.writeable
    base = image
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)


def test_a_filled_cache_decodes_nothing(pictures, tmp_path, monkeypatch):
    decode_all(pictures, tmp_path / 'cache')
    monkeypatch.setattr(Picture, 'read', lambda self: pytest.fail('decoded again'))
    assert decode_all(pictures, tmp_path / 'cache')[1].shape == (5, 3)


@pytest.mark.parametrize(
    'change',
    [
        pytest.param(lambda p: os.utime(p, ns=(0, 10**18)), id='time of change'),
        pytest.param(lambda p: p.write_bytes(p.read_bytes() + b'\0'), id='size'),
        pytest.param(lambda p: p.unlink(), id='gone'),
    ],
)
def test_a_changed_image_gives_another_file(pictures, tmp_path, change):
    folder = tmp_path / 'cache'
    decode_all(pictures, folder)
    change(pictures[2].path)
    decode_all(pictures, folder)
    assert len(files(folder)) == 2


def test_an_image_that_appears_later_is_found(pictures, tmp_path):
    decode_all(pictures, tmp_path / 'cache')
    cv2.imwrite(str(pictures[3].path), np.ones((2, 2), np.uint8))
    assert decode_all(pictures, tmp_path / 'cache')[3].shape == (2, 2)


def test_another_way_to_read_gives_another_file(pictures, tmp_path):
    decode_all(pictures[:1], tmp_path / 'cache')
    cropped = decode_all([Picture(pictures[0].path, 'thermal', crop_px=1)], tmp_path / 'cache')
    assert cropped[0].shape == (5, 7)


def test_a_selection_is_renumbered_with_its_failures(pictures):
    images = decode_all(pictures, None).select([2, 3])
    assert images[0].shape == (8, 8)
    assert list(images.failed) == [1]


def test_an_interrupted_writer_leaves_no_file_behind(pictures, tmp_path, monkeypatch):
    folder = tmp_path / 'cache'

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_module.os, 'replace', interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode_all(pictures, folder)
    assert files(folder) == []


def test_a_full_disk_is_an_error_that_names_the_file(pictures, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(cache_module.os, 'fsync', full)
    with pytest.raises(DatasetError, match=r'images: cannot be written: No space left'):
        decode_all(pictures, tmp_path / 'cache')
    assert files(tmp_path / 'cache') == []


def test_what_a_killed_writer_left_does_not_disturb_the_next(pictures, tmp_path):
    folder = tmp_path / 'cache'
    decode_all(pictures, folder)
    (whole,) = folder.iterdir()
    whole.rename(whole.with_suffix('.part'))
    with whole.with_suffix('.part').open('ab') as file:
        file.write(b'rubbish')
    assert decode_all(pictures, folder)[2].shape == (8, 8)
    assert files(folder) == [whole.name]


def test_a_damaged_file_is_refused_by_name(pictures, tmp_path):
    folder = tmp_path / 'cache'
    decode_all(pictures, folder)
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(DatasetError, match=rf'{file.name}: is no cache of decoded images'):
        decode_all(pictures, folder)


def _decode_in_a_process(pictures, folder, gate, results):
    gate.wait(30)
    images = decode_all(pictures, Path(folder))
    results.put([int(images[n].sum()) for n in range(3)])


def test_several_processes_get_the_same_images_from_one_file(pictures, tmp_path):
    context = multiprocessing.get_context('fork')
    gate, results = context.Barrier(3), context.Queue()
    folder = tmp_path / 'cache'
    arguments = (pictures, str(folder), gate, results)
    workers = [context.Process(target=_decode_in_a_process, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    sums = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert sums == [[int(p.read().sum()) for p in pictures[:3]]] * 3
    assert len(files(folder)) == 1
