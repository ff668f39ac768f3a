"""Bootstrap of COCO figures against the COCO tool on really resampled sets; parts; comparisons."""

from __future__ import annotations

import time

import numpy as np
from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.bootstrap import resample_weights
from thermal_perception.evaluation.coco import CocoScorer
from thermal_perception.evaluation.detection_statistics import (
    breakdown,
    class_groups,
    compare,
    Resampling,
    score_groups,
    score_intervals,
)
from thermal_perception.types import Detections

NAMES = ('person', 'car', 'bicycle')
GROUPS = class_groups(NAMES)


def data(seed=0, images=14):
    """Return COCO truth with ignore regions, and jittered detections with false ones."""
    rng = np.random.default_rng(seed)
    truth, found = [], {}
    for image in range(images):
        boxes, labels = [], []
        for _ in range(rng.integers(0, 7)):
            corner, size = rng.uniform(0, 400, 2), rng.uniform(8, 150, 2)
            label = int(rng.choice(3, p=[0.6, 0.35, 0.05]))
            row = {'image_id': image, 'category_id': label, 'bbox': [*corner, *size]}
            truth.append(row | {'iscrowd': int(rng.random() < 0.1)})
            box = np.r_[corner, corner + size] + rng.normal(0, 0.08, 4) * np.tile(size, 2)
            boxes += [box, box + np.tile(rng.normal(0, 60, 2), 2)]
            labels += [label, label]
        found[image] = np.reshape(boxes, (-1, 4)), rng.random(len(boxes)), np.array(labels, int)
    return truth, found


def scorer(truth, found, copies=None):
    """Return a scorer of images repeated as often as `copies` says, each copy an image."""
    copies = np.ones(len(found), int) if copies is None else copies
    numbers = [image for image, times in enumerate(copies) for _ in range(times)]
    content = {
        'images': [{'id': n} for n in range(len(numbers))],
        'categories': [{'id': n, 'name': name} for n, name in enumerate(NAMES)],
        'annotations': [
            row | {'image_id': n}
            for n, image in enumerate(numbers)
            for row in truth
            if row['image_id'] == image
        ],
    }
    result = CocoScorer(content, NAMES)
    for n, image in enumerate(numbers):
        boxes, scores, labels = found[image]
        order = np.argsort(-scores)
        arrays = boxes.astype(np.float32), scores.astype(np.float32), labels
        result.add(n, Detections(*(a[order] for a in arrays), NAMES, 0, '', (600, 600)))
    return result


def draws(table, resamples=200, seed=0):
    return Resampling(table.image_ids, resamples, seed)


def test_resampled_scores_equal_the_coco_tool_on_the_resampled_set():
    truth, found = data()
    table = scorer(truth, found).matches()
    for weights in resample_weights(len(found), 8, seed=5):
        metrics = scorer(truth, found, weights).score()
        expected = [[metrics.mAP50, metrics.mAP]] + [
            [np.nan if v is None else v for v in (m.mAP50, m.mAP)]
            for m in metrics.per_class.values()
        ]
        assert_allclose(score_groups(table, GROUPS, weights), expected, atol=1e-12)


def test_intervals_hold_the_score_and_shrink_with_more_images():
    widths = []
    for images in (15, 90):
        table = scorer(*data(images=images)).matches()
        found = score_intervals(table, GROUPS, draws(table))['person']['mAP50']
        assert found.low <= score_groups(table, GROUPS)[1, 0] <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 1.5


def test_class_without_objects_has_no_interval():
    truth, found = data()
    table = scorer([r for r in truth if r['category_id'] == 0], found).matches()
    intervals = score_intervals(table, GROUPS, draws(table, 20))
    assert intervals['car']['mAP50'] is None
    assert intervals['all'] == intervals['person']


def test_objects_in_fewer_than_five_images_give_a_figure_but_no_interval():
    truth, found = data()
    few = [r for r in truth if r['category_id'] == 0 and r['image_id'] > 3]
    images = {r['image_id'] for r in few if not r['iscrowd']}
    for kept, known in ((5, True), (4, False)):
        chosen = sorted(images)[:kept]
        table = scorer([r for r in few if r['image_id'] in chosen], found).matches()
        assert (
            score_intervals(table, GROUPS, draws(table, 20))['person']['mAP'] is not None
        ) is known
        compared = compare(table, table, GROUPS, draws(table, 20))['person']['mAP50']
        assert (compared.difference is not None) is known
        assert compared.first is not None
    one_scene = Resampling(['same'] * 14, 20)
    table = scorer(truth, found).matches()
    assert score_intervals(table, GROUPS, one_scene)['all']['mAP50'] is None


def test_excluded_classes_give_a_group_of_their_own():
    groups = class_groups(NAMES, ['car', 'bicycle'])
    table = scorer(*data()).matches()
    scores = dict(zip(groups, score_groups(table, groups).tolist()))
    assert scores['without car, bicycle'] == scores['person']


def test_worse_boxes_are_found_to_be_worse_and_equal_ones_are_not():
    truth, found = data(images=60)
    blurred = {i: (b + np.array([30, 30, 30, 30]), s, c) for i, (b, s, c) in found.items()}
    table, worse = (scorer(truth, f).matches().at(0.5) for f in (found, blurred))
    compared = compare(table, worse, GROUPS, draws(table))['all']['mAP50']
    assert compared.difference.estimate == compared.second - compared.first < 0
    assert compared.difference.interval.high < 0
    assert compared.difference.p_value == pytest.approx(2 / 201)
    same = compare(table, table, GROUPS, draws(table, 20))['all']['mAP50']
    assert (same.difference.estimate, same.difference.p_value) == (0, 1)


def test_runs_on_different_images_are_refused():
    tables = [scorer(*data(images=n)).matches() for n in (3, 4)]
    with pytest.raises(MetricError, match='found 3 images .* and 4 of'):
        compare(*tables, GROUPS, draws(tables[0]))


def test_breakdown_scores_each_part_as_if_it_were_alone():
    truth, found = data()
    table = scorer(truth, found).matches()
    night = {image: {'light': 'night' if image % 2 else 'day'} for image in range(13)}
    slices = breakdown(table, night, GROUPS, draws(table, 20))
    assert [(s.attribute, s.value, s.images) for s in slices] == [
        ('light', 'day', 7),
        ('light', 'night', 6),
    ]
    alone = scorer(truth, found, [int(i % 2 == 1) for i in range(13)] + [0]).score()
    assert slices[1].figures['all']['mAP'] == pytest.approx(alone.mAP, abs=1e-12)
    assert slices[1].boxes == alone.boxes
    bounds = slices[1].intervals['all']
    assert bounds.low <= alone.mAP50 <= bounds.high
    assert breakdown(table, {}, GROUPS) == []


def test_hundreds_of_draws_of_hundreds_of_images_take_seconds():
    table = scorer(*data(images=300)).matches().at(0.5)
    started = time.process_time()
    score_intervals(table, GROUPS, draws(table, 250))
    assert time.process_time() - started < 5  # scoring the resampled sets anew takes a minute
