"""What a demo shows: the options of the command, and the weights they name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TYPE_CHECKING

from thermal_perception.cli.demo.gap import Gap, GapPlan
from thermal_perception.cli.demo.label_state import LabelState
from thermal_perception.cli.demo.listener import Listener
from thermal_perception.cli.demo.recorder import PictureRecorder
from thermal_perception.cli.demo.sources import node_parameters, start_source
from thermal_perception.cli.demo.state import BoxState
from thermal_perception.cli.node_kinds import EMIFF, node_kind, NODE_KINDS
from thermal_perception.cli.processes import node_command
from thermal_perception.errors import ConfigError
from thermal_perception.models.record import read_record
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.cli.demo.state import DemoState
    from thermal_perception.cli.node_kinds import NodeKind
    from thermal_perception.cli.processes import Child, Children
    from thermal_perception.models.record import CheckpointInfo

_STILLS = 5
_OTHER_LOGS = (
    'emiff_infrastructure',
    'emiff_vehicle',
    'replay',
    'simulated_cameras',
    'simulated_crossing',
    'simulated_link',
    'vehicle_alone',
)


@dataclass(frozen=True)
class DemoOptions:
    """What `demo` was asked for; the fields are its options.

    Attributes:
        duration_s: seconds from the first answer; None for 20 s, or for all of a bag.
        bag: replay this instead of the simulated cameras.
        image_topic: thermal images of the bag; empty if it has no others.
        rgb_topic: colour images of the bag; empty takes the one that ends in `rgb/image_raw`.
        model: whose shipped weights run; the name of a system means its lite model.
        seed: of the simulated scene; None for one that shows something. Training uses others.
        rate_hz: of the cameras; None for what suits the model.
        output: folder for pictures, video and logs.
    """

    duration_s: float | None = None
    bag: Path | None = None
    image_topic: str = ''
    rgb_topic: str = ''
    model: str = 'fusion_detr_lite'
    checkpoint: Path | None = None
    device: str = 'auto'
    preset: str = 'road'
    condition: str = 'night'
    seed: int | None = None
    rate_hz: float | None = None
    bits: int = 8
    output: Path = Path('demo_output')

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.duration_s is not None and self.duration_s <= 0:
            raise ConfigError(f'--duration {self.duration_s}: expected more than 0')
        if self.rate_hz is not None and not 0 < self.rate_hz <= 100:
            raise ConfigError(f'--rate {self.rate_hz}: expected more than 0, at most 100 Hz')
        if self.bits not in (8, 16):
            raise ConfigError(f'--bits {self.bits}: expected 8 or 16')

    @property
    def wanted_s(self) -> float | None:
        """Seconds to watch; None for until the bag ends."""
        return 20.0 if self.duration_s is None and self.bag is None else self.duration_s


@dataclass(frozen=True)
class Show:
    """A demo of certain weights.

    Attributes:
        options: as asked for.
        checkpoint: the weights.
        kind: the node that runs them.
        record: what they say of themselves.
        usual_seed: of the scene, where none is asked for.
    """

    usual_seed: ClassVar[int] = 20_001

    options: DemoOptions
    checkpoint: Path
    kind: NodeKind
    record: CheckpointInfo

    @property
    def title(self) -> str:
        """What is to be seen."""
        options, model = self.options, self.record.model
        if options.bag is not None:
            return f'{model} on {options.bag.name}'
        scene = f'{options.preset}, {options.condition}, seed {self.seed}'
        return f'{model} on simulated {scene}'

    @property
    def node(self) -> str:
        """Name of the node."""
        return self.kind.name

    @property
    def rate_hz(self) -> float:
        """Images per second of each camera."""
        return 10.0 if self.options.rate_hz is None else self.options.rate_hz

    @property
    def seed(self) -> int:
        """What the simulated scene is drawn from."""
        return self.usual_seed if self.options.seed is None else self.options.seed

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of the processes, beside those of every demo."""
        return {}

    def state(self) -> DemoState[Any]:
        """Return what takes the node's answers; nothing was seen yet."""
        live = self.options.bag is None
        if self.kind.labels_pixels:
            return LabelState(self.record.class_names, live=live)
        return BoxState(live=live)

    def pictures(self) -> tuple[str, ...]:
        """Return the names of what is recorded."""
        return self.kind.pictures

    def recorders(self) -> dict[str, PictureRecorder]:
        """Return one for each picture."""
        every_s = (self.options.wanted_s or 20.0) / _STILLS
        return {
            name: PictureRecorder(
                self.options.output, name, rate_hz=self.rate_hz, picture_every_s=every_s
            )
            for name in self.pictures()
        }

    def start_nodes(self, children: Children) -> None:
        """Start the node."""
        children.start(self.node, node_command(self.node, node_parameters(self)))

    def start_source(self, children: Children) -> Child:
        """Start the cameras, or the replay of the bag."""
        return start_source(self, children)

    def listener(
        self, state: DemoState[Any], recorders: Mapping[str, PictureRecorder]
    ) -> Listener:
        """Return what listens to the node."""
        return Listener(self.kind, state, recorders)

    def gap(self, listener: Listener) -> Gap | None:
        """Return what cuts the simulated colour camera off, where the model can do without."""
        duration_s = self.options.wanted_s
        if self.options.bag is not None or 'rgb' not in self.kind.cameras or duration_s is None:
            return None
        plan = GapPlan('colour camera cut off', 0.5 * duration_s, 0.75 * duration_s)
        return Gap(partial(listener.ask, 'drop_rgb'), plan)


def prepare(options: DemoOptions) -> Show:
    """Look up the weights.

    Raises:
        CheckpointError: if they are not there, damaged, or of a model that no demo shows.
    """
    path = (options.checkpoint or shipped_weights(options.model)).resolve()
    record = read_record(path)
    if record.architecture == 'emiff':
        from thermal_perception.cli.demo.cooperative import CooperativeShow  # needs torch

        return CooperativeShow(options, path, EMIFF, record)
    return Show(options, path, node_kind(record, path), record)


def make_folder(folder: Path) -> None:
    """Make an output folder without the results of an earlier demo."""
    pictures = ('birds_eye', 'fused_image', 'overlay')
    logs = (*NODE_KINDS, *_OTHER_LOGS)
    ours = (
        *(f'{name}_[0-9][0-9].png' for name in pictures),
        *(f'{name}.mp4' for name in pictures),
        *(f'logs/{name}.log' for name in logs),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'logs').mkdir(exist_ok=True)
        for old in chain.from_iterable(folder.glob(pattern) for pattern in ours):
            old.unlink()
    except OSError as error:
        raise ConfigError(f'--output {folder}: cannot be written: {error.strerror}') from error
