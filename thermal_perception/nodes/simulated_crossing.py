"""Node `simulated_crossing`: a vehicle and a pole look at a crossing; images, odometry, truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TYPE_CHECKING

import numpy as np
from vision_msgs.msg import Detection3DArray

from thermal_perception.encode import to_detection3d_array
from thermal_perception.errors import ConfigError
from thermal_perception.geometry import compose, from_xyz_rpy, to_xyz_quat
from thermal_perception.nodes.base.entry import run_node
from thermal_perception.nodes.parameters.simulated_crossing import SimulatedCrossingParameters
from thermal_perception.nodes.simulator.simulated_outputs import (
    CameraOutputs,
    OdometryOutput,
    publisher,
)
from thermal_perception.nodes.simulator.simulator_node import SimulatorNode
from thermal_perception.simulation import default_rig, render, Scene
from thermal_perception.simulation.intersection import pole_camera
from thermal_perception.simulation.shared_truth import vehicles_seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.nodes.base.diagnostics import Health
    from thermal_perception.simulation import CameraSpec, Odometry, SimulatedFrame
    from thermal_perception.types import Boxes3D


@dataclass(frozen=True, eq=False)
class _Moment:
    """Everything seen at one time of the scene; the roadside's image may be older."""

    ego: SimulatedFrame
    infra: SimulatedFrame
    motion: Odometry
    truth: Boxes3D


class SimulatedCrossingNode(SimulatorNode[SimulatedCrossingParameters, _Moment]):
    """Publishes what a vehicle and a camera on a pole see of a simulated crossing."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters; the world is built in `configure`."""
        super().__init__('simulated_crossing', SimulatedCrossingParameters, **options)
        self._scene: Scene | None = None
        self._ego: CameraSpec | None = None
        self._infra: CameraSpec | None = None
        self._outputs: dict[str, CameraOutputs] = {}
        self._odometry: OdometryOutput | None = None
        self._truth: Any = None
        self._noise = np.random.default_rng(0)

    # Life cycle

    def configure(self) -> None:
        """Build the world and the cameras."""
        values = self.settings.values
        if len(values.size) != 2:
            raise ConfigError(f'size: found {list(values.size)}, expected [height, width]')
        size = (values.size[0], values.size[1])
        self._scene = Scene('intersection', values.condition, values.seed)
        self._ego = default_rig('intersection', rgb_size=size).rgb
        self._infra = pole_camera(values.seed, size=size)
        self._odometry = OdometryOutput(self, values.world_frame)
        self._outputs = {
            'ego': CameraOutputs(self, self._ego),
            'infra': CameraOutputs(self, self._infra, 'infra'),
        }
        self._truth = publisher(self, Detection3DArray, 'ground_truth/detections_3d')

    def activate(self) -> None:
        """Start; the same errors come again."""
        self._noise = np.random.default_rng(self.settings.values.seed)
        super().activate()

    def cleanup(self) -> None:
        """Give back the world and the publishers."""
        for output in (*self._outputs.values(), self._odometry):
            for each in output.publishers if output is not None else ():
                self.destroy_lifecycle_publisher(each)
        if self._truth is not None:
            self.destroy_lifecycle_publisher(self._truth)
        self._scene = self._ego = self._infra = self._odometry = self._truth = None
        self._outputs = {}

    # Diagnostics

    def health(self) -> Sequence[Health]:
        """Return whether the pictures come as fast as they should, and where the pole is."""
        values, pole = self.settings.values, {}
        if self._infra is not None:
            pose = to_xyz_quat(self._infra.T_world_camera)
            pole['T_world_camera'] = ', '.join(f'{value:.6f}' for value in pose)
        scene = f'crossing, {values.condition}, seed {values.seed}'
        return [self.world_health(scene, (), pole)]

    # Moments

    def take(self, time_s: float) -> _Moment:
        """Take the pictures of one moment."""
        scene, ego, infra = self._scene, self._ego, self._infra
        assert scene is not None
        assert ego is not None
        assert infra is not None
        infra_s = time_s - self.settings.values.infra_lead_s
        return _Moment(
            render(scene, time_s, ego, with_truth=False),
            render(scene, infra_s, infra, with_truth=False),
            scene.odometry(time_s),
            vehicles_seen(scene, time_s, (ego, infra)),
        )

    def send(self, moment: _Moment, stamp_ns: int) -> None:
        """Publish all of it; what the vehicle needs beside its image comes before it."""
        assert self._odometry is not None
        self._odometry.publish(self._measured(moment.motion), stamp_ns)
        infra_ns = stamp_ns - round(self.settings.values.infra_lead_s * 1e9)
        self._outputs['infra'].publish(moment.infra, infra_ns)
        self._outputs['ego'].publish(moment.ego, stamp_ns)
        self._truth.publish(to_detection3d_array(replace(moment.truth, stamp_ns=stamp_ns)))

    def _measured(self, motion: Odometry) -> Odometry:
        """Return a motion as the vehicle knows it."""
        values = self.settings.values
        dx, dy = values.pose_noise_m * self._noise.standard_normal(2)
        yaw = np.deg2rad(values.pose_noise_deg * self._noise.standard_normal())
        x, y, z = motion.T_world_base[:3, 3]
        turned = compose(
            from_xyz_rpy((x + dx, y + dy, z), (0.0, 0.0, yaw)),
            from_xyz_rpy((-x, -y, -z), (0.0, 0.0, 0.0)),
            motion.T_world_base,
        )
        return motion._replace(T_world_base=turned)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(SimulatedCrossingNode, args)
