"""COCO scoring: hand-worked numbers, ignore regions, class names, and the reference tool."""

from __future__ import annotations

import json

from faster_coco_eval import COCO, COCOeval_faster
import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import CocoScorer, snake_case
from thermal_perception.types import Detections

NAMES = ('person', 'other_vehicle')


def detections(boxes=(), scores=(), labels=(), class_names=NAMES):
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(labels, np.int64),
        class_names,
        0,
        'thermal',
        (100, 200),
    )


def annotations(truth, images=1, **changes):
    """Build COCO annotations from (image_id, category_id, x, y, w, h, extra) rows."""
    return {
        'images': [{'id': i, 'file_name': f'{i}.png'} for i in range(images)],
        'categories': [{'id': 7, 'name': 'Person'}, {'id': 9, 'name': 'OtherVehicle'}],
        'annotations': [
            {'id': n, 'image_id': row[0], 'category_id': row[1], 'bbox': list(row[2:6])}
            | (row[6] if len(row) > 6 else {})
            for n, row in enumerate(truth)
        ],
    } | changes


def test_exact_boxes_give_one_even_with_annotation_id_zero():
    scorer = CocoScorer(annotations([(0, 7, 10, 20, 30, 20), (0, 9, 50, 10, 40, 50)]), NAMES)
    scorer.add(0, detections([[10, 20, 40, 40], [50, 10, 90, 60]], [0.9, 0.8], [0, 1]))
    metrics = scorer.score()
    assert metrics.mAP == metrics.mAP50 == metrics.mAP75 == metrics.AR100 == pytest.approx(1)
    assert metrics.per_class['person'].mAP_small == pytest.approx(1)
    assert metrics.per_class['other_vehicle'].mAP_medium == pytest.approx(1)
    assert metrics.boxes == 2


def test_box_of_iou_0_6_counts_at_the_thresholds_0_50_0_55_and_0_60():
    # 10 x 10 truth and 10 x 6 box inside: IoU 60 / 100.
    scorer = CocoScorer(annotations([(0, 7, 0, 0, 10, 10)]), NAMES)
    scorer.add(0, detections([[0, 0, 10, 6]], [0.5], [0]))
    metrics = scorer.score()
    assert metrics.mAP50 == pytest.approx(1)
    assert metrics.mAP75 == 0
    assert metrics.mAP == pytest.approx(0.3)


def test_wrong_box_ranked_first_halves_the_precision():
    scorer = CocoScorer(annotations([(0, 7, 0, 0, 10, 10)]), NAMES)
    scorer.add(0, detections([[50, 50, 60, 60], [0, 0, 10, 10]], [0.9, 0.4], [0, 0]))
    assert scorer.score().mAP50 == pytest.approx(0.5)


@pytest.mark.parametrize('mark', [{'iscrowd': 1}, {'ignore': 1}, {'ignore': 1, 'iscrowd': 0}])
def test_box_in_an_ignore_region_is_no_false_positive_when_it_ranks_first(mark):
    truth = [(0, 7, 0, 0, 10, 10), (0, 7, 100, 0, 50, 50, mark)]
    scorer = CocoScorer(annotations(truth), NAMES)
    scorer.add(0, detections([[110, 10, 120, 20], [0, 0, 10, 10]], [0.9, 0.4], [0, 0]))
    metrics = scorer.score()
    assert metrics.mAP50 == pytest.approx(1)
    assert metrics.boxes == 1


def test_class_without_objects_has_no_figure_and_does_not_count_in_the_mean():
    scorer = CocoScorer(annotations([(0, 7, 0, 0, 10, 10)]), NAMES)
    scorer.add(0, detections([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.9], [0, 1]))
    metrics = scorer.score()
    assert metrics.per_class['other_vehicle'].mAP50 is None
    assert metrics.mAP50 == pytest.approx(1)


def test_nothing_found_gives_zero_and_images_not_added_are_counted():
    scorer = CocoScorer(annotations([(0, 7, 0, 0, 10, 10)], images=3), NAMES)
    scorer.add(0, detections())
    assert scorer.missing == 2
    assert scorer.score().mAP50 == 0


