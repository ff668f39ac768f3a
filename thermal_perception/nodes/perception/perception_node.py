"""What every node with a model has: life cycle, reload, labels, diagnostics, camera_info."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TYPE_CHECKING, TypeVar

from thermal_perception.nodes.base.managed import ManagedNode
from thermal_perception.nodes.base.reload import ModelHooks, ModelReload
from thermal_perception.nodes.base.worker import call_in_thread
from thermal_perception.nodes.parameters.perception import PerceptionParameters
from thermal_perception.nodes.perception.outputs import DetectorOutputs
from thermal_perception.nodes.perception.perceivers import load_perceiver
from thermal_perception.nodes.perception.perception_health import perception_health
from thermal_perception.nodes.perception.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermal_perception.nodes.base.diagnostics import Health
    from thermal_perception.nodes.cameras.moment import Moment
    from thermal_perception.nodes.cameras.thermal_input import ThermalInput
    from thermal_perception.nodes.perception.perceivers import PerceiverLike

P = TypeVar('P', bound=PerceptionParameters)

# So long may a picture wait for its camera_info.
_FOLLOW_PERIOD_S = 0.5


class PerceptionNode(ManagedNode[P], ABC):
    """Perceives moment after moment, one inference at a time, the newest first.

    A subclass says what comes in (`make_inputs`) and what goes out (`make_outputs`).

    Attributes:
        inputs: the cameras; None before `configure`.
    """

    def __init__(
        self,
        name: str,
        declared: type[P],
        *,
        load: Callable[[P], PerceiverLike] = load_perceiver,
        **options: Any,
    ) -> None:
        """Declare parameters and services; nothing is loaded before `configure`.

        Args:
            name: node name unless remapped.
            declared: dataclass of parameters.
            load: makes the model from the parameters.
            options: passed on to `rclpy.lifecycle.LifecycleNode`.
        """
        super().__init__(name, declared, **options)
        self.inputs: ThermalInput[P] | None = None
        self._load = load
        self._pipeline: Pipeline | None = None
        self._outputs: DetectorOutputs | None = None
        self._labels: tuple[tuple[str, ...], float] | None = None
        self._reload = ModelReload(
            self, ModelHooks(lambda: self._pipeline is not None, self._load_warm, self._exchange)
        )
        self.settings.on_change(lambda values: self._publish_labels())
        # Here and not with each image: those come in another thread.
        self._follower = self.create_timer(
            _FOLLOW_PERIOD_S, self._follow_camera_info, clock=self._steady
        )

    # For subclasses

    @abstractmethod
    def make_inputs(
        self, put: Callable[[Moment], None], forget: Callable[[], None]
    ) -> ThermalInput[P]:
        """Prepare the cameras; see `ThermalInput` for the callbacks.

        Raises:
            ThermalPerceptionError: if the parameters do not allow it.
        """

    def make_outputs(self) -> DetectorOutputs:
        """Create the publishers."""
        return DetectorOutputs(self)

    def check_model(self, perceiver: PerceiverLike) -> None:
        """Refuse a model that this node cannot use.

        Raises:
            CheckpointError: if it is of another kind.
        """

    # Life cycle

    def configure(self) -> None:
        """Load the model, create the publishers."""
        inputs = self.make_inputs(self._put, self._forget_stream)
        perceiver = call_in_thread(self._load_warm)
        self._outputs = self.make_outputs()
        self._pipeline = Pipeline(
            self, self._outputs, perceiver, read=inputs.read, camera_info=inputs.camera_info
        )
        self.inputs = inputs

    def activate(self) -> None:
        """Set the pipeline to work, then subscribe."""
        assert self._pipeline is not None
        assert self.inputs is not None
        self._labels = None
        self._publish_labels()
        self._pipeline.start()
        self.inputs.open()

    def deactivate(self) -> None:
        """Unsubscribe, then let the pipeline finish the moment in hand."""
        if self.inputs is not None:
            self.inputs.close()
        if self._pipeline is not None:
            self._pipeline.stop()

    def cleanup(self) -> None:
        """Give back the model and the publishers."""
        self.inputs = self._pipeline = None
        self._reload.forget()
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None

    def on_time_jump(self) -> None:
        """Start over."""
        if self.inputs is not None:
            self.inputs.reset()
        self._forget_stream()

    # Diagnostics

    def hardware_id(self) -> str:
        """Return the fingerprint of the model."""
        return self._pipeline.perceiver.info.fingerprint if self._pipeline is not None else ''

    def health(self) -> Sequence[Health]:
        """Return how the cameras and the detector are."""
        state = self.state if self.enabled else 'disabled by ~/enable'
        findings = [*self.state_findings(), *self._reload.findings]
        perception = perception_health(
            self._pipeline,
            state=state,
            complain_of_replaced=self.settings.values.queue == 'all',
            findings=findings,
        )
        if self.inputs is None:
            return [perception]
        return [*self.inputs.health(summary=state, active=self.state == 'active'), perception]

    # Callbacks; they return at once

    def _put(self, moment: Moment) -> None:
        if self._pipeline is not None:
            self._pipeline.put(moment)

    def _forget_stream(self) -> None:
        if self._pipeline is not None:
            self._pipeline.forget()

    def _follow_camera_info(self) -> None:
        """Listen to camera_info while a picture beside it is listened to."""
        if self.state == 'active' and self.inputs is not None and self._outputs is not None:
            self.inputs.follow_camera_info(self._outputs.camera_info_wanted)

    # Model

    def _load_warm(self) -> PerceiverLike:
        values = self.settings.values
        perceiver = self._load(values)
        self.check_model(perceiver)
        height, width = values.warm_up_size
        if height and width:
            perceiver.warm_up((height, width))
        info, where = perceiver.info, f'{perceiver.device}, {perceiver.backend}'
        self.get_logger().info(
            '; '.join(
                (
                    f'{info.model} ({info.fingerprint}) from {info.path} on {where}',
                    *perceiver.backend_notes,
                )
            )
        )
        return perceiver

    def _exchange(self, loaded: PerceiverLike) -> str:
        assert self._pipeline is not None
        old, self._pipeline.perceiver = self._pipeline.perceiver, loaded
        self._publish_labels()
        return f'{old.info.fingerprint} -> {loaded.info.fingerprint}'

    def _publish_labels(self) -> None:
        """Publish what the class ids mean, if that or the threshold is new."""
        if self._outputs is None or self._pipeline is None:
            return
        labels = (self._pipeline.perceiver.info.class_names, self._pipeline.threshold)
        if labels != self._labels:
            self._labels = labels
            self._outputs.publish_labels(*labels)
