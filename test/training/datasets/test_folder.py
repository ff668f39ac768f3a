from __future__ import annotations

import json

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import DatasetError
from training.datasets import DataFolder, DatasetConfig, report_problems

CLASSES = ('person', 'car')


def blank(count):
    return [(np.full((64, 64), 90, np.uint8), [], []) for _ in range(count)]


def test_images_boxes_and_labels_are_read(coco, scenes):
    folder = DataFolder(DatasetConfig(str(coco)), CLASSES)
    assert len(folder) == 4
    for n, (image, boxes, labels) in enumerate(scenes):
        assert_array_equal(folder.images[n], image)
        assert_allclose(folder.records[n].boxes_xyxy_px, boxes)
        assert_array_equal(folder.records[n].labels, labels)
    assert (folder.frame(1).image == scenes[1][0]).all()
    assert folder.frame(1).valid_bits == 8


def test_a_relative_directory_is_in_the_given_root(coco):
    assert len(DataFolder(DatasetConfig('set'), CLASSES, coco.parent)) == 4


def test_cache_is_filled_once_and_used_afterwards(coco, scenes, tmp_path):
    cache = tmp_path / 'cache'
    DataFolder(DatasetConfig(str(coco)), CLASSES, cache=cache)
    (file,) = cache.iterdir()
    stamp = file.stat().st_mtime_ns
    again = DataFolder(DatasetConfig(str(coco)), CLASSES, cache=cache)
    assert file.stat().st_mtime_ns == stamp
    assert_array_equal(again.images[3], scenes[3][0])


def test_boxes_without_area_are_dropped(tmp_path, write):
    boxes = [(10, 10, 20, 20), (30, 30, 30, 40), (5, 5, 9, 5)]
    scene = (np.full((64, 64), 90, np.uint8), boxes, [0, 1, 1])
    folder = DataFolder(DatasetConfig(str(write(tmp_path, [scene]))), CLASSES)
    assert_allclose(folder.records[0].boxes_xyxy_px, [[10, 10, 20, 20]])


def names(indices):
    return [f'0_90_60_{n}.png' for n in indices]


def part(tmp_path, which, **changes):
    config = DatasetConfig(str(tmp_path), part=which, dev_block=2, dev_every=3, **changes)
    return {r.path.name for r in DataFolder(config, CLASSES).records}


def test_dev_is_whole_blocks_of_frame_indices_and_disjoint_from_train(tmp_path, write):
    write(tmp_path, blank(9), names=names([0, 1, 2, 3, 4, 5, 6, 10, 11]))
    train, dev = part(tmp_path, 'train'), part(tmp_path, 'dev')
    # Blocks of two indices; every third is held out: 4, 5 and 10, 11.
    assert dev == set(names([4, 5, 10, 11]))
    assert train == set(names([0, 1, 2, 3, 6]))
    assert part(tmp_path, 'all') == train | dev


def test_truth_of_a_part_names_its_images_only(tmp_path, write):
    scene = (np.zeros((64, 64), np.uint8), [(1, 1, 9, 9)], [0])
    write(tmp_path, [scene] * 6, names=names(range(6)))
    config = DatasetConfig(str(tmp_path), part='dev', dev_block=2, dev_every=3)
    truth = DataFolder(config, CLASSES).truth()
    assert [i['file_name'] for i in truth['images']] == names([4, 5])
    assert {a['image_id'] for a in truth['annotations']} == {i['id'] for i in truth['images']}


def test_digits_of_the_suffix_are_no_frame_index(tmp_path, write):
    write(tmp_path, blank(2), names=['a_4.png', 'a_9.jp2'])
    assert part(tmp_path, 'dev') == {'a_4.png'}
    assert part(tmp_path, 'train') == {'a_9.jp2'}


@pytest.mark.parametrize(
    ('break_it', 'message'),
    [
        pytest.param(
            lambda d: (d / 'annotations/train.json').unlink(), 'cannot be read', id='no json'
        ),
        pytest.param(
            lambda d: (d / 'annotations/train.json').write_text('{'), 'is not JSON', id='bad json'
        ),
    ],
)
def test_a_data_set_without_readable_annotations_is_refused_by_file(coco, break_it, message):
    break_it(coco)
    with pytest.raises(DatasetError, match=rf'train\.json: {message}'):
        DataFolder(DatasetConfig(str(coco)), CLASSES)


@pytest.mark.parametrize(
    ('break_it', 'reason'),
    [
        pytest.param(lambda f: f.unlink(), 'cannot be read: No such file', id='missing'),
        pytest.param(lambda f: f.write_bytes(b''), 'is empty', id='empty'),
        pytest.param(lambda f: f.write_bytes(b'xxxx'), 'is not an image', id='no image'),
        pytest.param(
            lambda f: f.write_bytes(f.read_bytes()[:-40]), 'its end mark is missing', id='cut off'
        ),
    ],
)
@pytest.mark.parametrize('lazy', [False, True])
def test_an_image_that_cannot_be_read_is_left_out_and_listed(coco, break_it, reason, lazy):
    break_it(coco / 'images/train/frame_0002.png')
    folder = DataFolder(DatasetConfig(str(coco), lazy=lazy), CLASSES)
    drawn = {folder.draw(i).record.name for i in range(len(folder))}
    assert drawn == {'frame_0000', 'frame_0001', 'frame_0003'}
    (problem,) = folder.problems
    assert (problem.path.name, problem.kind) == ('frame_0002.png', 'unreadable image')
    assert reason in problem.detail


