"""What comes in: the images of a thermal and a colour camera, paired by their stamps."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from thermal_perception.errors import DecodeError, GeometryError
from thermal_perception.nodes.base.diagnostics import Finding, Health, Level
from thermal_perception.nodes.base.statistics import EventCounter
from thermal_perception.nodes.cameras.camera_health import input_health
from thermal_perception.nodes.cameras.camera_info_input import CameraInfoInput
from thermal_perception.nodes.cameras.modality_watch import ModalityWatch
from thermal_perception.nodes.cameras.moment import Moment, Reading
from thermal_perception.nodes.cameras.registered_rgb import RegisteredRgb
from thermal_perception.nodes.cameras.thermal_input import ThermalInput
from thermal_perception.nodes.parameters.pair import PairParameters
from thermal_perception.synchronise import Pairing, PairingConfig
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from sensor_msgs.msg import CameraInfo

    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.cameras.camera_input import Arrival
    from thermal_perception.nodes.cameras.frame_source import FrameSource
    from thermal_perception.nodes.cameras.modality_watch import Lack
    from thermal_perception.synchronise import Pair
    from thermal_perception.types import Frame, Modality

P = TypeVar('P', bound=PairParameters)

_STOP_TIMEOUT_S = 10.0


class PairInput(ThermalInput[P]):
    """Hands on each thermal image with the RGB image of its moment, or alone if there is none.

    Messages come in two threads, and a third sees to it that no thermal image waits longer than
    `max_wait_s`; the pairing is used under a lock. RGB images are decoded and registered when
    their moment is looked at, in the worker's thread.

    Attributes:
        rgb: the colour camera.
        rgb_info: its camera_info.
    """

    def __init__(
        self,
        node: ManagedNode[P],
        put: Callable[[Moment], None],
        forget: Callable[[], None],
    ) -> None:
        """Prepare both cameras; see `ThermalInput`.

        Raises:
            GeometryError: if the parameters of the registration are no rig.
        """
        super().__init__(node, put, forget)
        values = node.settings.values
        self.rgb = self._source('rgb', values.rgb_image_transport)
        self.rgb_info = CameraInfoInput(node, 'rgb/camera_info')
        self._registered = RegisteredRgb(values)
        self._watch = ModalityWatch()
        self._pairing = self._make_pairing()
        self._events = EventCounter(lambda: node.reports)
        self._announced: tuple[Modality, str] | None = None
        self._lock = threading.Condition()
        self._closing = False
        self._awaited_ns: int | None = None
        self._thermal_seen_s = 0.0
        self._thread: threading.Thread | None = None

    @property
    def sources(self) -> Sequence[FrameSource]:
        """The cameras, leading one first."""
        return (self.thermal, self.rgb)

    def open(self) -> None:
        """Subscribe, and start to watch the clock."""
        self._pairing, self._watch = self._make_pairing(), ModalityWatch()
        self._thermal_seen_s = time.monotonic()
        self._closing = False
        self._thread = threading.Thread(target=self._keep_time, name='pairing', daemon=True)
        self._thread.start()
        self.follow_camera_info(False)
        super().open()

    def close(self) -> None:
        """Unsubscribe, and forget what waits."""
        super().close()
        self.rgb_info.follow(False)
        with self._lock:
            self._closing = True
            self._lock.notify()
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT_S)
            self._thread = None

    def follow_camera_info(self, wanted: bool) -> None:
        """Listen to camera_info while a picture or the registration wants it."""
        needed = self._registered.needs_cameras
        alone = self._node.settings.values.allow_rgb_only
        self.thermal_info.follow(needed or wanted)
        self.rgb_info.follow(needed or (alone and wanted))

    def camera_info(self, modality: Modality) -> CameraInfo | None:
        """Return the latest camera_info of a camera, None where it is not known."""
        return (self.thermal_info if modality == 'thermal' else self.rgb_info).latest

    # In the threads of the cameras and the clock

    def _on_arrival(self, modality: Modality, arrival: Arrival) -> None:
        if modality == 'thermal':
            self._thermal_seen_s = time.monotonic()
        super()._on_arrival(modality, arrival)

    def _take(self, modality: Modality, arrival: Arrival) -> None:
        with self._lock:
            if modality == 'rgb' and self._thermal_is_lost:
                self._events.add('rgb alone')
                self._put(Moment(None, arrival, time.perf_counter()))
                return
            now_ns = time.monotonic_ns()
            self._hand_on(self._pairing.push(modality, arrival.stamp_ns, arrival, now_ns))
            deadline_ns = self._pairing.next_deadline_ns
            if deadline_ns is not None and deadline_ns < (self._awaited_ns or deadline_ns + 1):
                self._lock.notify()

    def _keep_time(self) -> None:
        """Let thermal images go that have waited long enough."""
        with self._lock:
            while not self._closing:
                self._awaited_ns = self._pairing.next_deadline_ns
                self._lock.wait(_seconds_until(self._awaited_ns))
                self._hand_on(self._pairing.poll(time.monotonic_ns()))

    def _hand_on(self, pairs: Sequence[Pair[Arrival]]) -> None:
        decided_s = time.perf_counter()
        for pair in pairs:
            self._put(Moment(pair.thermal, pair.rgb, decided_s))

    @property
    def _thermal_is_lost(self) -> bool:
        values = self._node.settings.values
        silent_s = time.monotonic() - self._thermal_seen_s
        return values.allow_rgb_only and silent_s > values.modality_timeout_s

    def _make_pairing(self) -> Pairing[Arrival]:
        values = self._node.settings.values
        return Pairing(
            PairingConfig(
                max_offset_s=values.max_offset_s,
                time_offset_s=values.time_offset_s,
                max_wait_s=values.max_wait_s,
                rgb_timeout_s=values.modality_timeout_s,
                rgb_min_period_s=values.rgb_min_period_s,
                # Out of order is dropped before: a stamp that goes back here is a restart.
                jump_back_s=0.0,
                capacity=values.pairing_capacity,
            )
        )

    # In the worker's thread

    def read(self, moment: Moment) -> Reading:
        """Decode a moment, and register its RGB image; without a usable one thermal is alone.

        Raises:
            DecodeError: if the leading image cannot be decoded, which is counted and logged.
        """
        started_s = time.perf_counter()
        stages_s = {'pair': moment.decided_s - moment.leader.arrived_s}
        if moment.thermal is None:
            frames = FrameSet(rgb=self.rgb.decode(moment.leader))
            self._watch.note('thermal')
            return Reading(frames, stages_s | {'decode': time.perf_counter() - started_s})
        thermal = self.thermal.decode(moment.thermal)
        rgb, why = self._decode_rgb(moment.rgb)
        decoded_s = time.perf_counter()
        stages_s['decode'] = decoded_s - started_s
        if rgb is not None:
            rgb, why = self._register(rgb, thermal)
            stages_s['register'] = time.perf_counter() - decoded_s
        self._watch.note(None if rgb is not None else 'rgb', why)
        return Reading(FrameSet(thermal, rgb), stages_s)

    def _decode_rgb(self, arrival: Arrival | None) -> tuple[Frame | None, str]:
        if arrival is None:
            return None, ''
        try:
            return self.rgb.decode(arrival), ''
        except DecodeError as error:
            return None, str(error)

    def _register(self, rgb: Frame, thermal: Frame) -> tuple[Frame | None, str]:
        infos = self.thermal_info.latest, self.rgb_info.latest
        try:
            return self._registered(rgb, thermal.size, infos), ''
        except GeometryError as error:
            self._events.add('rgb unregistered')
            return None, str(error)

    # Diagnostics

    def health(self, *, summary: str, active: bool) -> list[Health]:
        """Return how both cameras and their pairing are; see `ThermalInput`."""
        values = self._node.settings.values
        rgb = input_health(
            self.rgb,
            summary=summary,
            silence=Level.WARN,
            timeout_s=values.modality_timeout_s,
            active=active,
        )
        return [
            *super().health(summary=summary, active=active),
            rgb,
            self._synchronisation(summary, active),
        ]

    def _synchronisation(self, summary: str, active: bool) -> Health:
        lack = self._lack if active else None
        degraded = self._text(lack) if lack is not None else ''
        self._announce(lack, degraded)
        findings = (Finding(Level.WARN, degraded),) if degraded else ()
        values = {'degraded': degraded or 'no', **self._pairing_values(), **self._events.totals}
        values['registration'] = self._registered.text
        values['registration maps built'] = self._registered.builds
        return Health('synchronisation', summary, findings, values)

    def _pairing_values(self) -> dict[str, Any]:
        with self._lock:
            counts, offset = self._pairing.counts, self._pairing.offset
            values: dict[str, Any] = {'restarts': self._pairing.restarts}
        for modality, fates in counts.items():
            values |= {f'{modality} {fate}': count for fate, count in fates.items()}
        if offset is not None:
            values['measured offset [s]'] = offset.offset_s
            if offset.drift_s_per_s is not None:
                values['drift [ppm]'] = offset.drift_s_per_s * 1e6
        return values

    @property
    def _lack(self) -> Lack | None:
        """The camera that is missing while the other one's images are perceived."""
        timeout_s = self._node.settings.values.modality_timeout_s
        lack = self._watch.lack(timeout_s) if self._node.enabled else None
        if lack is not None and lack.modality == 'rgb':
            # Without thermal images nothing is perceived, as the thermal input says.
            return lack if self.thermal.camera.rate.silent_s <= timeout_s else None
        return lack

    def _text(self, lack: Lack) -> str:
        other = 'thermal' if lack.modality == 'rgb' else 'rgb'
        why = lack.why or self._silence_text(lack.modality)
        return f'{lack.modality} missing: {other} only since {lack.since_s:.0f} s: {why}'

    def _announce(self, lack: Lack | None, text: str) -> None:
        """Log once that a camera is missing, and once that it is back."""
        news = None if lack is None else (lack.modality, lack.why)
        if news != self._announced and lack is not None:
            self._node.get_logger().warning(f'degraded: {text}')
        elif news != self._announced:
            self._node.get_logger().info('thermal and rgb images again')
        self._announced = news

    def _silence_text(self, modality: Modality) -> str:
        """Say why no image of a camera could be taken."""
        values = self._node.settings.values
        camera = (self.thermal if modality == 'thermal' else self.rgb).camera
        if camera.rate.silent_s > values.modality_timeout_s:
            return camera.silence_text
        if modality == 'thermal':
            return f'images come on {camera.topic}, but are dropped'
        with self._lock:
            offset = self._pairing.offset
        measured = 'unknown' if offset is None else f'{offset.offset_s:+.3f} s'
        return (
            f'images come on {camera.topic}, but none in time within {values.max_offset_s:g} s of '
            f'a thermal one; measured offset {measured}, time_offset_s {values.time_offset_s:g} s'
        )


def _seconds_until(deadline_ns: int | None) -> float | None:
    if deadline_ns is None:
        return None
    return max(0.0, (deadline_ns - time.monotonic_ns()) * 1e-9)