def test_no_object_anywhere_gives_no_figure():
    scorer = CocoScorer(annotations([]), NAMES)
    scorer.add(0, detections([[0, 0, 10, 10]], [0.9], [0]))
    metrics = scorer.score()
    assert metrics.mAP is None
    assert metrics.boxes == 0


def test_without_averages_the_other_classes_only():
    scorer = CocoScorer(annotations([(0, 7, 0, 0, 10, 10), (0, 9, 50, 50, 40, 40)]), NAMES)
    scorer.add(0, detections([[0, 0, 10, 10]], [0.9], [0]))
    metrics = scorer.score()
    assert metrics.mAP50 == pytest.approx(0.5)
    assert metrics.without(['other_vehicle']).mAP50 == pytest.approx(1)
    with pytest.raises(DatasetError, match='excluded classes truck: expected some of person'):
        metrics.without(['truck'])


def random_case(seed=0, images=12):
    rng = np.random.default_rng(seed)
    truth, found = [], {}
    for image in range(images):
        boxes, labels = [], []
        for _ in range(rng.integers(1, 8)):
            x, y, w, h = *rng.uniform(0, 400, 2), *rng.uniform(8, 150, 2)
            label = int(rng.integers(2))
            ignored = {'iscrowd': 1} if rng.random() < 0.15 else {}
            truth.append((image, (7, 9)[label], x, y, w, h, ignored))
            jitter = rng.normal(0, 0.08, 4) * (w, h, w, h)
            boxes.append(np.array([x, y, x + w, y + h]) + jitter)
            labels.append(label if rng.random() < 0.9 else 1 - label)
        order = np.argsort(-(scores := rng.random(len(boxes))))
        found[image] = detections(np.array(boxes)[order], scores[order], np.array(labels)[order])
    return annotations(truth, images=images), found


def test_means_equal_the_summary_of_the_coco_tool():
    truth, found = random_case()
    scorer = CocoScorer(truth, NAMES)
    for image, boxes in found.items():
        scorer.add(image, boxes)
    metrics = scorer.score()

    for annotation in truth['annotations']:
        annotation['id'] += 1
        annotation['area'] = annotation['bbox'][2] * annotation['bbox'][3]
        annotation.setdefault('iscrowd', 0)
    rows = [
        {
            'image_id': image,
            'category_id': (7, 9)[label],
            'bbox': [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
            'score': float(score),
        }
        for image, d in found.items()
        for box, score, label in zip(d.boxes_xyxy_px, d.scores, d.labels)
    ]
    reference = COCOeval_faster(coco := COCO(truth), coco.loadRes(rows), iouType='bbox')
    reference.run()
    names = ('mAP', 'mAP50', 'mAP75', 'mAP_small', 'mAP_medium', 'mAP_large')
    ours = [getattr(metrics, name) for name in names]
    assert 0.1 < metrics.mAP < 0.9
    assert ours == pytest.approx(list(reference.stats[:6]), abs=1e-6)
    assert pytest.approx(reference.stats[8], abs=1e-6) == metrics.AR100


def test_json_holds_the_contract_names_as_plain_values():
    truth, found = random_case(images=2)
    scorer = CocoScorer(truth, NAMES)
    scorer.add(0, found[0])
    values = json.loads(json.dumps(scorer.score().to_json()))
    assert {'mAP', 'mAP50', 'mAP75', 'mAP_small', 'mAP_medium', 'mAP_large'} <= set(values)
    assert set(values['per_class']) == set(NAMES)
    assert 'per_class' not in values['per_class']['person']


def test_unknown_categories_are_refused_with_a_list():
    content = annotations(
        [], categories=[{'id': 1, 'name': 'FireTruck'}, {'id': 2, 'name': 'Dog'}]
    )
    with pytest.raises(DatasetError, match='unknown categories dog, fire_truck; expected some of'):
        CocoScorer(content, NAMES)


def test_add_refuses_unknown_images_repeats_and_other_classes():
    scorer = CocoScorer(annotations([]), NAMES)
    with pytest.raises(DatasetError, match='image id 5: not in the annotations'):
        scorer.add(5, detections())
    with pytest.raises(DatasetError, match=r"found classes \('cat',\), expected \('person'"):
        scorer.add(0, detections(class_names=('cat',)))
    scorer.add(0, detections())
    with pytest.raises(DatasetError, match='image id 0: added twice'):
        scorer.add(0, detections())


@pytest.mark.parametrize(
    ('text', 'message'),
    [('{', 'is not JSON'), ('[]', 'has no images'), ('{"images": []}', 'no annotations, categor')],
)
def test_damaged_annotation_files_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / 'val.json'
    path.write_text(text)
    with pytest.raises(DatasetError, match=f'val.json: .*{message}'):
        CocoScorer(path, NAMES)


def test_missing_annotation_file_is_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match='nowhere.json: cannot be read'):
        CocoScorer(tmp_path / 'nowhere.json', NAMES)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('OtherVehicle', 'other_vehicle'),
        ('other vehicle', 'other_vehicle'),
        ('Traffic-Light', 'traffic_light'),
        ('person', 'person'),
        ('Person ', 'person'),
    ],
)
def test_snake_case(name, expected):
    assert snake_case(name) == expected


