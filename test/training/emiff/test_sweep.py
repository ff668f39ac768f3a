"""What a model bears, asked of one whose answers are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from thermal_perception.evaluation.cooperative import CooperativeOptions
from thermal_perception.evaluation.figures import Draws
from training.emiff.sweep import (
    compare_cameras,
    compression,
    disturbances,
    Frames,
    run_sweep,
    Sweep,
)
from training.simulate_v2x import simulate, V2xOptions


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    path = tmp_path_factory.mktemp('v2x')
    simulate(
        V2xOptions(path, 'val', 'day', 3, frames_per_scene=2, delays=2, seed=5, size=(68, 120))
    )
    return Frames(path, 'val', delays=2)


class Knowing:
    """Finds all objects with both cameras and fresh images, else every second one."""

    vehicle = SimpleNamespace(class_names=('car',))

    def __init__(self):
        self.asked = []

    def __call__(self, frame, options):
        self.asked.append((frame.infra_image.name, options))
        fresh = frame.infra_stamp_ns == frame.ego_stamp_ns
        whole = options.cameras == 'both' and fresh and not options.disturbance.loses(frame)
        return frame.truth.select(np.arange(0, len(frame.truth), 1 if whole else 2))


def test_delays_show_older_images_of_the_same_frames(frames):
    assert len(frames) == 6
    assert len(set(frames.units.values())) == 3
    late = [[f.ego_stamp_ns - f.infra_stamp_ns for f in of] for of in frames.by_delay]
    expected = [[0] * 6, [100_000_000] * 6, [200_000_000] * 6]
    np.testing.assert_allclose(late, expected, atol=1000)  # files count microseconds


def test_both_cameras_are_compared_with_what_they_must_beat(frames):
    found = compare_cameras(Knowing(), frames, Draws(50))
    assert list(found) == ['ego', 'infra', 'late', 'both']
    best = found['both'].point.AP3D
    assert best == pytest.approx(1.0)
    assert found['ego'].point.AP3D < 0.7
    gain = found['ego'].behind[0]
    assert gain.estimate == pytest.approx(1.0 - found['ego'].point.AP3D)
    assert gain.interval.low > 0.2
    assert gain.real
    assert found['both'].behind[0].estimate == 0.0
    assert found['both'].intervals[0].low == pytest.approx(1.0)


def test_a_sweep_asks_at_every_value(frames):
    age = next(s for s in disturbances(0) if s.delayed)
    age = Sweep(age.name, (0.0, 1.0, 2.0), age.options, delayed=True)
    points = run_sweep(Knowing(), frames, age)
    assert [p.value for p in points] == [0, 1, 2]
    best = points[0].AP3D
    assert best == pytest.approx(1.0)
    assert points[1].AP3D == points[2].AP3D < 0.7
    assert points[0].by_band['all'] == points[0].AP3D


def test_lost_messages_and_levels_reach_the_model(frames):
    lost = next(s for s in disturbances(7) if 'lost' in s.name)
    points = run_sweep(Knowing(), frames, lost)
    assert points[0].AP3D > points[-1].AP3D
    levels = compression(((16, 1), (16, 2)))
    assert levels.values == (64.0, 256.0)
    assert levels.options(256.0) == CooperativeOptions(level=(16, 2))
    model = Knowing()
    run_sweep(model, frames, levels, 'late')
    assert {(o.cameras, o.level) for _, o in model.asked} == {('late', (16, 1)), ('late', (16, 2))}


def test_every_error_starts_from_none():
    for sweep in disturbances(3):
        first = sweep.options(sweep.values[0]).disturbance
        assert (first.position_m, first.heading_deg, first.loss) == (0, 0, 0)
