"""Runs the benchmark: publisher, node and listener in processes of their own, run by run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.benchmark.listener import benchmark_listener
from thermal_perception.cli.benchmark.machine import describe_machine
from thermal_perception.cli.benchmark.report import (
    BenchmarkResult,
    Rates,
    stage_table,
    Timing,
    verdict_table,
)
from thermal_perception.cli.benchmark.scene import SIZE
from thermal_perception.cli.processes import Children, node_command
from thermal_perception.cli.ros import private_environment
from thermal_perception.errors import ConfigError, ThermalPerceptionError
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.perceive import default_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from thermal_perception.cli.benchmark.listener import Arrivals, BenchmarkListener

_NODE = 'fusion_detr'
_SKIP = 5
_TRANSPORT_HZ = 30.0
_START_LIMIT_S = 90.0


@dataclass(frozen=True)
class BenchmarkOptions:
    """What `benchmark` was asked for; the fields are its options.

    Attributes:
        frames: frames per run.
        runs: alternating runs at full input rate.
        rate_hz: full input rate; more where the network is faster than two thirds of it.
        size: (height, width) of the images, pixels.
        naive: also run the straightforward node.
    """

    model: str = 'fusion_detr_lite'
    checkpoint: Path | None = None
    device: str = 'auto'
    frames: int = 100
    runs: int = 5
    rate_hz: float = 30.0
    size: tuple[int, int] = SIZE
    naive: bool = False
    json: Path | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.frames < 10:
            raise ConfigError(f'--frames {self.frames}: expected at least 10')
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
    path = (options.checkpoint or default_checkpoint(options.model)).resolve()
    checkpoint = load_checkpoint(path)
    environment = private_environment()
    os.environ.update(environment)  # our own listener joins the same domain
    with TemporaryDirectory() as logs, benchmark_listener() as listener:
        bench = _Bench(options, path, environment, Path(logs), listener)
        result = bench.run({'name': checkpoint.info.model, 'fingerprint': checkpoint.fingerprint})
    console.out.print(stage_table(result))
    console.out.print(verdict_table(result))
    if options.json:
        console.write_json(options.json, result.to_json())


class _Bench:
    """The runs, one after the other."""

    def __init__(
        self,
        options: BenchmarkOptions,
        checkpoint: Path,
        environment: Mapping[str, str],
        logs: Path,
        listener: BenchmarkListener,
    ) -> None:
        self._options, self._checkpoint = options, checkpoint
        self._environment, self._logs, self._listener = environment, logs, listener

    def run(self, model: Mapping[str, Any]) -> BenchmarkResult:
        """Run everything, saying what is being done."""
        options = self._options
        _say('network alone')
        alone = self._bare_loop(rate_hz=None)
        network = Timing.of(alone['times_ms'])
        _say('transport')
        transport, lost = self._transport()
        # At half of what the network can do no frame waits for another.
        calm_hz = min(options.rate_hz, 500 / network.median_ms)
        _say(f'stages, {calm_hz:.1f} Hz')
        _, stages_ms = self._node(calm_hz, network)
        # A camera slower than the network would measure the camera.
        full_hz = max(options.rate_hz, 1500 / network.median_ms)
        rates, ages_ms, naive_ages_ms, naive_hz = [], [], [], []
        for number in range(1, options.runs + 1):
            _say(f'run {number} of {options.runs}, {full_hz:.4g} Hz')
            bare = self._bare_loop(full_hz)
            answers, _ = self._node(full_hz, network)
            rates.append(Rates(_rate_hz(bare), answers.rate_hz))
            ages_ms += answers.ages_ms
            if options.naive:
                answers = self._naive(full_hz, network)
                naive_ages_ms += answers.ages_ms
                naive_hz.append(answers.rate_hz)
        return BenchmarkResult(
            machine=describe_machine(),
            model=model,
            input_hz=full_hz,
            size=options.size,
            backends={(alone['name'], alone['precision']): network},
            stages_ms=stages_ms,
            transport=transport,
            transport_lost=lost,
            rates=rates,
            ages_ms=ages_ms,
            naive_ages_ms=naive_ages_ms,
            naive_hz=sum(naive_hz) / len(naive_hz) if naive_hz else 0.0,
        )

    @contextmanager
    def _processes(self, publish_hz: float | None) -> Iterator[Children]:
        """Give a set of processes in which a camera publishes, unless the rate is None."""
        with Children(self._environment, self._logs) as children:
            if publish_hz is not None:
                children.start('camera', self._camera(publish_hz))
            yield children

    def _bare_loop(self, rate_hz: float | None) -> dict[str, Any]:
        """Run the network alone, beside a camera at `rate_hz`; returns what it printed."""
        options = self._options
        with self._processes(rate_hz) as children:
            arguments = ['--frames', str(options.frames), *self._size(), *self._model_arguments()]
            loop = children.start('bare_loop', _module('bare_loop', *arguments), finite=True)
            children.wait_for(loop)
            result: dict[str, Any] = json.loads(loop.log.read_text().splitlines()[-1])
            return result

    def _transport(self) -> tuple[Timing, float]:
        with self._processes(_TRANSPORT_HZ) as children:
            frames = self._options.frames
            images = self._listener.images(frames, children.check, _START_LIMIT_S)
            if len(images) < frames:
                raise ThermalPerceptionError(f'transport: {len(images)} of {frames} images came')
            span_s = (images.stamps_ns[-1] - images.stamps_ns[0]) * 1e-9
            sent = round(span_s * _TRANSPORT_HZ) + 1
            return Timing.of(images.ages_ms), max(0.0, 1 - len(images) / sent)

    def _node(self, rate_hz: float, network: Timing) -> tuple[Arrivals, dict[str, list[float]]]:
        with self._processes(rate_hz) as children:
            parameters = {
                'checkpoint': self._checkpoint,
                'device': self._options.device,
                'warm_up_size': list(self._options.size),
            }
            children.start(_NODE, node_command(_NODE, parameters))
            return self._collect(_NODE, children, network, rate_hz)

    def _naive(self, rate_hz: float, network: Timing) -> Arrivals:
        with self._processes(rate_hz) as children:
            children.start('naive', _module('naive_node', *self._model_arguments()))
            return self._collect('naive', children, network, rate_hz)[0]

    def _collect(
        self, name: str, children: Children, network: Timing, rate_hz: float
    ) -> tuple[Arrivals, dict[str, list[float]]]:
        frames = self._options.frames
        expected_s = (frames + _SKIP) * max(network.median_ms * 1e-3, 1 / rate_hz)
        answers, stages = self._listener.answers(
            name, frames, _SKIP, children.check, _START_LIMIT_S + 5 * expected_s
        )
        if len(answers) < frames:
            words = (self._logs / f'{name}.log').read_text(errors='replace')[-2000:]
            raise ThermalPerceptionError(
                f'{name} answered {len(answers)} frames, expected {frames}; its log:\n{words}'
            )
        return answers, stages

    def _camera(self, rate_hz: float) -> list[str]:
        return _module('publisher', '--rate', str(rate_hz), *self._size())

    def _size(self) -> list[str]:
        return ['--size', *map(str, self._options.size)]

    def _model_arguments(self) -> list[str]:
        return ['--checkpoint', str(self._checkpoint), '--device', self._options.device]


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, '-m', f'thermal_perception.cli.benchmark.{name}', *arguments]


def _rate_hz(bare: Mapping[str, Any]) -> float:
    times_ms = bare['times_ms']
    return 1000 * len(times_ms) / sum(times_ms)


def _say(what: str) -> None:
    console.err.print(f'benchmark: {what}', style='dim')