def filled(truth, found):
    scorer = CocoScorer(truth, NAMES)
    for image, boxes in found.items():
        scorer.add(image, boxes)
    return scorer


@pytest.mark.parametrize('seed', range(4))
def test_match_table_scores_as_the_coco_tool_does(seed):
    scorer = filled(*random_case(seed))
    metrics, precision = scorer.score(), scorer.matches().average_precision()
    expected = [[m.mAP50, m.mAP75, m.mAP] for m in metrics.per_class.values()]
    ours = np.stack([precision[:, 0], precision[:, 5], precision.mean(axis=1)], axis=1)
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    assert scorer.matches().objects().tolist() == [m.boxes for m in metrics.per_class.values()]


def test_match_table_keeps_the_best_hundred_boxes_of_an_image():
    wrong, right = [[500, 500, 510, 510]] * 100, [[0, 0, 10, 10]]
    scores = np.linspace(0.9, 0.1, 101)
    truth = annotations([(0, 7, 0, 0, 10, 10)])
    for boxes, expected in ((wrong + right, 0), (right + wrong, 1)):
        scorer = filled(truth, {0: detections(boxes, scores, [0] * 101)})
        assert scorer.matches().average_precision()[0, 0] == pytest.approx(expected)
        assert scorer.score().mAP50 == pytest.approx(expected)


def test_match_table_of_a_part_equals_the_part_scored_alone():
    truth, found = random_case()
    part = {image for image in found if image % 3}
    alone = {
        'images': [i for i in truth['images'] if i['id'] in part],
        'annotations': [a for a in truth['annotations'] if a['image_id'] in part],
        'categories': truth['categories'],
    }
    expected = filled(alone, {i: d for i, d in found.items() if i in part}).score()
    table = filled(truth, found).matches()
    selected = table.select(np.array([i in part for i in table.image_ids]))
    assert selected.image_ids == tuple(sorted(part))
    assert np.nanmean(selected.average_precision()) == pytest.approx(expected.mAP, abs=1e-12)
    assert selected.at(0.5).average_precision()[0, 0] == pytest.approx(
        expected.per_class['person'].mAP50, abs=1e-12
    )


def test_table_refuses_a_threshold_it_was_not_made_with():
    with pytest.raises(ValueError, match='IoU 0.3: expected one of'):
        filled(*random_case()).matches().at(0.3)


def test_merged_scorers_equal_one_and_refuse_an_image_in_both():
    truth, found = random_case()
    halves = [filled(truth, {i: d for i, d in found.items() if i % 2 == n}) for n in (0, 1)]
    halves[0].merge(halves[1])
    assert halves[0].score() == filled(truth, found).score()
    with pytest.raises(DatasetError, match='added twice'):
        halves[0].merge(halves[1])


def test_detections_carry_the_category_ids_of_the_annotations():
    truth = annotations([(0, 9, 0, 0, 10, 10)])
    truth['categories'] = truth['categories'][1:]
    scorer = filled(truth, {0: detections([[1, 2, 4, 8], [0, 0, 5, 5]], [0.5, 0.25], [1, 0])})
    expected = {'image_id': 0, 'category_id': 9, 'bbox': [1, 2, 3, 6], 'score': 0.5}
    assert scorer.detections() == [expected]  # the data set knows no person
