"""Both parts of EMIFF joined, with what may go wrong between them."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import emiff, emiff_checkpoint

from thermal_perception.evaluation.cooperative import CooperativeModel, CooperativeOptions
from thermal_perception.evaluation.dair import read_frames
from thermal_perception.evaluation.disturbance import Disturbance
from thermal_perception.perceive.cooperative import RoadsidePerceiver, VehiclePerceiver
from training.simulate_v2x import simulate, V2xOptions

GRID = {'low_m': [0, -24, -3.08], 'high_m': [48, 24, 0.76], 'counts': [24, 24, 12]}
LOST = Disturbance(loss=1.0)


class Counting:
    """A part of a model that counts its calls."""

    def __init__(self, part):
        self.part, self.calls = part, Counter()

    def __call__(self, *args, **options):
        self.calls['all'] += 1
        return self.part(*args, **options)

    def __getattr__(self, name):
        return getattr(self.part, name)


@pytest.fixture(scope='module')
def frame(tmp_path_factory):
    path = tmp_path_factory.mktemp('v2x')
    simulate(
        V2xOptions(path, 'val', 'day', 1, frames_per_scene=1, delays=1, seed=3, size=(68, 120))
    )
    return read_frames(path, 'val')[0]


@pytest.fixture(scope='module')
def parts():
    with emiff_checkpoint(emiff(grid=GRID), (64, 112)) as checkpoint:
        return RoadsidePerceiver(checkpoint), VehiclePerceiver(checkpoint)


@pytest.fixture
def counted(parts):
    roadside, vehicle = (Counting(part) for part in parts)
    return SimpleNamespace(roadside=roadside, vehicle=vehicle)


def same(found, other):
    return np.array_equal(found.centres_m, other.centres_m) and np.array_equal(
        found.scores, other.scores
    )


def seen(model, frame, cameras='both', **values):
    return model(frame, CooperativeOptions(cameras, score_threshold=0.0, **values))


def test_a_lost_message_leaves_the_vehicle_alone(parts, frame):
    model = CooperativeModel(*parts)
    alone = seen(model, frame, 'ego')
    assert len(alone)
    assert same(seen(model, frame, disturbance=LOST), alone)
    assert same(seen(model, frame, 'late', disturbance=LOST), alone)
    assert len(seen(model, frame, 'infra', disturbance=LOST)) == 0
    assert not same(seen(model, frame), alone)


def test_a_wrong_pose_matters_to_both_and_not_to_the_vehicle(parts, frame):
    model = CooperativeModel(*parts)
    wrong = Disturbance(position_m=5.0)
    assert not same(seen(model, frame, disturbance=wrong), seen(model, frame))
    assert same(seen(model, frame, 'ego', disturbance=wrong), seen(model, frame, 'ego'))


def test_late_fusion_joins_what_either_finds_alone(parts, frame):
    model = CooperativeModel(*parts)
    late = seen(model, frame, 'late')
    expected = parts[1].merged(seen(model, frame, 'ego'), seen(model, frame, 'infra'))
    assert same(late, expected)


def test_a_model_that_remembers_asks_once_and_answers_the_same(parts, frame, counted):
    model = CooperativeModel(counted.roadside, counted.vehicle, remember=True)
    plain = CooperativeModel(*parts)
    for _ in range(2):
        for cameras in ('ego', 'infra', 'late', 'both'):
            assert same(seen(model, frame, cameras), seen(plain, frame, cameras))
    assert counted.roadside.calls['all'] == 1
    assert counted.vehicle.calls['all'] == 3
    seen(model, frame, disturbance=Disturbance(position_m=1.0))
    assert (counted.roadside.calls['all'], counted.vehicle.calls['all']) == (1, 4)
