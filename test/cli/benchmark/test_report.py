"""What the benchmark concludes from given times."""

from __future__ import annotations

from dataclasses import replace
import io
import json

import pytest
from rich.console import Console
from turns import turn

from thermal_perception.cli.benchmark.load import Overload, Sweep
from thermal_perception.cli.benchmark.report import (
    BenchmarkResult,
    median_ratio,
    NetworkResult,
    NodeResult,
)
from thermal_perception.cli.benchmark.tables import (
    all_tables,
    network_table,
    overload_table,
    rate_table,
    stage_table,
    sweep_table,
    verdict_table,
)
from thermal_perception.cli.benchmark.turn import Fates, Timing

TORCH = NetworkResult('torch', 'fp32', [[100.0, 100.0, 200.0], [90.0], [120.0]])
OPENVINO = NetworkResult('openvino', 'bf16', [[50.0], [30.0, 90.0, 30.0], [40.0]])
STAGES = {
    'decode': [0.5, 0.25, 0.75],
    'model': [100.0, 101.0, 99.0],
    'total': [104.0, 107.0, 102.0],
    'overhead': [4.0, 6.0, 3.0],
}


def node(**changes):
    """Return a node that answers every 100 ms, beside a network that needs 95, 80 and 99 ms."""
    values = {
        'network': TORCH,
        'stages_ms': STAGES,
        'bare_hz': [1000 / 95, 1000 / 80, 1000 / 99],
        'turns': [turn([150.0] * 33, published_ms=[140.0] * 33)] * 2
        + [turn([150.0] * 32 + [250.0], published_ms=[140.0] * 33, cores=1.5)],
        'fates': Fates(300, 99, {'replaced': 200}),
        'peak_mib': 500.0,
    }
    return NodeResult(**{**values, **changes})


def quick(**changes):
    """Return a node that is twice as fast, with answers half as old."""
    turns = [turn([75.0] * 33, period_ms=50, published_ms=[70.0] * 33)] * 3
    values = {'network': OPENVINO, 'turns': turns, 'bare_hz': [20.0] * 3, 'peak_mib': 600.0}
    return node(**{**values, **changes})


def result(*nodes, **changes):
    nodes = nodes or (node(),)
    values = {
        'machine': {'cpu': 'test', 'amx': True},
        'model': {'name': 'tiny', 'fingerprint': '0'},
        'output': 'detections',
        'input_hz': 30.0,
        'size': (512, 640),
        'networks': [one.network for one in nodes],
        'transport': Timing(1.5, 3.0),
        'transport_lost': 0.0,
        'nodes': nodes,
    }
    return BenchmarkResult(**{**values, **changes})


def text_of(table, width=120):
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def cells(table, label):
    """Return the texts of the row of this label."""
    lines = [line.split('│') for line in text_of(table).splitlines() if '│' in line]
    (row,) = [line[2:-1] for line in lines if line[1].strip() == label]
    return [cell.strip() for cell in row]


def test_overhead_is_what_the_node_measured_without_the_network():
    assert node().overhead.median_ms == 4.0


def test_ratio_is_the_median_over_pairs_of_turns():
    assert median_ratio([1.0, 6.0, 3.0], [2.0, 2.0, 2.0]) == 1.5
    assert node().rate_ratio == pytest.approx(0.95)


def test_age_factor_compares_99th_percentiles():
    assert node().age_factor is None
    ours = node(turns=[turn([100.0, 100.0])], naive=[turn([700.0, 700.0])])
    assert ours.age_factor == pytest.approx(7.0)


def test_json_has_what_scripts_rely_on():
    values = json.loads(json.dumps(result().to_json()))
    (backend,) = values['backends']
    assert (backend['name'], backend['precision'], backend['median_ms']) == ('torch', 'fp32', 100)
    assert values['stages']['decode']['median_ms'] == 0.5
    found = values['node']
    assert len(found['runs']) == 3
    assert (found['overhead_median_ms'], found['age_median_ms']) == (4.0, 150.0)
    assert found['published_age_p99_ms'] == 140.0
    assert (found['answers'], found['cores'], found['peak_memory_mib']) == (99, 1.0, 500.0)
    assert found['frames'] == {
        'sent': 300, 'answered': 99, 'given_up': {'replaced': 200}, 'lost': 1,
    }  # fmt: skip
    assert 'naive' not in values
    assert values['machine'] == {'cpu': 'test', 'amx': True}
    with_naive = result(node(naive=[turn([900.0] * 10, period_ms=125)])).to_json()
    assert with_naive['naive']['age_p99_ms'] == 900.0
    assert with_naive['naive']['rate_hz'] == pytest.approx(8.0)


def test_json_of_several_backends_has_each_and_the_first_by_itself():
    values = result(quick(), networks=[OPENVINO, TORCH]).to_json()
    openvino, torch = values['backends']
    assert openvino['times_as_fast_as_first'] == 1.0
    # Medians by turn are 50, 30, 40 and 100, 90, 120 ms.
    assert torch['times_as_fast_as_first'] == pytest.approx(1 / 3)
    assert openvino['node'] == values['node']
    assert 'node' not in torch  # it was run as the network alone


