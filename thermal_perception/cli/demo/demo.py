"""Starts cameras (or a bag) and the node, watches them, and says whether it went well."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import inf
import os
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.demo.listener import Listener
from thermal_perception.cli.demo.recorder import OverlayRecorder
from thermal_perception.cli.demo.view import Moment, open_screen, summary_table
from thermal_perception.cli.processes import Children, command_of, node_command
from thermal_perception.cli.ros import private_environment
from thermal_perception.errors import CheckpointError, ConfigError, ThermalPerceptionError
from thermal_perception.evaluation.bag import find_topic, IMAGE_TYPES, open_bag, TRUTH_TOPIC
from thermal_perception.resources import share_path

if TYPE_CHECKING:
    from thermal_perception.cli.demo.state import DemoState
    from thermal_perception.cli.demo.view import Screen
    from thermal_perception.cli.processes import Child

_NODE = 'fusion_detr'
_PROCESSES = (_NODE, 'simulated_cameras', 'replay')
_START_LIMIT_S = 180.0
"""A busy machine takes minutes to import PyTorch and to build the simulated world."""
_PICTURES = 5


@dataclass(frozen=True)
class DemoOptions:
    """What `demo` was asked for; the fields are its options.

    Attributes:
        duration_s: seconds from the first answer; None for 20 s, or for all of a bag.
        bag: replay this instead of the simulated cameras.
        seed: of the simulated scene; training uses others.
        output: folder for pictures, video and logs.
    """

    duration_s: float | None = None
    bag: Path | None = None
    image_topic: str = ''
    model: str = 'fusion_detr_lite'
    checkpoint: Path | None = None
    device: str = 'auto'
    preset: str = 'road'
    condition: str = 'night'
    seed: int = 20_001
    rate_hz: float = 10.0
    bits: int = 8
    output: Path = Path('demo_output')

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.duration_s is not None and self.duration_s <= 0:
            raise ConfigError(f'--duration {self.duration_s}: expected more than 0')
        if not 0 < self.rate_hz <= 100:
            raise ConfigError(f'--rate {self.rate_hz}: expected more than 0, at most 100 Hz')
        if self.bits not in (8, 16):
            raise ConfigError(f'--bits {self.bits}: expected 8 or 16')

    @property
    def wanted_s(self) -> float | None:
        """Seconds to watch; None for until the bag ends."""
        return 20.0 if self.duration_s is None and self.bag is None else self.duration_s

    @property
    def title(self) -> str:
        """What is to be seen."""
        if self.bag is not None:
            return f'{self.model} on {self.bag.name}'
        return f'{self.model} on simulated {self.preset}, {self.condition}, seed {self.seed}'


class NothingDetected(ThermalPerceptionError):
    """The demo ran, but the node found nothing."""


def demo(options: DemoOptions) -> None:
    """Run the demo.

    Raises:
        ChildDied: if a process ended that should not have.
        NothingDetected: if the node answered no frame, or never with a box.
        ThermalPerceptionError: if the weights, the bag or an option is not acceptable.
    """
    checkpoint = _checkpoint(options)
    _make_folder(options.output)
    environment = private_environment()
    os.environ.update(environment)  # our own listener joins the same domain
    recorder = OverlayRecorder(
        options.output, options.rate_hz, (options.wanted_s or 20.0) / _PICTURES
    )
    with Children(environment, options.output / 'logs') as children:
        children.start(_NODE, node_command(_NODE, _node_parameters(options, checkpoint)))
        with Listener(_NODE, recorder, live=options.bag is None) as listener:
            source = _start_source(options, children)
            with open_screen(console.out) as screen:
                _watch(options, children, source, listener, screen)
            state = listener.look(lambda state, _: state)
        complaints = children.stop()
    _conclude(options, state, recorder)
    if complaints:
        raise ThermalPerceptionError('\n'.join(complaints))


def _checkpoint(options: DemoOptions) -> Path:
    if options.checkpoint is None:
        try:
            return share_path('weights', f'{options.model}.safetensors')
        except ConfigError as error:
            raise CheckpointError(f'--model {options.model}: {error}') from error
    if not options.checkpoint.is_file():
        raise CheckpointError(f'--checkpoint {options.checkpoint}: no such file')
    return options.checkpoint.resolve()


def _make_folder(folder: Path) -> None:
    """Make an output folder without the results of an earlier demo."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'logs').mkdir(exist_ok=True)
        ours = ('overlay_[0-9][0-9].png', 'overlay.mp4', *(f'logs/{n}.log' for n in _PROCESSES))
        for old in chain.from_iterable(folder.glob(pattern) for pattern in ours):
            old.unlink()
    except OSError as error:
        raise ConfigError(f'--output {folder}: cannot be written: {error.strerror}') from error


