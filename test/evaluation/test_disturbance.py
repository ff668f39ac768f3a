"""Errors that every frame draws for itself."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.disturbance import Disturbance, UNDISTURBED
from thermal_perception.geometry.transforms import from_xyz_rpy, invert

POLE = invert(from_xyz_rpy((30.0, -8.0, 6.0), (0.0, 0.4, 2.0)))
FRAMES = [SimpleNamespace(name=f'{n:06d}', T_camera_world=POLE) for n in range(2000)]


def place(disturbance, frame=FRAMES[0]):
    return invert(disturbance.T_camera_world(frame))[:3, 3]


def test_without_errors_nothing_moves_and_nothing_is_lost():
    np.testing.assert_allclose(UNDISTURBED.T_camera_world(FRAMES[0]), POLE, atol=1e-12)
    assert not any(UNDISTURBED.loses(frame) for frame in FRAMES[:50])


def test_errors_have_the_size_asked_for():
    moved = np.array([place(Disturbance(position_m=0.5), f) for f in FRAMES]) - place(UNDISTURBED)
    np.testing.assert_allclose(moved.std(0), [0.5, 0.5, 0.0], atol=0.03)
    np.testing.assert_allclose(moved.mean(0), 0.0, atol=0.05)
    turned = [
        np.linalg.inv(POLE)[:3, :3].T @ np.linalg.inv(T)[:3, :3]
        for T in (Disturbance(heading_deg=2.0).T_camera_world(f) for f in FRAMES)
    ]
    angles = np.rad2deg([np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1)) for R in turned])
    assert np.sqrt(np.mean(angles**2)) == pytest.approx(2.0, rel=0.05)


def test_a_larger_error_points_the_same_way():
    small, large = (place(Disturbance(position_m=m)) - place(UNDISTURBED) for m in (0.5, 2.0))
    np.testing.assert_allclose(large, 4 * small, atol=1e-9)


def test_messages_are_lost_as_often_as_asked_for_and_more_of_them_with_a_larger_share():
    few = {f.name for f in FRAMES if Disturbance(loss=0.2).loses(f)}
    many = {f.name for f in FRAMES if Disturbance(loss=0.5).loses(f)}
    assert few < many
    assert len(few) / len(FRAMES) == pytest.approx(0.2, abs=0.03)
    assert all(Disturbance(loss=1.0).loses(f) for f in FRAMES[:50])


def test_another_seed_draws_other_errors():
    assert not np.allclose(*(place(Disturbance(position_m=1.0, seed=s)) for s in (0, 1)))


@pytest.mark.parametrize('field', [{'position_m': -1.0}, {'heading_deg': -1.0}, {'loss': 1.5}])
def test_impossible_errors_are_refused(field):
    with pytest.raises(MetricError, match='expected sizes from 0'):
        Disturbance(**field)