def test_images_and_records_stay_together_behind_one_that_is_left_out(coco, scenes):
    (coco / 'images/train/frame_0001.png').unlink()
    folder = DataFolder(DatasetConfig(str(coco)), CLASSES)
    for n, source in enumerate((0, 2, 3)):
        assert_array_equal(folder.images[n], scenes[source][0])
        assert_allclose(folder.records[n].boxes_xyxy_px, scenes[source][1])
    assert [i['id'] for i in folder.truth()['images']] == [1, 3, 4]


def test_a_set_of_mostly_unusable_images_is_refused(coco):
    for n in (0, 1, 2):
        (coco / f'images/train/frame_000{n}.png').write_bytes(b'x')
    with pytest.raises(DatasetError, match='3 of 4 images cannot be used; .*frame_0002.png'):
        DataFolder(DatasetConfig(str(coco)), CLASSES)


def test_what_was_left_out_is_said_once_and_written_to_the_log_of_the_run(coco, tmp_path, caplog):
    (coco / 'images/train/frame_0001.png').unlink()
    folder = DataFolder(DatasetConfig(str(coco)), CLASSES)
    log = tmp_path / 'run' / 'log.jsonl'
    assert report_problems([folder, folder], log) == 2
    assert caplog.text.count('left out 1 x unreadable image') == 2
    row = json.loads(log.read_text().splitlines()[0])
    assert row['left_out'] == {'unreadable image': 1}
    assert 'frame_0001.png' in row['files'][0]


def test_a_clean_set_leaves_no_line_in_the_log(coco, tmp_path, caplog):
    log = tmp_path / 'log.jsonl'
    assert report_problems([DataFolder(DatasetConfig(str(coco)), CLASSES)], log) == 0
    assert not log.exists()
    assert not caplog.text


def test_boxes_outside_the_image_are_left_out_and_boxes_over_its_border_are_not(tmp_path, write):
    boxes = [(-30, 10, -2, 20), (64, 0, 80, 9), (-5, 10, 20, 20), (40, 40, 90, 90)]
    scene = (np.full((64, 64), 90, np.uint8), boxes, [0, 0, 1, 0])
    folder = DataFolder(DatasetConfig(str(write(tmp_path, [scene]))), CLASSES)
    assert_allclose(folder.records[0].boxes_xyxy_px, boxes[2:])
    assert folder.records[0].labels.tolist() == [1, 0]
    kinds = [p.kind for p in folder.problems]
    assert kinds == ['box outside the image'] * 2
    assert 'found corners -30, 10, -2, 20 in an image of 64 x 64' in str(folder.problems[0])


def test_truth_repeats_a_region_of_any_class_for_every_class(tmp_path, write):
    scene = (np.zeros((64, 64), np.uint8), [(1, 2, 9, 12)], [1])
    write(tmp_path, [scene], crowd=[(0, (8, 8, 24, 24))])
    path = tmp_path / 'annotations' / 'train.json'
    content = json.loads(path.read_text())
    region = content['annotations'][-1]
    content['annotations'].append({**region, 'id': 9, 'category_id': 2})
    path.write_text(json.dumps(content))
    folder = DataFolder(DatasetConfig(str(tmp_path)), CLASSES)
    assert folder.records[0].ignore_labels.tolist() == [-1]
    rows = [(a['category_id'], a['bbox'], a['iscrowd']) for a in folder.truth()['annotations']]
    assert rows == [(2, [1, 2, 8, 10], 0), (1, [8, 8, 16, 16], 1), (2, [8, 8, 16, 16], 1)]


def test_images_of_different_size_and_depth_are_read_each_as_it_is(tmp_path, write):
    deep = np.full((40, 50), 9000, np.uint16)
    wide = np.full((32, 64), 7, np.uint8)
    write(tmp_path, [(deep, [], []), (wide, [], [])])
    folder = DataFolder(DatasetConfig(str(tmp_path)), CLASSES, cache=tmp_path / 'cache')
    assert_array_equal(folder.images[0], deep)
    assert_array_equal(folder.images[1], wide)
    assert folder.images[0].dtype == np.uint16


def test_a_lazy_image_found_broken_when_drawn_gives_way_to_the_next_and_is_listed_once(coco):
    file = coco / 'images/train/frame_0001.png'
    data = bytearray(file.read_bytes())
    data[40:-20] = bytes(len(data) - 60)  # the end mark stays, the pixels do not
    file.write_bytes(data)
    folder = DataFolder(DatasetConfig(str(coco), lazy=True), CLASSES)
    assert [folder.draw(i).record.name[-1] for i in (1, 2, 1)] == ['2', '2', '2']
    assert [p.path.name for p in folder.problems] == ['frame_0001.png']


def test_an_unknown_class_is_refused_by_name(coco):
    with pytest.raises(DatasetError, match='unknown categories car'):
        DataFolder(DatasetConfig(str(coco)), ('person', 'bicycle'))


def test_an_empty_part_is_refused(coco):
    with pytest.raises(DatasetError, match="found no image in part 'dev'"):
        DataFolder(DatasetConfig(str(coco), part='dev'), CLASSES)


def test_json_of_the_fixture_is_valid_coco(coco):
    content = json.loads((coco / 'annotations' / 'train.json').read_text())
    assert len(content['annotations']) == 12
