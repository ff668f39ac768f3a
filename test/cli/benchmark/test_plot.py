"""The picture of the benchmark: a panel for each measurement, and where it can be drawn."""

from __future__ import annotations

from pathlib import Path
import re

import pytest
from turns import turn

from thermal_perception.cli.benchmark import plot
from thermal_perception.cli.benchmark.load import Overload, Sweep
from thermal_perception.cli.benchmark.report import BenchmarkResult, NetworkResult, NodeResult
from thermal_perception.cli.benchmark.turn import Fates, Timing
from thermal_perception.errors import ConfigError


def node(name, age_ms, **changes):
    network = NetworkResult(name, 'fp32', [[100.0]])
    stages_ms = {'decode': [0.5], 'model': [90.0], 'publish': [1.0], 'overhead': [2.0]}
    turns = [turn([age_ms, age_ms + 10, age_ms + 40])]
    return NodeResult(network, stages_ms, [10.0], turns, **changes)


def result(*nodes):
    machine, model = {'cpu': 'Chip'}, {'name': 'tiny', 'fingerprint': '0'}
    networks = [one.network for one in nodes]
    timing = Timing(1.0, 2.0)
    return BenchmarkResult(
        machine, model, 'detections', 30.0, (64, 96), networks, timing, 0.0, nodes
    )


def texts_of(path):
    return re.findall(r'<text [^>]*>([^<]*)</text>', path.read_text())


def test_every_measurement_has_a_panel_and_every_node_a_colour(tmp_path):
    pytest.importorskip('matplotlib', reason='needs matplotlib')
    sweep = Sweep(10.0, [turn([30.0] * 30), turn([30.0] * 30, period_ms=50)])
    overload = Overload(turn([40.0] * 9), Fates())
    full = node('torch', 100.0, naive=[turn([500.0])], sweep=sweep, overload=overload)
    plot.draw(result(full, node('openvino', 50.0)), tmp_path / 'full.svg')
    texts = texts_of(tmp_path / 'full.svg')
    for text in (
        'tiny, 96x64, Chip',
        'a frame beside its network, ms (budget 6)',
        'answers younger than, %, at 30 Hz',
        'images answered, % (dotted: saturation)',
        'age on arrival, ms: median, and p99 (hollow)',
        'age on arrival, ms, at 2 times the rate',
        'straightforward node',
        'torch fp32',
        'openvino fp32',
    ):
        assert text in texts
    assert 'model' not in texts  # it would hide the others
    plot.draw(result(node('torch', 100.0)), tmp_path / 'least.svg')
    assert not {'images answered, % (dotted: saturation)', 'straightforward node'} & set(
        texts_of(tmp_path / 'least.svg')
    )


def test_picture_that_cannot_be_drawn_is_refused_before_anything_is_measured(monkeypatch):
    plot.check_plot(None)
    with pytest.raises(ConfigError, match=r'--plot a.pdf: expected .* in .svg or .png'):
        plot.check_plot(Path('a.pdf'))
    monkeypatch.setattr(plot, 'find_spec', lambda name: None)
    with pytest.raises(ConfigError, match='matplotlib is not installed'):
        plot.check_plot(Path('a.svg'))


def test_folder_that_does_not_take_the_picture_is_named(tmp_path):
    pytest.importorskip('matplotlib', reason='needs matplotlib')
    with pytest.raises(ConfigError, match='cannot be written'):
        plot.draw(result(node('torch', 100.0)), tmp_path / 'none' / 'a.png')
