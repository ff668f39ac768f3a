"""A folder of images becomes a bag: order, times, depth, truth, and what is refused."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions
from thermal_perception.decode import decode_image
from thermal_perception.errors import ConfigError, DatasetError
from thermal_perception.evaluation.bag import open_bag, read_frames, read_topic, read_truth
from thermal_perception.evaluation.image_bag import Intrinsics


@pytest.fixture
def folder(tmp_path):
    """Return a folder of an 8-bit, a 16-bit and a text file."""
    path = tmp_path / 'images'
    path.mkdir()
    cv2.imwrite(str(path / 'b.png'), np.full((4, 6), 700, np.uint16))
    cv2.imwrite(str(path / 'a.png'), np.full((4, 6), 7, np.uint8))
    (path / 'notes.txt').write_text('not an image')
    return path


def frames_of(bag, topic='/thermal/image_raw'):
    with open_bag(bag) as reader:
        return list(read_frames(reader, topic))


def test_images_keep_their_depth_in_the_order_of_names(tmp_path, folder):
    bag_from_images(BagOptions(folder, tmp_path / 'bag', rate_hz=4, start_s=1000.5))
    first, second = frames_of(tmp_path / 'bag')
    assert (first.encoding, int(first.image[0, 0])) == ('mono8', 7)
    assert (second.encoding, int(second.image[0, 0])) == ('mono16', 700)
    assert (first.stamp_ns, second.stamp_ns) == (1_000_500_000_000, 1_000_750_000_000)


def test_stamps_start_now_unless_told_otherwise(tmp_path, folder):
    before = time.time_ns()
    bag_from_images(BagOptions(folder, tmp_path / 'bag', frame_id='seeker', topic='/cam/heat'))
    first = frames_of(tmp_path / 'bag', '/cam/heat')[0]
    assert before <= first.stamp_ns <= time.time_ns()
    assert first.frame_id == 'seeker'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_storage_is_as_asked(tmp_path, folder, storage):
    bag_from_images(BagOptions(folder, tmp_path / 'bag', storage=storage))
    suffix = {'mcap': '.mcap', 'sqlite3': '.db3'}[storage]
    assert [p.suffix for p in (tmp_path / 'bag').iterdir() if p.suffix != '.yaml'] == [suffix]


def test_annotations_become_truth_with_regions_to_ignore_invisible(tmp_path, dataset):
    images = dataset / 'images' / 'val'
    truth = dataset / 'annotations' / 'val.json'
    bag_from_images(BagOptions(images, tmp_path / 'bag', annotations=truth))
    names = ('person', 'car', 'bicycle', 'other_vehicle')
    with open_bag(tmp_path / 'bag') as reader:
        found = list(read_truth(reader, '/ground_truth/detections', names).values())
    assert [d.labels.tolist() for d in found] == [[0, 1]] * 3
    assert [d.scores.tolist() for d in found] == [[1, 1], [1, 1], [0, 0]]
    np.testing.assert_allclose(found[0].boxes_xyxy_px, [[15, 4, 55, 54], [25, 4, 65, 54]])


def test_intrinsics_become_camera_info(tmp_path, folder):
    bag_from_images(BagOptions(folder, tmp_path / 'bag', intrinsics=Intrinsics(5, 5, 3, 2)))
    with open_bag(tmp_path / 'bag') as reader:
        assert {c.topic for c in reader.connections} == {
            '/thermal/image_raw',
            '/thermal/camera_info',
        }


def test_colour_images_of_the_same_names_share_the_stamps(tmp_path, folder):
    rgb = tmp_path / 'rgb'
    rgb.mkdir()
    for number, name in enumerate(('a.jpg', 'b.png')):
        cv2.imwrite(str(rgb / name), np.full((8, 10, 3), 40 * number, np.uint8))
    bag_from_images(BagOptions(folder, tmp_path / 'bag', rgb=rgb, rgb_frame_id='eye', rate_hz=2))
    thermal = frames_of(tmp_path / 'bag')
    with open_bag(tmp_path / 'bag') as reader:
        messages = list(read_topic(reader, '/rgb/image_raw'))
    colours = [decode_image(message, modality='rgb') for message in messages]
    assert [c.stamp_ns for c in colours] == [t.stamp_ns for t in thermal]
    assert {(c.frame_id, c.encoding, c.size) for c in colours} == {('eye', 'bgr8', (8, 10))}
    assert [int(c.image.max()) for c in colours] == [0, 40]


def test_missing_colour_image_is_named(tmp_path, folder):
    rgb = tmp_path / 'rgb'
    rgb.mkdir()
    cv2.imwrite(str(rgb / 'a.png'), np.zeros((8, 10, 3), np.uint8))
    with pytest.raises(DatasetError, match='holds no image for 1 of the 2 names .* first is b'):
        bag_from_images(BagOptions(folder, tmp_path / 'bag', rgb=rgb))
    assert not (tmp_path / 'bag').exists()


def test_annotations_of_other_images_are_refused(tmp_path, folder, dataset):
    with pytest.raises(DatasetError, match=r'names none of the 2 images, the first .* a\.png'):
        bag_from_images(
            BagOptions(folder, tmp_path / 'bag', annotations=dataset / 'annotations/val.json')
        )


def test_damaged_image_is_named_and_empty_folder_refused(tmp_path, folder):
    (folder / 'c.png').write_bytes(b'no image')
    with pytest.raises(DatasetError, match=r'c\.png: is not an image'):
        bag_from_images(BagOptions(folder, tmp_path / 'bag'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DatasetError, match='empty: holds no image, expected .png'):
        bag_from_images(BagOptions(tmp_path / 'empty', tmp_path / 'other'))


def test_relative_topic_gets_its_slash(tmp_path, folder):
    bag_from_images(BagOptions(folder, tmp_path / 'bag', topic='thermal/image_raw'))
    assert len(frames_of(tmp_path / 'bag', '/thermal/image_raw')) > 0


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'rate_hz': 0}, r'--rate 0: expected more than 0'),
        ({'topic': '/'}, r'--topic /: expected a name, as'),
        ({'topic': 'thermal/'}, r'--topic thermal/: expected a name, as'),
        ({'rgb_topic': ''}, r'--rgb-topic : expected a name, as'),
        ({'start_s': -1}, r'--start -1: expected seconds'),
    ],
)
def test_impossible_options_are_refused(tmp_path, folder, change, message):
    with pytest.raises(ConfigError, match=message):
        BagOptions(folder, tmp_path / 'bag', **change)
