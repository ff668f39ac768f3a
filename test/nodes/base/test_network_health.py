from types import SimpleNamespace

from thermal_perception.nodes.base.diagnostics import Level
from thermal_perception.nodes.base.network_health import network_findings, network_values
from thermal_perception.nodes.base.statistics import EventCounter

RUNS = {'device': 'cpu', 'backend': 'torch fp32', 'backend_notes': (), 'degraded': ''}


def counter(**counts):
    events = EventCounter(lambda: 0)
    for name, count in counts.items():
        events.add(name.replace('_', ' '), count)
    return events


def test_a_network_that_runs_as_asked_has_no_findings():
    network = SimpleNamespace(**RUNS)
    assert network_findings(network, counter(processed=7)) == []
    assert network_values(network, counter(processed=7)) == {
        'device': 'cpu', 'backend': 'torch fp32', 'backend notes': 'none', 'degraded': 'no',
    }  # fmt: skip


def test_failures_and_another_way_to_run_are_told():
    network = SimpleNamespace(**{**RUNS, 'degraded': 'no GPU', 'backend_notes': ('a', 'b')})
    events = counter(processed=7, failed_BackendError=2)
    failed, degraded = network_findings(network, events)
    assert (failed.level, degraded.level) == (Level.ERROR, Level.WARN)
    assert failed.text == 'images not processed: 2 failed BackendError'
    assert degraded.text == 'degraded: no GPU'
    values = network_values(network, events)
    assert values['backend notes'] == 'a; b'
    assert values['failed BackendError'] == 2
    assert 'processed' not in values
