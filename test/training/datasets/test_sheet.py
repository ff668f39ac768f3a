from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_array_equal

from training.datasets import Picture, Record
from training.datasets.sheet import CELL, choose, colour_of, contact_sheet, to_grey

NONE = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)


def record(path, boxes=(), labels=(), *, ignore=NONE, oriented=None, mask=None, size=(128, 160)):
    cv2.imwrite(str(path), np.full(size, 90, np.uint8))
    return Record(
        1,
        path.stem,
        Picture(path, 'thermal'),
        None,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        *ignore,
        oriented,
        mask,
    )


def drawn(sheet, colour):
    """Return the rows and columns of a sheet's pixels of a colour, legend left out."""
    return np.argwhere((sheet[30:] == colour).all(-1))


def test_a_box_is_drawn_in_its_colour_where_it_belongs(tmp_path):
    sheet = contact_sheet([record(tmp_path / 'a.png', [(20, 30, 60, 70)], [1])], ('x', 'y'))
    # Twice the size: 160 x 128 pixels fill a cell of 320 x 256.
    found = drawn(sheet, colour_of(1))
    assert_array_equal(found.min(0), [60, 40])
    assert_array_equal(found.max(0), [140, 120])
    assert not len(drawn(sheet, colour_of(0)))


def test_an_oriented_box_is_drawn_turned(tmp_path):
    oriented = np.array([[80, 64, 60, 20, np.pi / 2]], np.float32)
    made = record(tmp_path / 'a.png', [(70, 34, 90, 94)], [0], oriented=oriented)
    found = drawn(contact_sheet([made], ('x',)), colour_of(0))
    assert_array_equal(found.max(0) - found.min(0), [120, 40])  # 60 high, 20 wide, twice the size


def test_regions_without_verdict_are_crossed_out(tmp_path):
    ignore = np.array([[40, 40, 80, 80]], np.float32), np.array([-1])
    sheet = contact_sheet([record(tmp_path / 'a.png', ignore=ignore)], ('x',))
    assert (sheet[30 + 120, 120] == 150).all()  # the middle of the cross


def test_label_images_are_painted_beside(tmp_path):
    path = tmp_path / 'mask.png'
    cv2.imwrite(str(path), np.full((128, 160), 1, np.uint8))
    made = record(tmp_path / 'a.png', mask=Picture(path, 'mask'))
    colours = ((0, 0, 0), (10, 20, 30))
    sheet = contact_sheet([made], (), ('nothing', 'thing'), colours)
    assert (sheet[30 + 100, CELL[1] + 100] == (30, 20, 10)).all()  # B, G, R


def test_sheets_of_many_sizes_are_aligned_in_rows(tmp_path):
    sizes = [(128, 160), (30, 200), (300, 50)]
    records = [record(tmp_path / f'{n}.png', size=s) for n, s in enumerate(sizes)]
    sheet = contact_sheet(records, (), columns=2)
    assert sheet.shape[1] == 2 * CELL[1] + 6


def test_chosen_images_are_spread_and_hold_the_rarest_class(tmp_path):
    box = (1, 1, 5, 5)
    records = [record(tmp_path / f'{n}.png', [box], [0]) for n in range(30)]
    records[17] = record(tmp_path / '17.png', [box, box], [0, 1])
    chosen = [int(r.name) for r in choose(records, 6)]
    assert len(chosen) == 6
    assert 17 in chosen
    assert chosen == sorted(chosen)
    assert chosen[-1] > 20
    assert choose(records[:3], 6) == records[:3]


def test_sixteen_bit_images_are_stretched_for_the_eye():
    image = np.linspace(7000, 7100, 1000).astype(np.uint16).reshape(20, 50)
    grey = to_grey(image)
    assert (grey.min(), grey.max()) == (0, 255)
