"""Compiled backends: which graph answers, and what does while there is none."""

from __future__ import annotations

from nets import Doubles
import pytest
import torch
from torch.testing import assert_close

from thermal_perception.backends import compiled
from thermal_perception.backends.artefact import StoredGraph
from thermal_perception.backends.compiled import CompiledBackend
from thermal_perception.backends.runtime import Compiled, reason


def image(value):
    return torch.full((1, 1, 4, 6), float(value))


class Runtime:
    """Takes the place of a run-time: its graphs answer -1, or raise `error`."""

    name, title, graph_format, precision, device = 'quick', 'Quick', 'quick', 'fp32', 'cpu'
    errors = (RuntimeError,)
    error = None

    def compile(self, path):
        if path == 'bad':
            raise RuntimeError('found no graph')
        return Compiled(self.run, 1)

    def run(self, arrays):
        if self.error:
            raise self.error
        return [torch.tensor(-1).numpy()]


class Tracer:
    """Takes the place of the process that traces a network; its graph is at `path`."""

    path = 'good'

    def __init__(self, runtime, blueprint, signature):
        pass

    def graph(self):
        return StoredGraph(self.path, 0)

    def end(self):
        pass


class Maker(compiled._Maker):
    """Compiles at once; a test says when it has `ended`."""

    ended = False


@pytest.fixture
def quick(monkeypatch):
    """A backend whose graphs take no time."""
    monkeypatch.setattr(compiled, 'Tracer', Tracer)
    monkeypatch.setattr(compiled, '_Maker', Maker)
    return CompiledBackend(Runtime(), Doubles())


def test_backend_tells_what_its_run_time_tells(quick):
    assert (quick.name, quick.precision, quick.device) == ('quick', 'fp32', 'cpu')
    assert (quick.problem, quick.notes) == ('', ())


def test_calls_wait_for_their_graphs(quick):
    assert quick(image(1), None) == -1
    assert quick(None, image(1)) == -1


def test_live_backend_answers_by_pytorch_until_the_graph_is_there(quick):
    quick.live = True
    assert_close(quick(image(1), None).doubled, image(2))
    assert_close(quick(None, image(2)).doubled, image(4))  # its turn comes later
    (maker,) = quick._making.values()
    maker.ended = True
    assert quick(image(1), None) == -1
    assert_close(quick(None, image(2)).doubled, image(4))
    (maker,) = quick._making.values()
    maker.ended = True
    assert quick(None, image(2)) == -1
    assert quick.problem == ''


def test_graphs_not_used_for_long_are_let_go(quick, monkeypatch):
    monkeypatch.setattr(compiled, '_MOST_GRAPHS', 2)
    for first, second in (
        (image(1), None),
        (None, image(1)),
        (image(1), None),
        (image(1), image(1)),
    ):
        quick(first, second)
    quick.live = True
    assert quick(image(1), None) == -1
    assert_close(quick(None, image(1)).doubled, image(2))


def test_graph_that_fails_is_answered_by_pytorch_from_then_on(quick, monkeypatch):
    assert quick(image(1), None) == -1
    monkeypatch.setattr(Runtime, 'error', RuntimeError('out of nothing\nat all'))
    assert_close(quick(image(1), None).doubled, image(2))
    assert quick.problem == 'Quick cannot run the network: out of nothing'
    monkeypatch.setattr(Runtime, 'error', None)
    assert_close(quick(image(1), None).doubled, image(2))


def test_graph_that_cannot_be_compiled_is_answered_by_pytorch(quick, monkeypatch):
    monkeypatch.setattr(Tracer, 'path', 'bad')
    assert_close(quick(image(1), None).doubled, image(2))
    assert quick.problem == 'Quick cannot compile the network: found no graph'


def test_reason_is_told_without_its_places():
    text = "Exception from src/core.cpp:117:\nCheck 'x' failed at a.cpp:1:\nbad input\n"
    assert reason(RuntimeError(text)) == 'bad input'
    assert reason(RuntimeError('Check x')) == 'Check x'
    assert reason(RuntimeError()) == 'RuntimeError'
