"""Runs the benchmark: camera, nodes and listener in processes of their own, turn by turn."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, ExitStack
from dataclasses import dataclass
import json
import os
from pathlib import Path
from statistics import median
import sys
from tempfile import TemporaryDirectory
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.benchmark.bare_turns import BareTurns
from thermal_perception.cli.benchmark.listener import benchmark_listener
from thermal_perception.cli.benchmark.machine import describe_machine
from thermal_perception.cli.benchmark.publisher import NOBODY
from thermal_perception.cli.benchmark.report import (
    BenchmarkResult,
    Rates,
    stage_table,
    Timing,
    verdict_table,
)
from thermal_perception.cli.benchmark.scene import SIZE
from thermal_perception.cli.node_kinds import DETECTIONS, node_kind
from thermal_perception.cli.processes import Children, node_command
from thermal_perception.cli.ros import private_environment
from thermal_perception.errors import ConfigError, ThermalPerceptionError
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from thermal_perception.cli.benchmark.listener import Arrivals, BenchmarkListener
    from thermal_perception.cli.node_kinds import NodeKind

_NAIVE, _BARE = 'naive', 'bare_loop'
# Answers at the start of a turn that are not measured: queues are filling.
_SKIP = 5
_STAGE_FRAMES = 50
# Without an answer for so long, a frame is lost.
_LOST_S = 10.0
_MEETING_S = 1.0
# So many times the network's time without an answer, and there will be none.
_SILENCE = 3
_TRANSPORT_HZ, _TRANSPORT_FRAMES = 30.0, 90
_START_LIMIT_S = 90.0


@dataclass(frozen=True)
class BenchmarkOptions:
    """What `benchmark` was asked for; the fields are its options.

    Attributes:
        frames: frames per turn at full input rate.
        runs: turns of the network, the node and the straightforward node.
        rate_hz: full input rate; more where the network is faster than two thirds of it.
        size: (height, width) of the images, pixels.
        only: output that somebody listens to, instead of what answers every image.
        naive: also run the straightforward node, which looks through one camera.
    """

    model: str = 'fusion_detr_lite'
    checkpoint: Path | None = None
    device: str = 'auto'
    backend: str = 'torch'
    precision: str = 'auto'
    only: str = ''
    frames: int = 10
    runs: int = 20
    rate_hz: float = 30.0
    size: tuple[int, int] = SIZE
    naive: bool = False
    json: Path | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.frames < 5:
            raise ConfigError(f'--frames {self.frames}: expected at least 5')
        if self.runs < 1:
            raise ConfigError(f'--runs {self.runs}: expected at least 1')
        if not 0 < self.rate_hz <= 500:
            raise ConfigError(f'--rate {self.rate_hz}: expected more than 0, at most 500 Hz')


def benchmark(options: BenchmarkOptions) -> None:
    """Measure, print and write the JSON file.

    Raises:
        ChildDied: if a process ended that should not have.
        ThermalPerceptionError: if a node never answered, or an option is not acceptable.
    """
    console.check_writable(options.json)
    path = (options.checkpoint or shipped_weights(options.model)).resolve()
    checkpoint = load_checkpoint(path)
    kind = node_kind(checkpoint.info, path)
    if options.naive and len(kind.cameras) > 1:
        raise ConfigError(
            f'--against naive: found {path}, a model of {" and ".join(kind.cameras)} images, '
            'expected one of thermal images alone'
        )
    if options.only and options.only not in set(kind.pictures) - {'overlay'}:
        raise ConfigError(
            f'--only: found {options.only!r}, expected an image of the network of {kind.name}'
        )
    environment = private_environment()
    os.environ.update(environment)  # our own listener joins the same domain
    with TemporaryDirectory() as logs, benchmark_listener() as listener:
        bench = _Bench(options, kind, path, environment, Path(logs), listener)
        result = bench.run({'name': checkpoint.info.model, 'fingerprint': checkpoint.fingerprint})
    console.out.print(stage_table(result))
    console.out.print(verdict_table(result))
    if options.json:
        console.write_json(options.json, result.to_json())


class _Bench:
    """The measurements, one after the other."""

    def __init__(
        self,
        options: BenchmarkOptions,
        kind: NodeKind,
        checkpoint: Path,
        environment: Mapping[str, str],
        logs: Path,
        listener: BenchmarkListener,
    ) -> None:
        self._options, self._kind, self._checkpoint = options, kind, checkpoint
        self._environment, self._logs, self._listener = environment, logs, listener

    def run(self, model: Mapping[str, Any]) -> BenchmarkResult:
        """Run everything, saying what is being done."""
        options = self._options
        _say('network alone')
        name, precision, network = self._network()
        _say('transport')
        transport, lost = self._transport()
        _say('stages, one frame at a time')
        stages_ms = self._stages(network)
        # A camera slower than the network would measure the camera.
        full_hz = max(options.rate_hz, 1500 / network.median_ms)
        bare_hz, turns = self._turns(full_hz, network)
        ours, naive = turns[self._kind.name], turns.get(_NAIVE, [])
        return BenchmarkResult(
            machine=describe_machine(),
            model=model,
            output=self._wanted,
            input_hz=full_hz,
            size=options.size,
            backends={(name, precision): network},
            stages_ms=stages_ms,
            transport=transport,
            transport_lost=lost,
            rates=[Rates(bare, node.rate_hz) for bare, node in zip(bare_hz, ours)],
            ages_ms=[age for turn in ours for age in turn.ages_ms],
            naive_ages_ms=[age for turn in naive for age in turn.ages_ms],
            naive_hz=median(turn.rate_hz for turn in naive) if naive else 0.0,
        )

    @property
    def _wanted(self) -> str:
        """The output that somebody listens to."""
        return self._options.only or self._kind.answer[0]

    def _network(self) -> tuple[str, str, Timing]:
        """Run the network alone; returns backend, precision and time of a call."""
        with Children(self._environment, self._logs) as children:
            command = self._bare_loop('--frames', str(_STAGE_FRAMES))
            loop = children.start(_BARE, command, finite=True)
            children.wait_for(loop)
            what, *times_ms = loop.log.read_text().splitlines()
            described = json.loads(what)
            timing = Timing.of([float(line) for line in times_ms])
            return described['name'], described['precision'], timing

    def _transport(self) -> tuple[Timing, float]:
        listener, frames = self._listener, _TRANSPORT_FRAMES
        camera, listening = self._camera('listener', rate_hz=_TRANSPORT_HZ), 'listener'
        with camera as children, listener.images_for(listening) as images:
            listener.give_turn(listening)
            listener.wait_for(images, frames, _START_LIMIT_S, children.check)
        if len(images) < frames:
            raise ThermalPerceptionError(f'transport: {len(images)} of {frames} images came')
        sent = round((images.stamps_ns[-1] - images.stamps_ns[0]) * 1e-9 * _TRANSPORT_HZ) + 1
        return Timing.of(images.ages_ms), max(0.0, 1 - len(images) / sent)

    def _stages(self, network: Timing) -> dict[str, list[float]]:
        """Give the node each frame when it has answered the one before."""
        frames = _SKIP + _STAGE_FRAMES
        listener, name = self._listener, self._kind.name
        with self._camera(name) as children, self._answers_of(name) as answers:
            children.start(name, self._node())
            listener.wait_until(lambda: listener.hears(name), _START_LIMIT_S, children.check)
            # Until camera and node have met, frames are lost; then it may have several.
            self._give_until_answered(answers, 0, _MEETING_S, children)
            self._let_rest(answers, network, children)
            answers.clear()
            for answered in range(frames):
                self._give_until_answered(answers, answered, _LOST_S, children)
            # The times of the last answer follow it.
            listener.wait_until(
                lambda: len(answers.stages_ms['total']) >= frames, _LOST_S, children.check
            )
        return answers.after(_SKIP).stages_ms

    def _give_until_answered(
        self, answers: Arrivals, before: int, lost_s: float, children: Children
    ) -> None:
        """Give the node a frame, and another after each `lost_s` without a new answer."""
        give_up, name = time.monotonic() + _START_LIMIT_S, self._kind.name
        self._listener.give_turn(name)
        while not self._listener.wait_for(answers, before + 1, lost_s, children.check):
            if time.monotonic() > give_up:
                raise self._no_answer(children, name, before, before + 1)
            self._listener.give_turn(name)

    def _let_rest(self, answers: Arrivals, network: Timing, children: Children) -> None:
        """Wait until no more answers come."""
        rest_s = max(0.5, _SILENCE * network.median_ms * 1e-3)
        while self._listener.wait_for(answers, len(answers) + 1, rest_s, children.check):
            pass

    def _turns(
        self, rate_hz: float, network: Timing
    ) -> tuple[list[float], dict[str, list[Arrivals]]]:
        """Let network, node and straightforward node take turns beside the same camera.

        Each takes many short turns while the others rest: whatever else the machine does hits
        all of them alike. Returns the rate of each turn of the network, and the nodes' turns.
        """
        options, limit_s = self._options, self._limit_s(network)
        names = [self._kind.name, _NAIVE] if options.naive else [self._kind.name]
        bare_hz: list[float] = []
        turns: dict[str, list[Arrivals]] = {name: [] for name in names}
        with self._camera(*names, rate_hz=rate_hz) as children, ExitStack() as stack:
            loop = children.start(_BARE, self._bare_loop())
            children.start(self._kind.name, self._node())
            if options.naive:
                children.start(_NAIVE, _module('naive_node', *self._model_arguments()))
            bare = BareTurns(loop, children.check, limit_s)
            answers = {
                name: stack.enter_context(self._answers_of(name)) for name in names
            }
            for name in names:  # they load and warm up before anybody is measured
                self._take_turn(name, answers[name], 1, network, children)
            for number in range(options.runs):
                _say(f'turn {number + 1} of {options.runs}, {rate_hz:.4g} Hz')
                bare_hz.append(bare.take(options.frames))
                for name in names:
                    turns[name].append(
                        self._take_turn(name, answers[name], options.frames, network, children)
                    )
        return bare_hz, turns

    def _take_turn(
        self, name: str, answers: Arrivals, frames: int, network: Timing, children: Children
    ) -> Arrivals:
        """Let the camera publish for a node until it has answered enough, then until it rests."""
        listener, wanted = self._listener, _SKIP + frames
        answers.clear()
        listener.give_turn(name)
        give_up = time.monotonic() + self._limit_s(network)
        while not listener.wait_for(answers, wanted, _LOST_S, children.check):
            if time.monotonic() > give_up:
                raise self._no_answer(children, name, len(answers), wanted)
            listener.give_turn(name)
        turn = answers.after(_SKIP)
        listener.give_turn(NOBODY)
        self._let_rest(answers, network, children)
        return turn

    def _limit_s(self, network: Timing) -> float:
        return _START_LIMIT_S + 5 * (_SKIP + self._options.frames) * network.median_ms * 1e-3

    @contextmanager
    def _camera(self, *names: str, rate_hz: float | None = None) -> Iterator[Children]:
        """Give a set of processes with a camera that publishes for the named ones."""
        rate = [] if rate_hz is None else ['--rate', str(rate_hz)]
        with Children(self._environment, self._logs) as children:
            cameras = ['--cameras', *self._kind.cameras]
            command = _module('publisher', *rate, *self._size(), *cameras, '--for', *names)
            children.start('camera', command)
            self._listener.wait_until(
                lambda: self._listener.camera_listens, _START_LIMIT_S, children.check
            )
            yield children
            for complaint in children.stop():
                _say(complaint)

    def _node(self) -> list[str]:
        topics = [
            f'{camera}/{topic}'
            for camera in self._kind.cameras
            for topic in ('image_raw', 'camera_info')
        ]
        parameters = {
            'checkpoint': self._checkpoint,
            'device': self._options.device,
            'backend': self._options.backend,
            'precision': self._options.precision,
            'warm_up_size': list(self._options.size),
        }
        remaps = {topic: f'/{self._kind.name}/{topic}' for topic in topics}
        return node_command(self._kind.name, parameters, remaps=remaps)

    def _answers_of(self, name: str) -> AbstractContextManager[Arrivals]:
        answer = DETECTIONS if name == _NAIVE else self._kind.answer
        if self._options.only:
            answer = (self._options.only, 'sensor_msgs/msg/Image')
        return self._listener.answers_of(name, answer)

    def _bare_loop(self, *arguments: str) -> list[str]:
        wanted = ('--wanted', self._wanted)
        return _module('bare_loop', *arguments, *wanted, *self._size(), *self._model_arguments())

    def _size(self) -> list[str]:
        return ['--size', *map(str, self._options.size)]

    def _model_arguments(self) -> list[str]:
        chosen = ('device', 'backend', 'precision')
        options = [f'--{name}={getattr(self._options, name)}' for name in chosen]
        return ['--checkpoint', str(self._checkpoint), *options]

    def _no_answer(
        self, children: Children, name: str, found: int, expected: int
    ) -> ThermalPerceptionError:
        """End a node that does not answer; the error says where its threads were."""
        child = children.named(name)
        child.dump()
        return ThermalPerceptionError(
            f'{name} answered {found} frames, expected {expected}; its log:\n'
            f'{child.last_words(lines=80)}'
        )


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, '-m', f'thermal_perception.cli.benchmark.{name}', *arguments]


def _say(what: str) -> None:
    console.err.print(f'benchmark: {what}', style='dim')
