"""The measurements, one after the other; of everybody who takes part, one works at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.benchmark.bare_turns import BareTurns
from thermal_perception.cli.benchmark.load import (
    MAX_HZ,
    OVERLOAD,
    Overload,
    raise_rates,
    Sweep,
)
from thermal_perception.cli.benchmark.machine import describe_machine
from thermal_perception.cli.benchmark.node_turns import LIMIT_S, NodeTurns
from thermal_perception.cli.benchmark.options import Way
from thermal_perception.cli.benchmark.publisher import NOBODY, sent_to
from thermal_perception.cli.benchmark.report import BenchmarkResult, NetworkResult, NodeResult
from thermal_perception.cli.benchmark.turn import fates_of, Timing
from thermal_perception.errors import ThermalPerceptionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from thermal_perception.cli.benchmark.commands import Commands
    from thermal_perception.cli.benchmark.listener import BenchmarkListener
    from thermal_perception.cli.benchmark.turn import Turn
    from thermal_perception.cli.processes import Child, Children

# Everybody can run it: it is listed whatever is asked for.
_EAGER = Way('torch')
# Network and stages are looked at in short turns, in which no camera sends at its own pace.
_SHORT_TURNS, _SHORT_FRAMES = 5, 10
# Turns of a sweep have so many times the images of others, overloads so many times the answers.
_SWEEP, _OVERLOAD = 10, 20
_SWEEP_S, _OVERLOAD_S = (2.0, 30.0), (2.0, 60.0)
_LISTENER = 'listener'
_TRANSPORT_HZ, _TRANSPORT_FRAMES = 30.0, 90


@dataclass
class _Player:
    """Who takes turns for one way to run the network, and what came of it so far.

    Attributes:
        network: its times when nobody else works.
        bare: the network alone.
        node: our node.
        naive: the straightforward node, if it takes part.
        stages_ms: of our node, one frame at a time.
        bare_hz: rates of the network at full input rate.
        turns: of our node at full input rate.
        naive_turns: of the straightforward node.
        given_up: images of `turns` without an answer, by cause.
        sweep: of input rates, if it is asked for.
        overload: more images than our node can answer, if it is asked for.
    """

    network: NetworkResult
    bare: BareTurns
    node: NodeTurns
    naive: NodeTurns | None
    stages_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bare_hz: list[float] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    naive_turns: list[Turn] = field(default_factory=list)
    given_up: Counter[str] = field(default_factory=Counter)
    sweep: Sweep | None = None
    overload: Overload | None = None

    @property
    def reached_hz(self) -> float:
        """Answers a second when there are more images than our node can answer."""
        return median(turn.answers.rate_hz for turn in self.turns)

    def result(self) -> NodeResult:
        """Return what came of it."""
        return NodeResult(
            network=self.network,
            stages_ms=self.stages_ms,
            bare_hz=self.bare_hz,
            turns=self.turns,
            naive=self.naive_turns,
            fates=fates_of(self.turns, self.given_up),
            peak_mib=self.node.peak_mib,
            sweep=self.sweep,
            overload=self.overload,
        )


class Bench:
    """Starts camera, networks and nodes, each a process, and lets them take turns."""

    def __init__(
        self,
        commands: Commands,
        listener: BenchmarkListener,
        children: Children,
        stack: ExitStack,
    ) -> None:
        """Take what the measurements need.

        Args:
            commands: what to start.
            listener: hears the nodes, and tells the camera for whom to publish.
            children: starts processes.
            stack: ends what is to end after all measurements.
        """
        self._commands, self._options = commands, commands.options
        self._listener, self._children, self._stack = listener, children, stack

    def run(self, model: Mapping[str, Any]) -> BenchmarkResult:
        """Measure everything, saying what is being done; `model` is for the result."""
        options = self._options
        _say('network alone')
        bare = [self._start_network(way) for way in self._network_ways()]
        networks = self._networks(bare)
        camera = self._start_camera()
        _say('transport')
        transport, lost = self._transport(camera)
        players = [
            self._start_nodes(way, turns, network, camera)
            for way, turns, network in zip(options.ways, bare, networks)
        ]
        _say('stages, one frame at a time')
        self._stages(players)
        # A camera slower than the network would measure the camera.
        fastest_ms = min(player.network.timing.median_ms for player in players)
        full_hz = max(options.rate_hz, 1500 / fastest_ms)
        self._runs(players, full_hz)
        if options.sweep:
            self._sweep(players)
        if options.overload:
            self._overload(players)
        return BenchmarkResult(
            machine=describe_machine(),
            model=model,
            output=self._commands.wanted,
            input_hz=full_hz,
            size=options.size,
            networks=networks,
            transport=transport,
            transport_lost=lost,
            nodes=[player.result() for player in players],
        )

    def _network_ways(self) -> list[Way]:
        ways = self._options.ways
        return [*ways] if any(way.backend == _EAGER.backend for way in ways) else [*ways, _EAGER]

    def _start_network(self, way: Way) -> BareTurns:
        loop = self._children.start(f'network_{way.name}', self._commands.network(way))
        return BareTurns(loop, self._children.check, LIMIT_S)

    def _start_camera(self) -> Child:
        commands, listener = self._commands, self._listener
        names = [commands.node_name(way) for way in self._options.ways]
        names += [commands.naive_name(way) for way in self._options.ways]
        camera = self._children.start('camera', commands.camera([*names, _LISTENER]))
        listener.wait_until(lambda: listener.camera_listens, LIMIT_S, self._children.check)
        return camera

    def _start_nodes(
        self, way: Way, bare: BareTurns, network: NetworkResult, camera: Child
    ) -> _Player:
        """Start the nodes that run the network this way; returns when they have answered."""
        commands = self._commands
        call_ms = network.timing.median_ms

        def start(name: str, command: list[str], answer: tuple[str, str]) -> NodeTurns:
            _say(f'starting {name}')
            answers = self._stack.enter_context(self._listener.answers_of(name, answer))
            node = self._children.start(name, command)
            watch = self._children.check
            return NodeTurns(node, camera, self._listener, answers, watch, call_ms)

        node = start(commands.node_name(way), commands.node(way), commands.answer)
        naive = None
        if self._options.naive:
            name = commands.naive_name(way)
            naive = start(name, commands.naive(way), commands.naive_answer)
        return _Player(network, bare, node, naive)

    def _networks(self, bare: Sequence[BareTurns]) -> list[NetworkResult]:
        runs = [[turns.take(_SHORT_FRAMES) for turns in bare] for _ in range(_SHORT_TURNS)]
        return [
            NetworkResult(turns.name, turns.precision, calls_ms)
            for turns, calls_ms in zip(bare, zip(*runs))
        ]

    def _transport(self, camera: Child) -> tuple[Timing, float]:
        """Return the time from publisher to subscriber, and the part that does not arrive."""
        listener, frames = self._listener, _TRANSPORT_FRAMES
        with listener.images_for(_LISTENER) as images:
            listener.give_turn(_LISTENER, _TRANSPORT_HZ)
            listener.wait_for(images, frames, LIMIT_S, self._children.check)
            listener.give_turn(NOBODY)
        if len(images) < frames:
            raise ThermalPerceptionError(f'transport: {len(images)} of {frames} images came')
        first, last = images.stamps_ns[0], images.stamps_ns[-1]
        sent = [stamp for stamp in sent_to(_LISTENER, camera.lines) if first <= stamp <= last]
        return Timing.of(images.ages_ms), 1 - len(images) / len(sent)

    def _stages(self, players: Sequence[_Player]) -> None:
        for _ in range(_SHORT_TURNS):
            for player in players:
                for name, times_ms in player.node.one_by_one(_SHORT_FRAMES).stages_ms.items():
                    player.stages_ms[name] += times_ms

    def _runs(self, players: Sequence[_Player], rate_hz: float) -> None:
        """Let networks, nodes and straightforward nodes take turns beside the same camera.

        Each takes many short turns while the others rest: whatever else the machine does hits
        all of them alike.
        """
        frames, runs = self._options.frames, self._options.runs
        before = [player.node.given_up() for player in players]
        for number in range(runs):
            _say(f'turn {number + 1} of {runs}, {rate_hz:.4g} Hz')
            for player in players:
                self._listener.give_turn(NOBODY, rate_hz)
                player.bare_hz.append(1000 * frames / sum(player.bare.take(frames)))
                player.turns.append(player.node.take(frames, rate_hz))
                if player.naive is not None:
                    player.naive_turns.append(player.naive.take(frames, rate_hz))
        for player, counts in zip(players, before):
            player.given_up = player.node.given_up() - counts

    def _sweep(self, players: Sequence[_Player]) -> None:
        def take(player: _Player, rate_hz: float) -> Turn:
            _say(f'{player.network.label}, {rate_hz:.4g} Hz')
            seconds = self._seconds(_SWEEP, rate_hz, _SWEEP_S)
            return player.node.take_for(seconds, rate_hz)

        for player in players:
            player.sweep = Sweep(player.reached_hz)
        raise_rates([(p.sweep, partial(take, p)) for p in players if p.sweep is not None])

    def _overload(self, players: Sequence[_Player]) -> None:
        for player in players:
            rate_hz = min(OVERLOAD * player.reached_hz, MAX_HZ)
            _say(f'{player.network.label}, overload, {rate_hz:.4g} Hz')
            seconds = self._seconds(_OVERLOAD, player.reached_hz, _OVERLOAD_S)
            before = player.node.given_up()
            turn = player.node.take_for(seconds, rate_hz)
            fates = fates_of([turn], player.node.given_up() - before)
            player.overload = Overload(turn, fates)

    def _seconds(self, turns: int, rate_hz: float, limits_s: tuple[float, float]) -> float:
        """Return how long so many turns take at a rate, within limits."""
        least_s, most_s = limits_s
        return min(max(turns * self._options.frames / rate_hz, least_s), most_s)


def _say(what: str) -> None:
    console.err.print(f'benchmark: {what}', style='dim')
