"""Node `simulated_cameras`: a small 3D world as images, odometry and ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

from thermal_perception.errors import ConfigError
from thermal_perception.nodes.base.diagnostics import Finding, Level
from thermal_perception.nodes.base.entry import run_node
from thermal_perception.nodes.parameters.simulated_cameras import SimulatedCamerasParameters
from thermal_perception.nodes.simulator.camera_faults import FaultyStream
from thermal_perception.nodes.simulator.simulated_outputs import (
    CameraOutputs,
    OdometryOutput,
    TruthOutputs,
)
from thermal_perception.nodes.simulator.simulator_node import SimulatorNode
from thermal_perception.simulation import default_rig, render, Scene, ThermalSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.nodes.base.diagnostics import Health
    from thermal_perception.simulation import Odometry, Rig, SimulatedFrame

_FAULTS = ('drop_rgb', 'drop_thermal', 'freeze_thermal', 'time_offset_s', 'jitter_s')


@dataclass(frozen=True, eq=False)
class _Moment:
    """Everything seen at one time of the scene."""

    thermal: SimulatedFrame
    rgb: SimulatedFrame | None
    motion: Odometry


class SimulatedCamerasNode(SimulatorNode[SimulatedCamerasParameters, _Moment]):
    """Publishes what a thermal and a colour camera see in a simulated world."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters; the world is built in `configure`."""
        super().__init__('simulated_cameras', SimulatedCamerasParameters, **options)
        self._scene: Scene | None = None
        self._rig: Rig | None = None
        self._cameras: dict[str, CameraOutputs] = {}
        self._truth: TruthOutputs | None = None
        self._odometry: OdometryOutput | None = None
        self._streams: dict[str, FaultyStream[tuple[SimulatedFrame, int]]] = {}
        self._frozen: SimulatedFrame | None = None

    # Life cycle

    def configure(self) -> None:
        """Build the world and the cameras."""
        values = self.settings.values
        thermal_size = _size('thermal_size', values.thermal_size)
        rgb_size = _size('rgb_size', values.rgb_size)
        scene = Scene(values.preset, values.condition, values.seed)  # type: ignore[arg-type]
        rig = default_rig(
            values.preset,  # type: ignore[arg-type]
            thermal_size=thermal_size,
            rgb_size=rgb_size,
            registered=values.registered,
            pitch_deg=scene.pitch_deg,
            thermal_sensor=ThermalSensor(ffc_period_s=values.ffc_period_s, seed=values.seed),
        )
        self._scene, self._rig = scene, rig
        self._truth = TruthOutputs(self, rig.thermal)
        self._odometry = OdometryOutput(self, values.world_frame)
        self._cameras = {'thermal': CameraOutputs(self, rig.thermal)}
        if values.publish_rgb:
            self._cameras['rgb'] = CameraOutputs(self, rig.rgb)

    def activate(self) -> None:
        """Start, without what faults have left."""
        self._streams = {name: FaultyStream(i) for i, name in enumerate(self._cameras)}
        self._frozen = None
        super().activate()

    def cleanup(self) -> None:
        """Give back the world and the publishers."""
        for output in (*self._cameras.values(), self._truth, self._odometry):
            for publisher in output.publishers if output is not None else ():
                self.destroy_lifecycle_publisher(publisher)
        self._truth = self._odometry = self._scene = self._rig = None
        self._cameras = {}

    # Diagnostics

    def health(self) -> Sequence[Health]:
        """Return whether the pictures come as fast as they should, and the faults asked for."""
        values = self.settings.values
        findings = []
        faults = [name for name in (*_FAULTS, 'out_of_order') if getattr(values, name)]
        if faults:
            findings.append(Finding(Level.WARN, f'faults on request: {", ".join(faults)}'))
        scene = f'{values.preset}, {values.condition}, seed {values.seed}'
        return [self.world_health(scene, findings, {})]

    # Moments

    def take(self, time_s: float) -> _Moment:
        """Take the pictures of one moment."""
        scene, rig, values = self._scene, self._rig, self.settings.values
        assert scene is not None
        assert rig is not None
        assert self._truth is not None
        thermal = render(
            scene,
            time_s,
            rig.thermal,
            bits=values.bits,
            with_segmentation=self._truth.segmentation_wanted,
        )
        wanted = 'rgb' in self._cameras and not values.drop_rgb
        rgb = render(scene, time_s, rig.rgb, with_truth=False) if wanted else None
        return _Moment(thermal, rgb, scene.odometry(time_s))

    def send(self, moment: _Moment, stamp_ns: int) -> None:
        """Publish a moment, or what the faults leave of it."""
        values = self.settings.values
        assert self._odometry is not None
        self._odometry.publish(moment.motion, stamp_ns)
        if not values.freeze_thermal:
            self._frozen = None
        elif self._frozen is None:
            self._frozen = moment.thermal
        thermal = self._frozen or moment.thermal
        if not values.drop_thermal:
            self._send('thermal', thermal, stamp_ns)
        if moment.rgb is not None and not values.drop_rgb:
            self._send('rgb', moment.rgb, stamp_ns, offset_s=values.time_offset_s)

    def _send(
        self, name: str, frame: SimulatedFrame, stamp_ns: int, *, offset_s: float = 0.0
    ) -> None:
        """Publish a frame, or what the faults make of it; the truth goes with its picture."""
        values, stream = self.settings.values, self._streams[name]
        stamp_ns = stream.stamp(stamp_ns, offset_s=offset_s, jitter_s=values.jitter_s)
        for sent, sent_ns in stream.order((frame, stamp_ns), out_of_order=values.out_of_order):
            self._cameras[name].publish(sent, sent_ns)
            if sent.truth is not None and self._truth is not None:
                self._truth.publish_truth(sent.truth, sent_ns)


def _size(name: str, values: tuple[int, ...]) -> tuple[int, int]:
    if len(values) != 2:
        raise ConfigError(f'{name}: found {list(values)}, expected [height, width]')
    return values[0], values[1]


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(SimulatedCamerasNode, args)
