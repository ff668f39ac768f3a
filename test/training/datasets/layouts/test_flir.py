from __future__ import annotations

from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import DatasetError

CATEGORIES = [
    {'id': n, 'name': name}
    for n, name in [
        (1, 'person'),
        (2, 'bike'),
        (3, 'car'),
        (4, 'motor'),
        (6, 'bus'),
        (7, 'train'),
        (8, 'truck'),
        (10, 'light'),
        (79, 'other vehicle'),
        (90, 'toothbrush'),  # coco.json declares every COCO class
    ]
]


def content(file_name, categories, **image):
    return {
        'images': [{'id': 0, 'file_name': file_name, **image}],
        'annotations': [
            {'id': n, 'image_id': 0, 'category_id': c, 'bbox': [n, 2, 3, 4]}
            for n, c in enumerate(categories)
        ],
        'categories': CATEGORIES,
    }


def test_version_1_pairs_thermal_and_colour_by_number(tmp_path, read, image, text):
    image(tmp_path / 'train' / 'thermal_8_bit' / 'FLIR_00001.jpeg')
    image(tmp_path / 'train' / 'RGB' / 'FLIR_00001.jpg', size=(36, 40), channels=3)
    path = tmp_path / 'train' / 'thermal_annotations.json'
    text(path, content('thermal_8_bit/FLIR_00001.jpeg', [1, 3]))
    listing = read('flir_v1')
    (record,) = listing.records
    assert listing.class_names == ('person', 'vehicle')
    assert record.thermal.path == tmp_path / 'train' / 'thermal_8_bit' / 'FLIR_00001.jpeg'
    assert record.rgb.read().shape == (36, 40, 3)
    assert_allclose(record.boxes_xyxy_px, [[0, 2, 3, 6], [1, 2, 4, 6]])


def test_version_1_without_a_colour_image_is_thermal_alone(tmp_path, read, image, text):
    image(tmp_path / 'val' / 'thermal_8_bit' / 'FLIR_08863.jpeg')
    path = tmp_path / 'val' / 'thermal_annotations.json'
    text(path, content('thermal_8_bit/FLIR_08863.jpeg', [1]))
    assert read('flir_v1', split='val').records[0].rgb is None


def test_eight_classes_become_three_and_the_rest_background(tmp_path, read, image, text):
    image(tmp_path / 'images_thermal_train' / 'data' / 'a.jpg')
    used = [1, 2, 3, 4, 6, 7, 8, 79, 10]
    path = tmp_path / 'images_thermal_train' / 'coco.json'
    text(path, content('data/a.jpg', used, extra_info={'hours': 'night'}))
    (record,) = read('flir_v2', ('person', 'bike', 'vehicle')).records
    # person, bike, car, motor, bus, train, truck, other vehicle; the traffic light is left out.
    assert record.labels.tolist() == [0, 1, 2, 1, 2, 2, 2, 2]
    assert record.attributes.light == 'night'
    assert not len(record.ignore_labels)


def test_one_entry_of_the_class_map_can_be_overridden(tmp_path, read, image, text):
    image(tmp_path / 'images_thermal_val' / 'data' / 'a.jpg')
    text(tmp_path / 'images_thermal_val' / 'coco.json', content('data/a.jpg', [3, 6]))
    options = {'split': 'val', 'class_map': {'bus': 'bus', 'vehicle': 'car'}}
    (record,) = read('flir_v2', ('car', 'bus'), **options).records
    assert record.labels.tolist() == [0, 1]


def test_a_class_outside_the_map_must_be_decided_on(tmp_path, read, image, text):
    image(tmp_path / 'images_thermal_val' / 'data' / 'a.jpg')
    text(tmp_path / 'images_thermal_val' / 'coco.json', content('data/a.jpg', [1, 90]))
    with pytest.raises(DatasetError, match='unknown categories toothbrush'):
        read('flir_v2', ('person', 'bike', 'vehicle'), split='val')


def test_colour_labels_of_version_2_lead_with_the_colour_image(tmp_path, read, image, text):
    image(tmp_path / 'images_rgb_val' / 'data' / 'b.jpg', channels=3)
    text(tmp_path / 'images_rgb_val' / 'coco.json', content('data/b.jpg', [1]))
    (record,) = read('flir_v2', split='val', labels_from='rgb').records
    assert record.thermal is None
    assert record.leader is record.rgb


def test_test_frames_of_version_2_are_paired_by_the_published_map(tmp_path, read, image, text):
    image(tmp_path / 'video_thermal_test' / 'data' / 't-0001.jpg')
    image(tmp_path / 'video_rgb_test' / 'data' / 'c-0001.jpg', channels=3)
    text(tmp_path / 'video_thermal_test' / 'coco.json', content('data/t-0001.jpg', [1]))
    text(tmp_path / 'rgb_to_thermal_vid_map.json', {'c-0001.jpg': 't-0001.jpg'})
    (record,) = read('flir_v2', split='test').records
    assert record.rgb.path.name == 'c-0001.jpg'
    assert record.attributes.light is None


def test_an_unknown_split_of_version_2_is_refused(read):
    with pytest.raises(DatasetError, match="split 'dev', expected train, val or test"):
        read('flir_v2', split='dev')
