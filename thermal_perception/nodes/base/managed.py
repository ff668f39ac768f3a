"""What every node of this package has: life cycle, autostart, parameters, diagnostics, enable."""

from __future__ import annotations

import traceback
from typing import Any, Generic, TYPE_CHECKING, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockChange, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool

from thermal_perception.errors import ThermalPerceptionError
from thermal_perception.nodes.base.diagnostics import Finding, Health, Level, to_status
from thermal_perception.nodes.base.logs import RepeatingLog
from thermal_perception.nodes.base.qos import overridable
from thermal_perception.nodes.parameters.managed import ManagedParameters
from thermal_perception.nodes.parameters.parameter_set import ParameterSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rclpy.clock import TimeJump

P = TypeVar('P', bound=ManagedParameters)


class ManagedNode(LifecycleNode, Generic[P]):
    """A life cycle node that reports how it is and whose transitions say why they fail.

    A subclass fills in `configure`, `activate`, `deactivate`, `cleanup` and `health`. The first
    two may raise a `ThermalPerceptionError`: the transition fails, its text is logged and stays in
    the diagnostics, and the node lives on in the state it was in.

    Attributes:
        state: life cycle state.
        reports: messages published on /diagnostics so far.
    """

    # rclpy destroys a node also when its constructor has failed.
    state = 'unconfigured'

    def __init__(self, name: str, declared: type[P], **options: Any) -> None:
        """Declare parameters and start diagnostics.

        Args:
            name: node name unless remapped.
            declared: dataclass of parameters.
            options: passed on to `rclpy.lifecycle.LifecycleNode`.
        """
        super().__init__(name, **options)
        self.settings: ParameterSet[P] = ParameterSet(self, declared)
        self.throttled = RepeatingLog(self.get_logger())
        self.enabled = True
        self.reports = 0
        self._failure = ''
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', 10, qos_overriding_options=overridable()
        )
        self._enable_service = self.create_service(SetBool, '~/enable', self._on_enable)
        # Simulated time may stand still or jump; diagnostics must go on.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(
            self.settings.values.diagnostics_period_s,
            self.publish_diagnostics,
            clock=self._steady,
        )
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=self._on_clock_jump,
        )
        self._starter = (
            self.create_timer(0.0, self._start, clock=self._steady)
            if self.settings.values.autostart
            else None
        )

    # For subclasses

    def configure(self) -> None:
        """Load models, create publishers."""

    def activate(self) -> None:
        """Start to work; subscribe last."""

    def deactivate(self) -> None:
        """Stop to work; must not raise, also when `activate` has failed half way."""

    def cleanup(self) -> None:
        """Give back what `configure` took; must not raise."""

    def on_time_jump(self) -> None:
        """React to a clock that was set back, or changed between real and simulated time."""

    def health(self) -> Sequence[Health]:
        """Return the statuses to publish."""
        return ()

    def hardware_id(self) -> str:
        """Return what the statuses are about, for example the model's fingerprint."""
        return ''

    # What rclpy calls

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `configure`."""
        if not self._attempt('configure', self.configure):
            self.cleanup()
            return TransitionCallbackReturn.FAILURE
        self.state = 'inactive'
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the publishers, then run `activate`."""
        super().on_activate(state)
        if not self._attempt('activate', self.activate):
            self.deactivate()
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        self.state = 'active'
        self.publish_diagnostics()
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `deactivate`, then close the publishers."""
        self.deactivate()
        self.state = 'inactive'
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `cleanup`."""
        self.cleanup()
        self.state = 'unconfigured'
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, in whatever state the node is."""
        self._stop()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """Stop, then give everything back to ROS."""
        self._stop()
        super().destroy_node()

    def publish_diagnostics(self) -> None:
        """Publish the statuses of the node."""
        if not self.context.ok():
            return
        name = self.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [to_status(name, self.hardware_id(), health) for health in self.health()]
        self._diagnostics.publish(message)
        self.reports += 1

    def state_findings(self) -> list[Finding]:
        """Return what is to be said of the life cycle: the last transition that failed."""
        return [Finding(Level.ERROR, self._failure)] if self._failure else []

    def _start(self) -> None:
        assert self._starter is not None
        self._starter.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _stop(self) -> None:
        if self.state == 'active':
            self.deactivate()
        if self.state in ('active', 'inactive'):
            self.cleanup()
        self.state = 'finalized'

    def _attempt(self, what: str, step: Callable[[], None]) -> bool:
        """Run a transition; rclpy would swallow its exception without a word."""
        try:
            step()
        except ThermalPerceptionError as error:
            self._failure = f'{what} failed: {error}'
        except Exception as error:
            self._failure = f'{what} failed: {type(error).__name__}: {error}'
            self.get_logger().error(traceback.format_exc())
        else:
            self._failure = ''
            return True
        self.get_logger().error(self._failure)
        self.publish_diagnostics()
        return False

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        self.enabled = request.data
        response.success = True
        response.message = 'enabled' if request.data else 'disabled: input is dropped'
        self.get_logger().info(response.message)
        return response

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if jump.clock_change == ClockChange.ROS_TIME_NO_CHANGE:
            back_s = -jump.delta.nanoseconds * 1e-9
            self.throttled.warning(
                'clock', f'the clock was set back by {back_s:.3f} s, starting over'
            )
        self.on_time_jump()
