"""Node `fusion_detr`: thermal images in, vision_msgs/Detection2DArray out."""

from __future__ import annotations

import threading
from typing import Any, TYPE_CHECKING

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future
from std_srvs.srv import Trigger

from thermal_perception.nodes.camera_info_input import CameraInfoInput
from thermal_perception.nodes.camera_input import CameraInput, StampLimits
from thermal_perception.nodes.detector_health import DISABLED, input_health, perception_health
from thermal_perception.nodes.diagnostics import Finding, Level
from thermal_perception.nodes.entry import run_node
from thermal_perception.nodes.fusion_detr_parameters import FusionDetrParameters, units_of
from thermal_perception.nodes.managed import ManagedNode
from thermal_perception.nodes.outputs import DetectorOutputs
from thermal_perception.nodes.perceivers import load_perceiver
from thermal_perception.nodes.pipeline import DetectionPipeline
from thermal_perception.nodes.worker import call_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermal_perception.nodes.camera_input import Arrival
    from thermal_perception.nodes.diagnostics import Health
    from thermal_perception.nodes.perceivers import PerceiverLike

# So long may the overlay wait for its camera_info.
_FOLLOW_PERIOD_S = 0.5


class FusionDetrNode(ManagedNode[FusionDetrParameters]):
    """Detects in every thermal image, one inference at a time, the newest image first."""

    def __init__(
        self,
        *,
        load: Callable[[FusionDetrParameters], PerceiverLike] = load_perceiver,
        **options: Any,
    ) -> None:
        """Declare parameters and services; nothing is loaded before `configure`.

        Args:
            load: makes the model from the parameters.
            options: passed on to `rclpy.lifecycle.LifecycleNode`.
        """
        super().__init__('fusion_detr', FusionDetrParameters, **options)
        self._load = load
        self._camera: CameraInput | None = None
        self._pipeline: DetectionPipeline | None = None
        self._outputs: DetectorOutputs | None = None
        self._labels: tuple[tuple[str, ...], float] | None = None
        self._camera_info: CameraInfoInput | None = None
        self._reloading = False
        self._reload_failure = ''
        self.settings.on_change(lambda values: self._publish_labels())
        # Here and not with each image: those come in another thread.
        self._follower = self.create_timer(
            _FOLLOW_PERIOD_S, self._follow_camera_info, clock=self._steady
        )
        # A group of its own: others must run while this callback waits for its thread.
        self._reload_service = self.create_service(
            Trigger, '~/reload_model', self._on_reload, callback_group=ReentrantCallbackGroup()
        )

    # Life cycle

    def configure(self) -> None:
        """Load the model, create the publishers."""
        values = self.settings.values
        units = units_of(values)
        perceiver = call_in_thread(self._load_warm)
        self._outputs = DetectorOutputs(self)
        self._camera = CameraInput(
            self,
            'thermal/image_raw',
            transport='compressed' if values.image_transport == 'compressed' else 'raw',
            limits=StampLimits(values.max_future_s, values.jump_back_s),
            on_arrival=self._on_arrival,
            on_restart=self._forget_stream,
            throttled=self.throttled,
            report=lambda: self.reports,
        )
        self._camera_info = CameraInfoInput(self, 'thermal/camera_info')
        self._pipeline = DetectionPipeline(
            self, self._camera, self._camera_info, self._outputs, perceiver, units
        )

    def activate(self) -> None:
        """Set the pipeline to work, then subscribe."""
        assert self._pipeline is not None
        assert self._camera is not None
        self._labels = None
        self._publish_labels()
        self._pipeline.start()
        self._camera.open()

    def deactivate(self) -> None:
        """Unsubscribe, then let the pipeline finish the image in hand."""
        if self._camera is not None:
            self._camera.close()
        if self._camera_info is not None:
            self._camera_info.follow(False)
        if self._pipeline is not None:
            self._pipeline.stop()

    def cleanup(self) -> None:
        """Give back the model and the publishers."""
        self._camera = self._camera_info = self._pipeline = None
        self._reload_failure = ''
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None

    def on_time_jump(self) -> None:
        """Start over."""
        if self._camera is not None:
            self._camera.reset()
        self._forget_stream()

    # Diagnostics

    def hardware_id(self) -> str:
        """Return the fingerprint of the model."""
        return self._pipeline.perceiver.info.fingerprint if self._pipeline is not None else ''

    def health(self) -> Sequence[Health]:
        """Return how the input and the detector are."""
        values = self.settings.values
        state = self.state if self.enabled else 'disabled by ~/enable'
        findings = self.state_findings()
        if self._reload_failure:
            findings.append(Finding(Level.ERROR, self._reload_failure))
        perception = perception_health(
            self._pipeline,
            state=state,
            complain_of_replaced=values.queue == 'all',
            findings=findings,
        )
        if self._camera is None or self._pipeline is None:
            return [perception]
        camera = input_health(
            self._camera,
            self._pipeline,
            summary=state,
            timeout_s=values.input_timeout_s,
            active=self.state == 'active',
        )
        return [camera, perception]

    # Callbacks; they return at once

    def _on_arrival(self, arrival: Arrival) -> None:
        if self._camera is None or self._pipeline is None:
            return
        if self.enabled:
            self._pipeline.put(arrival)
        else:
            self._camera.drops.add(DISABLED)

    def _follow_camera_info(self) -> None:
        """Listen to camera_info while the overlay beside it is listened to."""
        if self.state == 'active' and self._camera_info and self._outputs:
            wanted = self.settings.values.publish_overlay and self._outputs.overlay_heard
            self._camera_info.follow(wanted)

    def _forget_stream(self) -> None:
        if self._pipeline is not None:
            self._pipeline.forget()

    async def _on_reload(self, request: Trigger.Request, response: Trigger.Response) -> Any:
        """Load a model beside the one that runs, and swap them if that went well."""
        del request
        if self._pipeline is None or self._reloading:
            response.message = (
                'a model is being loaded already' if self._reloading else 'not configured'
            )
            return response
        self._reloading = True
        loaded: Future[Any] = Future()
        loaded.add_done_callback(self._wake)
        threading.Thread(target=self._reload, args=(loaded,), daemon=True).start()
        outcome: Any = await loaded  # images and diagnostics go on meanwhile
        self._reloading = False
        return self._exchange(outcome, response)

    # Model

    def _load_warm(self) -> PerceiverLike:
        values = self.settings.values
        perceiver = self._load(values)
        height, width = values.warm_up_size
        if height and width:
            perceiver.warm_up((height, width))
        info = perceiver.info
        self.get_logger().info(
            f'{info.model} ({info.fingerprint}) from {info.path} on {perceiver.device}'
        )
        return perceiver

    def _reload(self, loaded: Future[Any]) -> None:
        try:
            loaded.set_result(self._load_warm())
        except Exception as error:
            loaded.set_result(error)

    def _wake(self, loaded: Future[Any]) -> None:
        if self.executor is not None:
            self.executor.wake()

    def _exchange(
        self, loaded: PerceiverLike | Exception, response: Trigger.Response
    ) -> Trigger.Response:
        """Put a loaded model in place of the old one, which stays if loading has failed."""
        pipeline = self._pipeline
        if isinstance(loaded, Exception):
            response.message = f'{loaded}; the old model stays'
            self._reload_failure = f'reload failed: {response.message}'
            self.get_logger().error(self._reload_failure)
        elif pipeline is None:
            response.message = 'the node was cleaned up meanwhile'
        else:
            old, pipeline.perceiver = pipeline.perceiver, loaded
            self._reload_failure = ''
            self._publish_labels()
            response.success = True
            response.message = f'{old.info.fingerprint} -> {loaded.info.fingerprint}'
        return response

    def _publish_labels(self) -> None:
        """Publish what the class ids mean, if that or the threshold is new."""
        if self._outputs is None or self._pipeline is None:
            return
        labels = (self._pipeline.perceiver.info.class_names, self._pipeline.threshold)
        if labels != self._labels:
            self._labels = labels
            self._outputs.publish_labels(*labels)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(FusionDetrNode, args)
