"""Latency beside accuracy: medians, the first image, models without stages."""

from __future__ import annotations

import pytest

from thermal_perception.evaluation.latency import LatencyRecorder
from thermal_perception.types import Perception


def recorded(*stages):
    calls = iter(stages)
    recorder = LatencyRecorder(lambda frames: Perception(None, None, next(calls)))
    for _ in stages:
        recorder(None)
    return recorder.summary_ms()


def test_median_and_percentile_leave_the_first_image_out():
    slow, rows = {'model': 9.0, 'postprocess': 9.0}, range(1, 12)
    summary = recorded(slow, *({'model': n / 1e3, 'postprocess': 0.002} for n in rows))
    assert summary['model'] == {'median': pytest.approx(6), 'p90': pytest.approx(10)}
    assert summary['total'] == {'median': pytest.approx(8), 'p90': pytest.approx(12)}


def test_a_single_image_counts():
    assert recorded({'model': 0.5})['total']['median'] == pytest.approx(500)


def test_no_image_or_no_stage_gives_nothing():
    assert recorded() == recorded({}, {}) == {}