@pytest.mark.parametrize(
    ('changes', 'met', 'missed'),
    [
        ({}, 2, 0),
        ({'stages_ms': {'overhead': [6.5]}}, 1, 1),
        ({'bare_hz': [1000 / 89] * 3}, 1, 1),
        ({'naive': [turn([600.0])], 'turns': [turn([150.0] * 9)] * 3}, 3, 0),
        ({'naive': [turn([599.0])], 'turns': [turn([150.0] * 9)] * 3}, 2, 1),
    ],
)
def test_verdict_compares_with_the_budget(changes, met, missed):
    text = text_of(verdict_table(result(node(**changes))))
    assert (text.count(' met '), text.count(' missed ')) == (met, missed)


@pytest.mark.parametrize(('machine', 'met'), [({}, 3), ({'gpu': 'x'}, 2), ({'amx': True}, 2)])
def test_straightforward_node_may_be_nearer_where_the_network_is_slow(machine, met):
    slow = node(naive=[turn([196.0])], turns=[turn([150.0] * 9)] * 3)
    text = text_of(verdict_table(result(slow, machine=machine)))
    assert text.count(' met ') == met


def test_stage_table_names_sums_and_transport():
    text = text_of(stage_table(result()))
    for fact in ('640x512 mono16', 'decode', 'the same without the network', 'transport', '1.50'):
        assert fact in text
    assert 'ratio' not in text


def test_network_table_has_the_ratio_of_alternating_turns():
    table = network_table(result(networks=[TORCH, OPENVINO]))
    assert cells(table, 'torch fp32') == ['100.00', '196.80', '1.00']
    assert cells(table, 'openvino bf16') == ['40.00', '88.40', '3.00']


def test_rate_table_has_nodes_side_by_side_with_ratios_by_the_first():
    table = rate_table(result(node(), quick(fates=Fates(300, 289, {'replaced': 10, 'late': 1}))))
    assert cells(table, 'answers a second') == ['10.0', '20.0', '2.00']
    assert cells(table, 'age on arrival, ms')[2] == '0.50'
    assert cells(table, 'most memory, MiB') == ['500', '600', '1.20']
    assert cells(table, 'images sent') == ['300', '300', '']
    assert cells(table, 'given up: replaced') == ['200', '10', '']
    assert cells(table, 'given up: late') == ['0', '1', '']
    assert cells(table, 'lost on the way') == ['1', '0', '']


def loaded(ages_ms):
    return Overload(turn(ages_ms, period_ms=50, cores=1.25), Fates(12, 6, {'replaced': 6}))


def test_sweep_table_has_a_row_for_each_rate_and_tells_where_the_node_saturates():
    partly = turn([40.0] * 30, period_ms=50)
    partly = replace(partly, answers=partly.answers.part(15))
    sweep = Sweep(10.0, [turn([30.0] * 30, period_ms=80, cores=0.5), partly])
    text = text_of(sweep_table(node(sweep=sweep)))
    assert 'torch fp32 saturates at 12.5 Hz (98% answered)' in text
    rows = [line.split() for line in text.splitlines() if '%' in line and '│' in line]
    assert [row[1:9:2] for row in rows] == [
        ['12.5', '100.0%', '12.5', '30.00'],
        ['20.0', '60.0%', '20.0', '40.00'],
    ]


@pytest.mark.parametrize(
    ('kept', 'text'),
    [(0, 'does not saturate at 12.5 Hz'), (15, 'is saturated at 12.5 Hz already')],
)
def test_sweep_without_an_end_and_without_a_beginning_is_told(kept, text):
    only = turn([30.0] * 30, period_ms=80)
    sweep = Sweep(10.0, [replace(only, answers=only.answers.part(kept))])
    assert text in text_of(sweep_table(node(sweep=sweep)))


def test_overload_table_has_the_course_of_the_age_and_where_the_images_ended():
    pair = result(
        node(overload=loaded([50.0] * 6)), quick(overload=loaded([50.0] * 4 + [75.0] * 2))
    )
    table = overload_table(pair)
    assert cells(table, 'images a second') == ['20.0', '20.0', '1.00']
    assert cells(table, 'first -> last third, ms') == ['50.0 -> 50.0', '50.0 -> 75.0', '']
    assert cells(table, 'slope, ms a second')[0] == '+0.00'
    assert cells(table, 'given up: replaced') == ['6', '6', '']
    growth = 'openvino bf16: age in the last third by the first, at 2 times the rate'
    assert cells(verdict_table(pair), growth) == ['<= 1.2', '1.50', 'missed']


def test_tables_are_those_of_what_was_measured():
    sweep = Sweep(10.0, [turn([30.0] * 30)])
    assert len(all_tables(result())) == 4
    assert len(all_tables(result(node(sweep=sweep), quick(sweep=sweep)))) == 6
    assert len(all_tables(result(node(overload=loaded([50.0] * 6))))) == 5


def test_json_has_sweep_and_overload():
    sweep = Sweep(10.0, [turn([30.0] * 30)])
    values = result(node(sweep=sweep, overload=loaded([50.0] * 6))).to_json()
    assert values['sweep']['saturation_hz'] == pytest.approx(10.0)
    assert values['overload'] == values['backends'][0]['overload']


def test_tables_of_two_nodes_fit_into_80_columns():
    pair = result(node(), quick())
    for table in (network_table, stage_table, rate_table):
        text = text_of(table(pair), width=80)
        assert max(map(len, text.splitlines())) <= 80
        assert text.count('\n') == text_of(table(pair), width=200).count('\n')  # nothing wraps
