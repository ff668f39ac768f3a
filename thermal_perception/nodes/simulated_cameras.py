"""Node `simulated_cameras`: a small 3D world as images, odometry and ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

from thermal_perception.errors import ConfigError
from thermal_perception.nodes.base.diagnostics import Finding, Health, Level
from thermal_perception.nodes.base.entry import run_node
from thermal_perception.nodes.base.managed import ManagedNode
from thermal_perception.nodes.base.statistics import EventCounter, RateMeter
from thermal_perception.nodes.base.worker import Worker
from thermal_perception.nodes.parameters.simulated_cameras import SimulatedCamerasParameters
from thermal_perception.nodes.simulator.camera_faults import FaultyStream
from thermal_perception.nodes.simulator.simulated_outputs import CameraOutputs, TruthOutputs
from thermal_perception.simulation import default_rig, render, Scene, ThermalSensor
from thermal_perception.synchronise import NewestSlot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.simulation import Odometry, Rig, SimulatedFrame

# Pictures are taken ahead of their time, so that their stamps are those of the moment they are
# sent; a second one waits in case the next takes longer.
_AHEAD = 2
_STOP_TIMEOUT_S = 10.0
_FAULTS = ('drop_rgb', 'drop_thermal', 'freeze_thermal', 'time_offset_s', 'jitter_s')


@dataclass(frozen=True, eq=False)
class _Moment:
    """Everything seen at one time of the scene."""

    thermal: SimulatedFrame
    rgb: SimulatedFrame | None
    motion: Odometry


class SimulatedCamerasNode(ManagedNode[SimulatedCamerasParameters]):
    """Publishes what a thermal and a colour camera see in a simulated world.

    Image number n shows the scene at `start_s + n / rate_hz`, whatever the machine can do: on a
    slow one the world moves slowly, but every picture is the same.
    """

    def __init__(self, **options: Any) -> None:
        """Declare parameters; the world is built in `configure`."""
        super().__init__('simulated_cameras', SimulatedCamerasParameters, **options)
        self._scene: Scene | None = None
        self._rig: Rig | None = None
        self._cameras: dict[str, CameraOutputs] = {}
        self._truth: TruthOutputs | None = None
        self._worker: Worker[int] | None = None
        self._requests: NewestSlot[int] = NewestSlot('all')
        self._moments: NewestSlot[_Moment] = NewestSlot('all')
        self._ticker: Any = None
        self._streams: dict[str, FaultyStream[tuple[SimulatedFrame, int]]] = {}
        self._frozen: SimulatedFrame | None = None
        self._next = 0
        self._events = EventCounter(lambda: self.reports)
        self._rate = RateMeter()

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
        self._truth = TruthOutputs(self, rig.thermal, values.world_frame)
        self._cameras = {'thermal': CameraOutputs(self, rig.thermal)}
        if values.publish_rgb:
            self._cameras['rgb'] = CameraOutputs(self, rig.rgb)

    def activate(self) -> None:
        """Start to take pictures, and the clock that sends them."""
        values = self.settings.values
        self._requests, self._moments = NewestSlot('all'), NewestSlot('all')
        self._streams = {name: FaultyStream(i) for i, name in enumerate(self._cameras)}
        self._frozen, self._next = None, 0
        self._worker = Worker(self._requests, self._take, self._on_failure, name='renderer')
        self._worker.start()
        for _ in range(_AHEAD):
            self._request()
        self._ticker = self.create_timer(1.0 / values.rate_hz, self._tick, clock=self._steady)

    def deactivate(self) -> None:
        """Stop the clock, then finish the picture in hand."""
        if self._ticker is not None:
            self.destroy_timer(self._ticker)
            self._ticker = None
        if self._worker is not None:
            self._worker.stop(_STOP_TIMEOUT_S)
            self._worker = None

    def cleanup(self) -> None:
        """Give back the world and the publishers."""
        outputs: list[Any] = [*self._cameras.values(), *([self._truth] if self._truth else [])]
        for publisher in [p for output in outputs for p in output.publishers]:
            self.destroy_lifecycle_publisher(publisher)
        self._cameras, self._truth, self._scene, self._rig = {}, None, None, None

    # Diagnostics

    def health(self) -> Sequence[Health]:
        """Return whether the pictures come as fast as they should, and the faults asked for."""
        values, recent = self.settings.values, self._events.recent
        findings = self.state_findings()
        if recent['late']:
            text = f'{values.rate_hz:g} Hz is more than this machine can render'
            findings.append(Finding(Level.WARN, text))
        if recent['failed']:
            findings.append(Finding(Level.ERROR, f'{recent["failed"]} pictures failed'))
        faults = [name for name in (*_FAULTS, 'out_of_order') if getattr(values, name)]
        if faults:
            findings.append(Finding(Level.WARN, f'faults on request: {", ".join(faults)}'))
        totals = self._events.totals
        report = {
            'state': self.state,
            'scene': f'{values.preset}, {values.condition}, seed {values.seed}',
            'rate [Hz]': self._rate.hz,
            'published': totals.get('published', 0),
            'late': totals.get('late', 0),
        }
        state = self.state if self.enabled else 'disabled by ~/enable'
        return [Health('cameras', state, tuple(findings), report)]

    # The renderer's thread

    def _take(self, number: int) -> None:
        """Take the pictures of one moment."""
        scene, rig, values = self._scene, self._rig, self.settings.values
        assert scene is not None
        assert rig is not None
        assert self._truth is not None
        time_s = values.start_s + number / values.rate_hz
        thermal = render(
            scene,
            time_s,
            rig.thermal,
            bits=values.bits,
            with_segmentation=self._truth.segmentation_wanted,
        )
        wanted = 'rgb' in self._cameras and not values.drop_rgb
        rgb = render(scene, time_s, rig.rgb, with_truth=False) if wanted else None
        self._moments.put(_Moment(thermal, rgb, scene.odometry(time_s)))

    def _on_failure(self, number: int, error: Exception) -> None:
        if self.context.ok():
            self._events.add('failed')
            self.throttled.error('render', f'picture {number}: {type(error).__name__}: {error}')
            self._request()

    # The executor's thread

    def _tick(self) -> None:
        """Send the next moment, stamped now."""
        if not self.enabled or self._is_over():
            return
        moment = self._moments.take(timeout_s=0)
        if moment is None:
            self._events.add('late', int(self._rate.seen))
            return
        self._request()
        self._publish(moment, self.get_clock().now().nanoseconds)
        self._events.add('published')
        self._rate.tick()

    def _publish(self, moment: _Moment, stamp_ns: int) -> None:
        values = self.settings.values
        assert self._truth is not None
        self._truth.publish_motion(moment.motion, stamp_ns)
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

    def _request(self) -> None:
        self._requests.put(self._next)
        self._next += 1

    def _is_over(self) -> bool:
        values = self.settings.values
        sent = self._next - _AHEAD
        if not values.duration_s or sent < values.duration_s * values.rate_hz:
            return False
        self.get_logger().info(f'{values.duration_s:g} s are over')
        self.trigger_deactivate()
        return True


def _size(name: str, values: tuple[int, ...]) -> tuple[int, int]:
    if len(values) != 2:
        raise ConfigError(f'{name}: found {list(values)}, expected [height, width]')
    return values[0], values[1]


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(SimulatedCamerasNode, args)
