"""One network for several cameras: who goes when, with whom, and what becomes of faults."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import threading
import time
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip('torch')

from thermal_perception.errors import BackendError, PreprocessError
from thermal_perception.nodes.perception.shared_perceiver import NetworkThread, SharedPerceiver
from thermal_perception.perceive.batches import Batches
from thermal_perception.types import Detections, Frame, Perception

DEADLINE_S = 10.0
FRAME = Frame(np.zeros((4, 4), np.uint8), 0, 'camera', 'thermal')


class Frames(NamedTuple):
    """What a camera asks with.

    Attributes:
        name: for the log.
        kind: of the call.
        error: that preparing it raises.
    """

    name: str
    kind: str = 'k'
    error: Exception | None = None


class Network:
    """A network whose calls wait for the test.

    Attributes:
        calls: names of the frames of each call.
        gate: a call waits here; open unless a test closes it.
        begun: set when a call has begun.
        errors: of frames, by name.
        broken: raised by a call, if anything.
    """

    info = device = backend = cameras = outputs = None
    backend_notes = ('a note',)
    degraded = ''

    def __init__(self, *times_s):
        self.batches = Batches(times_s, frozenset({'k'}))
        self.calls, self.errors, self.broken, self.warmed = [], {}, None, []
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()

    def warm_up_batches(self, size, most):
        self.warmed.append((size, most))

    def prepare(self, frames, *, wanted=None):
        if frames.error is not None:
            raise frames.error
        return SimpleNamespace(kind=frames.kind, frames=frames)

    def run(self, together):
        self.calls.append([ready.frames.name for ready in together])
        self.begun.set()
        assert self.gate.wait(DEADLINE_S)
        if self.broken is not None:
            raise self.broken
        return [self.errors.get(ready.frames.name) or answer() for ready in together]


def answer():
    nothing = Detections.none(('car',), FRAME)
    return Perception(nothing, stages_s={'preprocess': 0.0, 'model': 0.0, 'postprocess': 0.0})


class Cameras:
    """Cameras that ask for a network, each in its thread."""

    def __init__(self, thread):
        self.thread = thread
        self.pool = ThreadPoolExecutor(6)

    def share(self, network, sharers=3):
        return SharedPerceiver(network, self.thread, sharers)

    def ask(self, perceiver, *frames):
        """Ask with frames in their order; returns a future for each."""
        return [self._ask(perceiver, each) for each in frames]

    def _ask(self, perceiver, frames):
        before = len(self.thread._waiting)
        future = self.pool.submit(perceiver, frames)
        self.until(lambda: len(self.thread._waiting) > before or future.done())
        return future

    def ask_while_busy(self, perceiver, network, *frames):
        """Ask with frames while the network is busy with others; returns a future for each."""
        network.gate.clear()
        (first,) = self.ask(perceiver, Frames('first'))
        assert network.begun.wait(DEADLINE_S)
        futures = self.ask(perceiver, *frames)
        network.gate.set()
        assert first.result(DEADLINE_S).stages_s['wait'] > 0
        return futures

    def until(self, condition):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.001)


@pytest.fixture
def cameras():
    thread = NetworkThread()
    thread.start()
    cameras = Cameras(thread)
    yield cameras
    assert thread.close(DEADLINE_S)
    cameras.pool.shutdown()


def results(futures):
    return [future.exception(DEADLINE_S) or future.result() for future in futures]


def test_frames_that_are_ready_go_together_where_that_is_faster(cameras):
    network = Network(1.0, 1.2, 1.5)
    shared = cameras.share(network)
    asked = cameras.ask_while_busy(shared, network, Frames('a'), Frames('b'), Frames('c'))
    assert all(isinstance(result, Perception) for result in results(asked))
    assert network.calls == [['first'], ['a', 'b', 'c']]
    assert shared.report['calls by batch size'] == '1: 1, 3: 1'


def test_no_more_go_together_than_is_faster_oldest_first(cameras):
    network = Network(1.0, 1.2, 2.5)
    shared = cameras.share(network)
    results(cameras.ask_while_busy(shared, network, Frames('a'), Frames('b'), Frames('c')))
    assert network.calls == [['first'], ['a', 'b'], ['c']]


def test_frames_go_alone_oldest_first_where_batches_are_not_faster(cameras):
    network = Network(1.0, 2.1)
    shared = cameras.share(network)
    results(cameras.ask_while_busy(shared, network, Frames('a'), Frames('b'), Frames('c')))
    assert network.calls == [['first'], ['a'], ['b'], ['c']]


def test_frames_of_another_kind_go_in_a_call_of_their_own(cameras):
    network = Network(1.0, 1.2, 1.5)
    shared = cameras.share(network)
    asked = Frames('a'), Frames('small', 'other'), Frames('b'), Frames('tiny', 'other')
    results(cameras.ask_while_busy(shared, network, *asked))
    # other kinds were not measured, so each goes alone
    assert network.calls == [['first'], ['a', 'b'], ['small'], ['tiny']]


def test_networks_take_turns_in_one_thread(cameras):
    one, two = Network(1.0, 1.2), Network(1.0, 1.2)
    shared, other = cameras.share(one), cameras.share(two)
    one.gate.clear()
    first = cameras.ask(shared, Frames('first'))
    assert one.begun.wait(DEADLINE_S)
    asked = [*cameras.ask(other, Frames('a')), *cameras.ask(shared, Frames('b'))]
    asked += cameras.ask(other, Frames('c'))
    assert two.calls == []
    one.gate.set()
    results([*first, *asked])
    assert (one.calls, two.calls) == ([['first'], ['b']], [['a', 'c']])


# The bound


class Saturated(Network):
    """A network whose time is counted, not waited for: every camera asks during each call.

    Times are so long that a camera that comes again does so within the patience.

    Attributes:
        now_s: time that the calls so far have taken.
        over: true after 30 calls; later ones wait for nobody.
    """

    def __init__(self, thread, cameras, *times_s):
        super().__init__(*times_s)
        self.thread, self.number, self.times_s, self.now_s = thread, cameras, times_s, 0.0
        self.over = False

    def run(self, together):
        end = time.monotonic() + DEADLINE_S
        while len(self.thread._waiting) < self.number and not self.over:
            assert time.monotonic() < end
            self.begun.set()
            time.sleep(0.0005)
        self.now_s += self.times_s[len(together) - 1]
        results = super().run(together)
        if len(self.calls) == 30:
            self.over, self.batches = True, Batches()
        return results

    def rush(self, shared):
        """Let all cameras ask as often as they can; returns how long their answers took."""
        took_s = []

        def ask(name):
            while not self.over:
                asked_s = self.now_s
                shared(Frames(name))
                answered_s = self.now_s
                if not self.over:
                    took_s.append(answered_s - asked_s)

        askers = [threading.Thread(target=ask, args=(f'{i}',)) for i in range(self.number)]
        askers[0].start()
        assert self.begun.wait(DEADLINE_S)
        for asker in askers[1:]:
            asker.start()
        for asker in askers:
            asker.join(DEADLINE_S)
        return took_s


@pytest.mark.parametrize(
    ('times_s', 'latest_s'),
    [
        pytest.param((100.0, 210.0), 300.0, id='one at a time: one of each camera'),
        # The first goes alone, while the others ask; then all go together.
        pytest.param((100.0, 120.0, 150.0), 250.0, id='together'),
        # Whoever is answered comes third; the two before it go together, then it and another.
        pytest.param((100.0, 190.0, 400.0), 380.0, id='two at most'),
    ],
)
def test_every_answer_comes_within_the_bound_however_often_the_others_ask(
    cameras, times_s, latest_s
):
    network = Saturated(cameras.thread, 3, *times_s)
    bound_s = network.batches.bound_s(3)
    took_s = network.rush(cameras.share(network))
    assert len(took_s) > 20
    assert max(took_s) == latest_s <= bound_s


@pytest.mark.parametrize(
    ('times_s', 'numbers'),
    [
        pytest.param((100.0, 120.0), [1, 2, 2, 2], id='where that is faster'),
        pytest.param((100.0, 200.0), [1, 1, 1, 1], id='not where it is not'),
    ],
)
def test_two_cameras_in_a_rush_go_together(cameras, times_s, numbers):
    network = Saturated(cameras.thread, 2, *times_s)
    network.rush(cameras.share(network, 2))
    assert [len(call) for call in network.calls[:4]] == numbers


def test_nobody_waits_long_for_a_camera_that_has_nothing_more(cameras):
    network = Network(0.02, 0.024)
    shared = cameras.share(network, 2)
    (second,) = cameras.ask_while_busy(shared, network, Frames('second'))
    assert isinstance(second.result(DEADLINE_S), Perception)
    assert network.calls == [['first'], ['second']]


def test_answers_later_than_the_bound_are_counted(cameras):
    network = Network(1e-9)
    shared = cameras.share(network)
    results(cameras.ask(shared, Frames('a')))
    assert shared.report['answers later than that'] == 1
    assert shared.report['latency bound [ms]'] == pytest.approx(3e-6)


# Faults


def test_frames_that_cannot_be_prepared_fail_alone(cameras):
    network = Network(1.0, 1.2, 1.5)
    shared = cameras.share(network)
    bad = Frames('bad', error=PreprocessError('no thermal frame'))
    a, failed, b = results(cameras.ask_while_busy(shared, network, Frames('a'), bad, Frames('b')))
    assert isinstance(failed, PreprocessError)
    assert isinstance(a, Perception)
    assert isinstance(b, Perception)
    assert network.calls == [['first'], ['a', 'b']]


def test_error_of_one_in_a_batch_goes_to_its_camera(cameras):
    network = Network(1.0, 1.2)
    network.errors['b'] = BackendError('out of memory')
    shared = cameras.share(network)
    a, b = results(cameras.ask_while_busy(shared, network, Frames('a'), Frames('b')))
    assert isinstance(a, Perception)
    assert str(b) == 'out of memory'


def test_network_that_breaks_tells_all_that_asked_and_is_asked_again(cameras):
    network = Network(1.0, 1.2)
    network.broken = ValueError('a fault in the code')
    shared = cameras.share(network)
    (error,) = results(cameras.ask(shared, Frames('a')))
    assert str(error) == 'a fault in the code'
    network.broken = None
    (result,) = results(cameras.ask(shared, Frames('b')))
    assert isinstance(result, Perception)


def test_whoever_waits_when_the_thread_ends_is_told():
    thread = NetworkThread()
    thread.start()
    cameras, network = Cameras(thread), Network(1.0, 2.0)
    shared = cameras.share(network)
    network.gate.clear()
    first, second = cameras.ask(shared, Frames('first'), Frames('second'))
    assert network.begun.wait(DEADLINE_S)
    assert not thread.close(0.01)  # a call is in progress
    network.gate.set()
    assert isinstance(first.result(DEADLINE_S), Perception)
    with pytest.raises(BackendError, match='its thread has been ended'):
        second.result(DEADLINE_S)
    with pytest.raises(BackendError, match='its thread has been ended'):
        shared(Frames('third'))
    cameras.pool.shutdown()


# What it tells


def test_first_camera_warms_up_for_all(cameras):
    network = Network()
    shared = cameras.share(network)
    shared.warm_up((48, 64))
    shared.warm_up((48, 64))
    assert network.warmed == [((48, 64), 3)]


def test_sharing_is_told_with_the_bound(cameras):
    shared = cameras.share(Network(0.010, 0.012, 0.015))
    text = 'up to 3 together, which take 0.50 of their time apart'
    assert shared.backend_notes == (
        'a note', f'shared by 3 cameras, {text}; an answer takes 36 ms at most'
    )  # fmt: skip
    assert shared.report == {
        'batches': text,
        'calls by batch size': 'none',
        'latency bound [ms]': pytest.approx(36.0),
        'answers later than that': 0,
    }


def test_network_that_was_not_warmed_up_promises_nothing(cameras):
    shared = cameras.share(Network())
    assert shared.backend_notes[-1] == 'shared by 3 cameras, one at a time'
    assert shared.report['latency bound [ms]'] == 'unknown'
