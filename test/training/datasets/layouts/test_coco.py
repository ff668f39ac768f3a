from __future__ import annotations

from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import DatasetError

CATEGORIES = [{'id': 1, 'name': 'Person'}, {'id': 7, 'name': 'OtherVehicle'}]


def annotation(number, image, category, bbox, **more):
    return {'id': number, 'image_id': image, 'category_id': category, 'bbox': bbox, **more}


@pytest.fixture
def hit_uav(tmp_path, image, text):
    """Two frames of HIT-UAV: night at 80 m and 90 degrees, day at 60 m and 30 degrees."""
    names = ['1_80_90_0_01343.jpg', '0_60_30_0_00007.jpg']
    for name in names:
        image(tmp_path / 'images' / 'val' / name)
    content = {
        'images': [{'id': 40 + n, 'file_name': name} for n, name in enumerate(names)],
        'annotations': [
            annotation(1, 40, 7, [2, 3, 10, 5], iscrowd=0),
            annotation(2, 41, 1, [0, 0, 4, 4], iscrowd=1),
            annotation(3, 41, 7, [0, 0, 4, 4], iscrowd=1),
            annotation(4, 41, 1, [6, 6, 2, 2], ignore=1),
        ],
        'categories': CATEGORIES,
    }
    path = tmp_path / 'annotations' / 'val.json'
    text(path, content)
    return content, path


def test_boxes_labels_regions_and_attributes_of_hit_uav(read, hit_uav):
    night, day = read('coco', ('person', 'other_vehicle'), split='val').records
    assert (night.image_id, night.name) == (40, '1_80_90_0_01343')
    assert_allclose(night.boxes_xyxy_px, [[2, 3, 12, 8]])
    assert night.labels.tolist() == [1]
    assert night.oriented_cxcywha is None
    attributes = night.attributes
    assert (attributes.light, attributes.altitude_m, attributes.camera_angle_deg) == (
        'night',
        80.0,
        90.0,
    )
    assert day.attributes.light == 'day'
    # The first region is there for both classes, the second for persons only.
    assert_allclose(day.ignore_xyxy_px, [[0, 0, 4, 4], [6, 6, 8, 8]])
    assert day.ignore_labels.tolist() == [-1, 0]
    assert len(day.boxes_xyxy_px) == 0


def test_without_class_names_those_of_the_data_set_are_taken(read, hit_uav):
    assert read('coco', split='val').class_names == ('person', 'other_vehicle')


def test_a_class_map_renames_ignores_and_drops(read, hit_uav):
    listing = read('coco', ('car',), split='val', class_map={'other_vehicle': 'car', 'person': ''})
    assert listing.records[0].labels.tolist() == [0]
    assert listing.records[1].ignore_labels.tolist() == [-1]  # of the one class that is left
    ignoring = read('coco', split='val', class_map={'other_vehicle': 'ignore'})
    assert ignoring.class_names == ('person',)
    assert_allclose(ignoring.records[0].ignore_xyxy_px, [[2, 3, 12, 8]])


def test_a_class_the_model_lacks_is_refused_with_the_way_out(read, hit_uav):
    with pytest.raises(DatasetError, match='unknown categories other_vehicle; .*class_map'):
        read('coco', ('person',), split='val')


@pytest.mark.parametrize(
    'broken',
    [
        pytest.param({'bbox': [1, 2, 3]}, id='three numbers'),
        pytest.param({'bbox': [1, 2, 3, float('nan')]}, id='not a number'),
        pytest.param({'image_id': 99}, id='unknown image'),
        pytest.param({'category_id': 99}, id='unknown category'),
    ],
)
def test_an_annotation_that_cannot_be_understood_is_listed_by_its_number(
    read, hit_uav, text, broken
):
    content, path = hit_uav
    content['annotations'][0].update(broken)
    text(path, content)
    listing = read('coco', split='val')
    (problem,) = listing.problems
    assert problem.kind == 'broken label'
    assert problem.detail.startswith('annotation 1: ')
    assert len(listing.records[0].boxes_xyxy_px) == 0


def test_simulated_pairs_have_both_images_and_their_light(tmp_path, read, image, text):
    for kind in ('images', 'rgb'):
        image(tmp_path / kind / 'train' / 'road_night_0003_001.png')
    images = [{'id': 1, 'file_name': 'road_night_0003_001.png'}]
    text(
        tmp_path / 'annotations' / 'train.json',
        {'images': images, 'annotations': [], 'categories': CATEGORIES},
    )
    (record,) = read('simulator').records
    assert record.attributes.light == 'night'
    assert record.thermal.read().shape == (24, 32)
    assert record.rgb.read().shape == (24, 32, 3)
    assert record.leader is record.thermal
    assert record.mask is None


def test_simulated_pairs_have_label_images_where_some_were_made(tmp_path, read, image, text):
    for kind in ('images', 'rgb', 'labels'):
        image(tmp_path / kind / 'train' / 'a.png', value=3)
    content = {'images': [{'id': 1, 'file_name': 'a.png'}], 'annotations': [], 'categories': []}
    text(tmp_path / 'annotations' / 'train.json', content)
    listing = read('simulator')
    assert listing.records[0].mask.read().max() == 3
    assert listing.layout.mask_names[3] == 'bike'
