"""Average precision of 3D boxes, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.boxes_3d import (
    Boxes3DScorer,
    Key,
    overlaps_3d,
    overlaps_bev,
    Rules,
)
from thermal_perception.types import Boxes3D


def boxes(*rows, scores=None, names=('car',), frame='lidar'):
    """Make boxes of (x, y, z of the centre, l, w, h, yaw[, label])."""
    array = np.array([row[:7] for row in rows], float).reshape(-1, 7)
    n = len(array)
    return Boxes3D(
        array[:, :3], array[:, 3:6], array[:, 6],
        np.array(scores if scores is not None else np.ones(n), np.float32),
        np.array([row[7] if len(row) > 7 else 0 for row in rows], np.int64),
        names, np.full(n, -1), 0, frame,
    )  # fmt: skip


def car(x, y=0.0, z=-1.0, yaw=0.0):
    return (x, y, z, 4.0, 2.0, 1.6, yaw)


OVERALL = Key('bev', 0.5, 'all', 'car')


def ap(found, truth, key=OVERALL, **rules):
    scorer = Boxes3DScorer(('car',), Rules(**rules))
    for n, (f, t) in enumerate(zip(found, truth)):
        scorer.add(f'{n}', f, t)
    return scorer.score()[key]


def test_overlaps_by_hand():
    # Shifted by 1 m along 4 m: 6 of 10 square metres; half as high: 6 * 0.8 of 12.8 + 6.4 - 4.8.
    a = boxes(car(10.0))
    b = boxes((11.0, 0.0, -1.4, 4.0, 2.0, 0.8, 0.0))
    assert overlaps_bev(a, b)[0, 0] == pytest.approx(0.6)
    assert overlaps_3d(a, b)[0, 0] == pytest.approx(4.8 / 14.4)


def test_a_quarter_turn_shares_a_square():
    a, b = boxes(car(10.0)), boxes(car(10.0, yaw=math.pi / 2))
    assert overlaps_bev(a, b)[0, 0] == pytest.approx(4 / 12)
    assert overlaps_bev(a, boxes(car(10.0, yaw=math.pi)))[0, 0] == pytest.approx(1.0)


def test_an_eighth_turn():
    # Two unit squares turned by 45 degrees share an octagon of 2 (sqrt 2 - 1).
    a = boxes((10, 0, 0, 1, 1, 1, 0.0))
    b = boxes((10, 0, 0, 1, 1, 1, math.pi / 4))
    octagon = 2 * (math.sqrt(2) - 1)
    assert overlaps_3d(a, b)[0, 0] == pytest.approx(octagon / (2 - octagon))


def test_boxes_above_each_other_share_nothing():
    assert overlaps_3d(boxes(car(10.0)), boxes(car(10.0, z=1.0)))[0, 0] == 0
    assert overlaps_bev(boxes(car(10.0)), boxes(car(10.0, z=1.0)))[0, 0] == 1


def test_hit_miss_hit():
    truth = boxes(car(10.0), car(20.0))
    found = boxes(car(10.0), car(60.0), car(20.0), scores=[0.9, 0.8, 0.7])
    assert ap([found], [truth]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert ap([found], [truth], reference_ap=True) == pytest.approx(0.5 * 2 / 3)


def test_the_reference_leaves_out_nothing_where_the_best_box_is_wrong():
    truth = boxes(car(10.0))
    found = boxes(car(60.0), car(10.0), scores=[0.9, 0.8])
    assert ap([found], [truth], reference_ap=True) == pytest.approx(0.5)
    assert ap([found], [truth]) == pytest.approx(0.5)


def test_perfect():
    truth = [boxes(car(10.0), car(40.0, yaw=1.0)), boxes(car(70.0)), boxes()]
    scorer = Boxes3DScorer(('car',))
    for n, t in enumerate(truth):
        scorer.add(str(n), t, t)
    assert set(scorer.score().values()) == {1.0}
    assert len(scorer.score()) == 2 * 3 * 4


def test_nothing_found_and_nothing_to_find():
    assert ap([boxes()], [boxes(car(10.0))]) == 0.0
    assert ap([boxes(car(10.0))], [boxes()]) is None


def test_an_object_takes_the_box_it_overlaps_most_whatever_its_score():
    truth = boxes(car(10.0))
    found = boxes(car(10.8), car(10.0), scores=[0.9, 0.3])
    # The better score is false: precision 1/2 at recall 1.
    assert ap([found], [truth]) == pytest.approx(0.5)


def test_objects_choose_in_their_order():
    # The first object takes the box in between, so the second has only the far one.
    truth = boxes(car(10.0), car(11.0))
    found = boxes(car(10.6), car(12.0), scores=[0.9, 0.8])
    assert ap([found], [truth]) == 1.0
    # In the other order the second object takes the same box, and the first none.
    truth = boxes(car(11.0), car(10.0))
    assert ap([found], [truth]) == pytest.approx(0.5)


def test_a_corner_decides_on_the_band():
    # Centre at 31, rear corners at 29.
    on_edge = boxes((31.0, 0.0, -1.0, 4.0, 2.0, 1.6, 0.0))
    for name, value in (('0-30', 1.0), ('30-50', 1.0), ('50-100', None), ('all', 1.0)):
        assert ap([on_edge], [on_edge], Key('3d', 0.5, name, 'car')) == value
    by_centre = {
        name: ap([on_edge], [on_edge], Key('3d', 0.5, name, 'car'), truth_by_centre=True)
        for name in ('0-30', '30-50')
    }
    assert by_centre == {'0-30': None, '30-50': 1.0}


def test_a_box_beyond_the_range_does_not_count():
    truth = boxes(car(10.0), car(120.0), car(20.0, z=9.0), car(20.0, y=60.0))
    found = boxes(car(120.0), car(10.0), scores=[0.9, 0.5])
    assert ap([found], [truth]) == 1.0


def test_classes_are_apart():
    names = ('car', 'cyclist')
    scorer = Boxes3DScorer(names)
    truth = boxes((*car(10.0), 0), (*car(20.0), 1), names=names)
    found = boxes((*car(10.0), 0), (*car(20.0), 0), scores=[0.9, 0.8], names=names)
    scorer.add('0', found, truth)
    scores = scorer.score()
    assert scores[Key('3d', 0.7, 'all', 'car')] == 1.0
    assert scores[Key('3d', 0.7, 'all', 'cyclist')] == 0.0


def test_weights_repeat_frames():
    found = [boxes(car(10.0), scores=[0.9]), boxes(car(50.0), scores=[0.95])]
    truth = [boxes(car(10.0)), boxes(car(10.0))]
    scorer = Boxes3DScorer(('car',))
    repeated = Boxes3DScorer(('car',))
    for n in range(2):
        scorer.add(str(n), found[n], truth[n])
        for k in range((1, 3)[n]):
            repeated.add(f'{n}{k}', found[n], truth[n])
    assert scorer.score(np.array([1, 3])) == repeated.score()


@pytest.mark.parametrize(
    ('found', 'message'),
    [
        (boxes(frame='map'), "found boxes in 'map', expected 'lidar'"),
        (boxes(names=('bus',)), r"found classes \('bus',\), expected \('car',\)"),
    ],
)
def test_what_does_not_belong_together(found, message):
    with pytest.raises(MetricError, match=message):
        Boxes3DScorer(('car',)).add('0', found, boxes())


def test_a_frame_counts_once():
    scorer = Boxes3DScorer(('car',))
    scorer.add('0', boxes(), boxes())
    with pytest.raises(MetricError, match='0: added twice'):
        scorer.add('0', boxes(), boxes())