def _node_parameters(options: DemoOptions, checkpoint: Path) -> dict[str, object]:
    parameters: dict[str, object] = {'checkpoint': checkpoint, 'device': options.device}
    if options.bag is not None:
        parameters['use_sim_time'] = True
        parameters['image_transport'] = _bag_images(options.bag, options.image_topic)[1]
    return parameters


def _start_source(options: DemoOptions, children: Children) -> Child:
    if options.bag is not None:
        command = _replay_command(options.bag, options.image_topic)
        return children.start('replay', command, finite=True)
    parameters = {
        'preset': options.preset,
        'condition': options.condition,
        'seed': options.seed,
        'rate_hz': options.rate_hz,
        'bits': options.bits,
        'publish_rgb': False,
    }
    return children.start('simulated_cameras', node_command('simulated_cameras', parameters))


def _bag_images(bag: Path, wanted: str) -> tuple[str, str]:
    """Return the topic of the images in a bag and how they are sent, `raw` or `compressed`."""
    with open_bag(bag) as reader:
        types = {c.topic: c.msgtype for c in reader.connections}
        raw = IMAGE_TYPES[0]
        wanted_types = (raw,) if raw in types.values() and not wanted else IMAGE_TYPES
        topic = find_topic(reader, wanted_types, wanted=wanted)
        return topic, 'raw' if types[topic] == raw else 'compressed'


def _replay_command(bag: Path, image_topic: str) -> list[str]:
    """Publish what the node and we subscribe to: the images, and the truth if there is one."""
    recorded, transport = _bag_images(bag, image_topic)
    sibling = '' if transport == 'raw' else '/compressed'
    topics = {recorded: f'/thermal/image_raw{sibling}'}
    with open_bag(bag) as reader:
        for connection in reader.connections:
            if connection.topic.endswith(TRUTH_TOPIC):
                topics[connection.topic] = f'/{TRUTH_TOPIC}'
    arguments = ['--wait', str(_START_LIMIT_S)]
    for recorded, wanted in topics.items():
        arguments += ['--topic', recorded, '--remap', f'{recorded}:={wanted}']
    return command_of('replay', str(bag.resolve()), *arguments)


def _watch(
    options: DemoOptions, children: Children, source: Child, listener: Listener, screen: Screen
) -> None:
    """Show what happens until the time is over or the bag has ended."""
    launched_s = time.monotonic()
    started_s: float | None = None
    while source.process.poll() is None:
        children.check()
        now_s = time.monotonic()
        if started_s is None and listener.look(_has_answers):
            started_s = now_s
        if started_s is None and now_s - launched_s > _START_LIMIT_S:
            raise NothingDetected(_silence(options, f'within {_START_LIMIT_S:.0f} s'))
        elapsed_s = None if started_s is None else now_s - started_s
        moment = Moment(options.title, now_s - launched_s, elapsed_s, options.wanted_s)
        listener.look(partial(_show, screen, moment))
        if elapsed_s is not None and elapsed_s >= (options.wanted_s or inf):
            return
        time.sleep(screen.every_s)
    children.check()


def _has_answers(state: DemoState, _: Any) -> bool:
    """Tell whether the node has answered; one that says it cannot is not waited for."""
    if not state.frames and state.node.level == 'ERROR':
        raise NothingDetected(f'{_NODE}: {state.node.message}')
    return state.frames > 0


def _show(screen: Screen, moment: Moment, state: DemoState, overlay: Any) -> None:
    screen.show(state, overlay, moment)


def _silence(options: DemoOptions, when: str) -> str:
    return f'{_NODE} answered no frame {when}; see {options.output / "logs"}'


def _conclude(options: DemoOptions, state: DemoState, recorder: OverlayRecorder) -> None:
    console.out.print(f'\n[bold]{options.title}[/bold]')
    console.out.print(summary_table(state))
    if recorder.video_frames:
        pictures = f', {len(recorder.pictures)} pictures beside it' if recorder.pictures else ''
        console.out.print(f'{recorder.video_path}: {recorder.video_frames} frames{pictures}')
    matches = state.matches
    console.write_json(
        options.output / 'summary.json',
        {
            'title': options.title,
            'frames': state.frames,
            'rate_hz': state.rate_hz,
            'boxes': state.boxes,
            'boxes_by_class': dict(state.by_class),
            'frames_with_truth': state.scored,
            'precision': matches.precision,
            'recall': matches.recall,
            'age_median_ms': state.age_ms(50),
            'age_p99_ms': state.age_ms(99),
            'diagnostics': dict(state.node.values),
        },
    )
    if not state.frames:
        raise NothingDetected(_silence(options, 'at all'))
    if not state.boxes:
        raise NothingDetected(f'{_NODE} answered {state.frames} frames and never found anything')
