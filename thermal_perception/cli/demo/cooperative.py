"""The demo of EMIFF: a vehicle, a pole, the radio between them, and the vehicle without it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
import time
from typing import Any, ClassVar, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.cli.demo.birds_eye import BirdsEye, Layer
from thermal_perception.cli.demo.cooperative_state import CooperativeState, Ground
from thermal_perception.cli.demo.gap import Gap, GapPlan
from thermal_perception.cli.demo.listener import Listener
from thermal_perception.cli.demo.show import Show
from thermal_perception.cli.processes import node_command
from thermal_perception.cli.ros import message, qos
from thermal_perception.config import from_mapping
from thermal_perception.decode import stamp_ns_of
from thermal_perception.errors import ConfigError
from thermal_perception.geometry.transforms import to_xyz_quat
from thermal_perception.models.emiff.config import EmiffConfig
from thermal_perception.simulation import default_rig
from thermal_perception.simulation.intersection import pole_camera

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from rclpy.node import Node

    from thermal_perception.cli.demo.cooperative_state import Scene
    from thermal_perception.cli.demo.recorder import PictureRecorder
    from thermal_perception.cli.demo.state import DemoState
    from thermal_perception.cli.processes import Child, Children

ALONE = 'vehicle_alone'
_OTHERS = ('emiff_infrastructure', 'simulated_link', ALONE)
_SIZE = (540, 960)
_PANEL = (360, 640)  # height and width of each camera in the video
_KEPT = 30  # images that wait for their boxes
_CUT_FROM, _CUT_S = 0.4, 5.0
_TRUTH, _ALONE, _TOGETHER = (84, 128, 84), (0, 150, 255), (255, 220, 80)  # B, G, R


@dataclass(frozen=True)
class CooperativeShow(Show):
    """A demo of vehicle and roadside at a simulated crossing.

    Its usual scene was chosen for what it shows: a vehicle that takes twenty seconds to reach and
    pass a busy crossing.
    """

    usual_seed: ClassVar[int] = 20_011

    def __post_init__(self) -> None:
        """Refuse what there is none of."""
        if self.options.bag is not None:
            raise ConfigError(f'--bag: {self.record.model} is shown at a simulated crossing only')

    @property
    def title(self) -> str:
        """What is to be seen."""
        options = self.options
        place = f'crossing, {options.condition}, seed {self.seed}'
        return f'{self.record.model} at a simulated {place}'

    @property
    def rate_hz(self) -> float:
        """Images per second of each camera, of the time of the scene."""
        return 4.0 if self.options.rate_hz is None else self.options.rate_hz

    @property
    def environment(self) -> Mapping[str, str]:
        """Five processes with networks and pictures: their threads only wait for each other."""
        return {'OMP_NUM_THREADS': '1'}

    def state(self) -> CooperativeState:
        """Return what takes the answers; nothing was seen yet."""
        grid = from_mapping(EmiffConfig, self.record.config, where='config').grid
        return CooperativeState(Ground(grid.low_m[:2], grid.high_m[:2]))

    def pictures(self) -> tuple[str, ...]:
        """Return the names of what is recorded."""
        return ('birds_eye',)

    def start_nodes(self, children: Children) -> None:
        """Start the roadside, the link, and the vehicle with and without it."""
        model = {'checkpoint': self.checkpoint, 'device': self.options.device}
        pole = pole_camera(self.seed, size=_SIZE).T_world_camera
        assert pole is not None
        rig = default_rig('intersection', rgb_size=_SIZE)
        # A busy machine is slow; while the link is cut, what came before must still grow too old.
        vehicle = {
            **model,
            'T_base_camera': _numbers(rig.rgb.T_base_camera),
            'max_feature_age_s': 2.0,
            'fade_from_s': 1.5,
        }
        infra = {'rgb/image_raw': 'infra/image_raw', 'rgb/camera_info': 'infra/camera_info'}
        children.start(
            'emiff_infrastructure',
            node_command(
                'emiff_infrastructure',
                {**model, 'T_world_camera': _numbers(pole)},
                remaps=infra,
            ),
        )
        sent, heard = '/emiff_infrastructure/features', '/simulated_link/features'
        children.start(
            'simulated_link', node_command('simulated_link', {}, remaps={'features': sent})
        )
        children.start(
            'emiff_vehicle',
            node_command('emiff_vehicle', vehicle, remaps={'infra/features': heard}),
        )
        children.start(
            ALONE,
            node_command('emiff_vehicle', vehicle, remaps={'infra/features': 'none'}, name=ALONE),
        )

    def start_source(self, children: Children) -> Child:
        """Start the cameras."""
        options = self.options
        parameters = {
            'condition': options.condition,
            'seed': self.seed,
            'rate_hz': self.rate_hz,
            'size': f'[{_SIZE[0]}, {_SIZE[1]}]',
        }
        return children.start('simulated_crossing', node_command('simulated_crossing', parameters))

    def listener(
        self, state: DemoState[Any], recorders: Mapping[str, PictureRecorder]
    ) -> CooperativeListener:
        """Return what listens to all of them."""
        return CooperativeListener(self.kind, state, recorders)

    def gap(self, listener: Listener) -> Gap | None:
        """Return what cuts the link for five seconds."""
        duration_s = self.options.wanted_s
        if duration_s is None:
            return None
        start_s = _CUT_FROM * duration_s
        plan = GapPlan('link cut', start_s, start_s + min(_CUT_S, duration_s / 3))
        return Gap(partial(listener.ask, 'cut'), plan)


class CooperativeListener(Listener):
    """Hears both vehicles, both cameras, link and roadside, and draws what they make of it."""

    _state: CooperativeState

    def __init__(self, *arguments: Any) -> None:
        """Take what `Listener` takes."""
        super().__init__(*arguments)
        self._images: dict[str, OrderedDict[int, NDArray[np.uint8]]] = {
            'rgb': OrderedDict(),
            'infra': OrderedDict(),
        }

    def _subscribe(self, node: Node) -> None:
        super()._subscribe(node)
        boxes = message('vision_msgs/msg/Detection3DArray')
        every, newest = qos(50, reliable=True), qos(5, reliable=False)
        node.create_subscription(boxes, f'/{ALONE}/detections_3d', self._on_alone, every)
        for name in self._images:
            node.create_subscription(
                message('sensor_msgs/msg/Image'),
                f'/{name}/image_raw',
                partial(self._on_image, name),
                newest,
            )

    def _on_alone(self, message: Any) -> None:
        answer, now_s = self._state.read_answer(message), time.time()
        with self._lock:
            self._state.take_alone(answer, now_s)
        self._draw()

    def _on_answer(self, message: Any) -> None:
        super()._on_answer(message)
        self._draw()

    def _on_image(self, name: str, message: Any) -> None:
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        images = self._images[name]
        small = cv2.resize(image, _PANEL[::-1], interpolation=cv2.INTER_AREA)
        images[stamp_ns_of(message.header)] = np.asarray(small, np.uint8)
        while len(images) > _KEPT:
            images.popitem(last=False)

    def _on_diagnostics(self, message: Any) -> None:
        super()._on_diagnostics(message)
        for name in _OTHERS:
            statuses = [s for s in message.status if s.name.startswith(f'{name}:')]
            with self._lock:
                self._state.take_other(name, statuses)

    def _draw(self) -> None:
        """Record the moments that are complete."""
        with self._lock:
            scenes = self._state.complete_scenes()
            link = self._state.facts['link']
        for scene in scenes:
            picture = self._picture(scene, link)
            self._recorders['birds_eye'].write(picture, time.monotonic())
            with self._lock:
                self._overlay = picture

    def _picture(self, scene: Scene, link: str) -> NDArray[np.uint8]:
        """Return both cameras beside the ground seen from above."""
        layers = [
            Layer('truth', scene.truth, _TRUTH, filled=True),
            Layer('with the roadside', scene.found, _TOGETHER),
        ]
        if scene.alone is not None:
            layers.insert(1, Layer('vehicle alone', scene.alone, _ALONE))
        ground = BirdsEye().draw(layers, f'link {link}')
        column = np.zeros((ground.shape[0], _PANEL[1], 3), np.uint8)
        for index, (name, title) in enumerate((('rgb', 'vehicle'), ('infra', 'pole'))):
            image = self._images[name].get(scene.found.stamp_ns)
            part = column[index * _PANEL[0] :][: _PANEL[0]]
            if image is not None:
                part[:] = image[: len(part)]
            cv2.putText(part, title, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
        return np.hstack((column, ground))


def _numbers(T: NDArray[np.float64]) -> str:
    return f'[{", ".join(f"{value:.9f}" for value in to_xyz_quat(T))}]'
