"""What the demo counts of a vehicle with the roadside and of the same vehicle alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from thermal_perception.cli.demo.cooperative_state import (
    CooperativeState,
    count_overlaps,
    Ground,
    on_ground,
)
from thermal_perception.types import Boxes3D

GROUND = Ground((0.0, -20.0), (60.0, 20.0))


def boxes(*xy, stamp_ns=1, scores=None):
    centres = np.array([(x, y, 0.0) for x, y in xy], np.float64).reshape(-1, 3)
    count = len(centres)
    return Boxes3D(
        centres,
        np.tile((4.0, 2.0, 1.5), (count, 1)),
        np.zeros(count),
        np.asarray(scores if scores is not None else [0.9] * count, np.float32),
        np.zeros(count, np.int64),
        ('car',),
        np.arange(count),
        stamp_ns,
        'base_link',
    )


def test_boxes_count_where_they_overlap_enough_each_object_once():
    truth = boxes((10, 0), (30, 5))
    # 4 x 2 m: shifted by 2 m along x a third of the union is shared, by 2.5 m less than 0.3.
    found = boxes((12, 0), (10.5, 0), (32.5, 5), (50, 0), scores=[0.4, 0.8, 0.9, 0.5])
    count = count_overlaps(found, truth)
    assert (count.found, count.missed, count.false) == (1, 1, 3)
    count = count_overlaps(boxes((12, 0)), truth)
    assert (count.found, count.missed, count.false) == (1, 1, 0)
    nothing = count_overlaps(boxes(), boxes())
    assert (nothing.found, nothing.missed, nothing.false) == (0, 0, 0)


def test_what_is_off_the_ground_does_not_count():
    kept = on_ground(boxes((-1, 0), (5, 0), (61, 0), (5, 21), (60, -20)), GROUND)
    assert kept.track_ids.tolist() == [1, 4]
    state = CooperativeState(GROUND)
    state.take_truth(boxes((10, 0)))
    state.take_answer(boxes((10, 0), (-30, 0)), 1.0)
    assert state.scores == {'precision': 1.0, 'recall': 1.0}


def test_both_vehicles_are_scored_with_the_same_truth():
    state = CooperativeState(GROUND)
    state.take_answer(boxes((10, 0), (30, 5)), 1.0)
    state.take_alone(boxes((10, 0)), 1.1)
    state.take_truth(boxes((10, 0), (30, 5)))
    assert state.scores == {'precision': 1.0, 'recall': 1.0}
    assert state.alone.scores == {'precision': 1.0, 'recall': 0.5}
    summary = state.to_json()
    assert summary['recall'] == 1.0
    assert summary['alone'] == {'frames': 1, 'precision': 1.0, 'recall': 0.5}


def test_a_moment_is_complete_when_the_vehicle_alone_has_answered_or_passed_it_by():
    state = CooperativeState(GROUND)
    for stamp in (1, 2, 3):
        state.take_truth(boxes((10, 0), stamp_ns=stamp))
        state.take_answer(boxes((10, 0), stamp_ns=stamp), 1.0)
    assert state.complete_scenes() == []
    state.take_alone(boxes((20, 0), stamp_ns=2), 1.0)
    first, second = state.complete_scenes()
    assert first.alone is None
    assert second.alone.stamp_ns == second.found.stamp_ns == second.truth.stamp_ns == 2
    assert state.complete_scenes() == []
    state.take_alone(boxes(stamp_ns=3), 1.0)
    assert [scene.found.stamp_ns for scene in state.complete_scenes()] == [3]


def test_a_vehicle_alone_that_is_ahead_is_waited_for():
    state = CooperativeState(GROUND)
    for stamp in (1, 2, 3):
        state.take_truth(boxes((10, 0), stamp_ns=stamp))
        state.take_alone(boxes((20, 0), stamp_ns=stamp), 1.0)
        assert state.complete_scenes() == []
    for stamp in (1, 2, 3):
        state.take_answer(boxes((10, 0), stamp_ns=stamp), 2.0)
        (scene,) = state.complete_scenes()
        assert scene.found.stamp_ns == scene.alone.stamp_ns == stamp


def test_a_node_in_error_is_named():
    state = CooperativeState(GROUND)
    state.take_other('emiff_infrastructure', [status('features', b'\x00', 'active')])
    assert state.error == ''
    state.take_other('emiff_infrastructure', [status('features', b'\x02', 'no such file')])
    assert state.error == 'emiff_infrastructure: no such file'
    state.take_report([status('perception', b'\x02', 'out of memory')])
    assert state.error == 'out of memory; emiff_infrastructure: no such file'


def test_moments_do_not_wait_for_ever_for_a_vehicle_that_is_silent():
    state = CooperativeState(GROUND)
    for stamp in range(20):
        state.take_truth(boxes((10, 0), stamp_ns=stamp))
        state.take_answer(boxes((10, 0), stamp_ns=stamp), 1.0)
    scenes = state.complete_scenes()
    assert [scene.found.stamp_ns for scene in scenes] == list(range(12))
    assert all(scene.alone is None for scene in scenes)


def test_the_longest_pause_is_known():
    state = CooperativeState(GROUND)
    for number, now_s in enumerate((1.0, 1.5, 4.0, 4.2)):
        state.take_answer(replace(boxes((10, 0)), stamp_ns=number), now_s)
    assert state.to_json()['longest_pause_s'] == pytest.approx(2.5)


def status(name, rank, message, **values):
    pairs = [SimpleNamespace(key=k.replace('_', ' '), value=v) for k, v in values.items()]
    return SimpleNamespace(name=name, level=rank, message=message, values=pairs)


def test_facts_tell_of_the_link_and_what_it_gives():
    state = CooperativeState(GROUND)
    assert state.facts['link'] == 'STALE  no diagnostics yet'
    sent = {'bytes_received': '23400', 'bytes_delivered': '11700'}
    state.take_other('simulated_link', [status('link', b'\x01', 'cut on request', **sent)])
    roadside = status('features', b'\x00', 'active', bytes_per_frame='1317', level='c=16 s=1')
    state.take_other('emiff_infrastructure', [roadside])
    state.take_other('simulated_link', [])
    assert state.facts['features used'] == 'none'
    used = {'sender': 'pole', 'feature_age_[s]': '0.4', 'weight': '0.75', 'coverage': '0.31'}
    state.take_report([status('v2x', b'\x00', 'active', **used)])
    facts = state.facts
    assert facts['link'] == 'WARN  cut on request'
    assert facts['over the air'] == '23.4 kB sent, 11.7 kB arrived'
    assert facts['a message'] == '1317 bytes, c=16 s=1'
    assert facts['features used'] == '0.4 s old, weight 0.75, cover 0.31'
    assert facts['vehicle alone'] == '- recall, - precision'
