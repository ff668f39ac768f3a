"""Pedestrians from COCO files: who counts, what is left out, what is refused."""

from __future__ import annotations

import json

import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.from_files import score_pedestrians
from thermal_perception.evaluation.miss_rate import ALL

PERSON, OTHER = [100, 100, 40, 100], [300, 100, 40, 100]
CATEGORIES = ['person', 'cyclist', 'people', 'person?', 'dog']


def person(image, bbox=PERSON, category=1, **notes):
    return {'image_id': image, 'category_id': category, 'bbox': bbox, 'occlusion': 0, **notes}


def found(image, bbox=PERSON, score=0.9, category=1):
    return {'image_id': image, 'category_id': category, 'bbox': bbox, 'score': score}


def content(annotations, count=2, **changes):
    return {
        'images': [{'id': n, 'file_name': f'set{n:02d}_V000_I1.jpg'} for n in range(count)],
        'categories': [{'id': n, 'name': name} for n, name in enumerate(CATEGORIES, 1)],
        'annotations': annotations,
        **changes,
    }


@pytest.fixture
def scored(tmp_path):
    def score(truth, rows, **options):
        (tmp_path / 'test.json').write_text(json.dumps(truth))
        (tmp_path / 'found.json').write_text(json.dumps(rows))
        return score_pedestrians(tmp_path / 'test.json', tmp_path / 'found.json', **options)

    return score


def test_half_of_the_people_missed_is_a_rate_of_a_half(scored):
    result = scored(content([person(0), person(1)]), [found(0)])
    metrics = result.scorer.score()
    assert metrics.lamr == pytest.approx(0.5)
    assert (metrics.images, metrics.objects, metrics.recall) == (2, 2, 0.5)
    assert (result.unit, result.other_boxes, result.unknown_occlusion) == ('image', 0, 0)


def test_boxes_are_x_y_width_height(scored):
    shifted = [100, 150, 40, 100]  # half of the height: IoU 1/3
    assert scored(content([person(0)], 1), [found(0, shifted)]).scorer.score().recall == 0


@pytest.mark.parametrize('category', [2, 3, 4])
def test_doubtful_people_need_not_be_found_and_are_not_false_when_found(scored, category):
    truth = content([person(0), person(0, OTHER, category)])
    for rows in ([found(0)], [found(0), found(0, OTHER, 0.99)]):
        metrics = scored(truth, rows).scorer.score()
        assert (metrics.objects, metrics.lamr) == (1, pytest.approx(1e-10))


@pytest.mark.parametrize('note', [{'ignore': 1}, {'iscrowd': 1}, {'occlusion': 2}])
def test_marked_people_are_ignored(scored, note):
    assert scored(content([person(0, **note)]), []).scorer.score().objects == 0


def test_setting_all_counts_the_heavily_occluded(scored):
    result = scored(content([person(0, occlusion=2)]), [], setting=ALL)
    assert result.scorer.score().objects == 1


def test_missing_occlusion_is_counted_and_taken_for_none(scored):
    row = person(0)
    del row['occlusion']
    result = scored(content([row, person(1)]), [])
    assert (result.unknown_occlusion, result.scorer.score().objects) == (1, 2)


def test_boxes_and_objects_of_other_categories_are_left_out_with_a_count(scored):
    truth = content([person(0), person(0, OTHER, 5)])
    result = scored(truth, [found(0), found(0, OTHER, 0.99, category=5)])
    assert result.other_boxes == 1
    assert result.scorer.score().lamr == pytest.approx(1e-10)


def test_day_and_night_are_told_by_names_under_either_key(scored):
    images = [{'id': 7, 'im_name': 'set06_V000_I00019'}, {'id': 3, 'im_name': 'set09/V000/I1'}]
    result = scored(content([person(7), person(3)], images=images), [found(7)])
    rates = {value: rate.lamr for (_, value), rate in result.scorer.breakdown().items()}
    assert rates == {'day': pytest.approx(1e-10), 'night': pytest.approx(1)}


def test_scenes_are_drawn_in_the_order_of_the_names(scored):
    images = [{'id': n, 'file_name': f'{9 - n}.png', 'scene_seed': n * 10} for n in range(3)]
    result = scored(content([person(0)], images=images), [])
    assert (result.unit, result.scorer.names()) == ('scene', ['7.png', '8.png', '9.png'])
    assert result.units == [20, 10, 0]


@pytest.mark.parametrize(
    ('truth', 'rows', 'message'),
    [
        (content([]), [found(5)], 'found.json: row 0 names image 5, which is not annotated'),
        (
            content([]),
            [found(0), found(0, category=9)],
            r'row 1 has category 9, expected one of 1',
        ),
        (content([{'image_id': 0}]), [], 'test.json: row 0 has no category_id, bbox'),
        (content([person(0, [1, 2, 3])]), [], r'row 0 has bbox \[1, 2, 3\], expected \[x, y'),
        (content([], images=[]), [], 'test.json: names no image'),
        (content([], images=[{'id': 1}]), [], 'found an image without id or file_name'),
        (content([], categories=[{'id': 1, 'name': 'Car'}]), [], 'found categories car, expected'),
        ({}, [], 'test.json: has no images, annotations, categories'),
        (content([]), {}, 'found.json: is no list of COCO results'),
    ],
)
def test_files_that_do_not_fit_are_named(scored, truth, rows, message):
    with pytest.raises(DatasetError, match=message):
        scored(truth, rows)
