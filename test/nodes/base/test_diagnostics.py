from __future__ import annotations

import pytest

pytest.importorskip('diagnostic_msgs', reason='needs the ROS 2 package diagnostic_msgs')

from diagnostic_msgs.msg import DiagnosticStatus

from thermal_perception.nodes.base.diagnostics import (
    counts_text,
    Finding,
    Health,
    latency_values,
    Level,
    to_status,
)
from thermal_perception.nodes.base.statistics import Latency


def test_health_without_findings_is_ok_and_says_its_summary():
    health = Health('thermal input', 'active')
    assert (health.level, health.message) == (Level.OK, 'active')


@pytest.mark.parametrize(
    ('levels', 'worst'),
    [
        ((Level.WARN,), Level.WARN),
        ((Level.WARN, Level.STALE), Level.STALE),
        ((Level.STALE, Level.ERROR, Level.WARN), Level.ERROR),
    ],
)
def test_level_is_that_of_the_worst_finding(levels, worst):
    findings = tuple(Finding(level, level.name) for level in levels)
    health = Health('x', '', findings)
    assert health.level == worst
    assert health.message.split('; ')[0] == worst.name


def test_status_has_the_name_of_node_and_part_and_texts_as_values():
    health = Health(
        'perception', 'active', (Finding(Level.WARN, 'hot'),),
        {'rate [Hz]': 29.97, 'frozen': True, 'processed': 12},
    )
    status = to_status('front/fusion_detr', 'cafe', health)
    assert status.level == DiagnosticStatus.WARN
    assert status.name == 'front/fusion_detr: perception'
    assert (status.hardware_id, status.message) == ('cafe', 'hot')
    assert [(v.key, v.value) for v in status.values] == [
        ('rate [Hz]', '29.970'), ('frozen', 'true'), ('processed', '12')
    ]


def test_latencies_are_named_with_unit():
    values = latency_values({'model': Latency(1.5, 3.0)})
    assert values == {'model median [ms]': 1.5, 'model p99 [ms]': 3.0}


def test_counts_are_listed_most_frequent_first_without_zeros():
    assert counts_text({'duplicate': 1, 'future': 3, 'zero_stamp': 0}) == '3 future, 1 duplicate'
