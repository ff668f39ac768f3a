"""Node `fusion_detr`: thermal images in, vision_msgs/Detection2DArray out."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from vision_msgs.msg import Classification

from thermal_perception.encode import to_classification
from thermal_perception.nodes.base.publishers import heard
from thermal_perception.nodes.cameras.thermal_input import ThermalInput
from thermal_perception.nodes.parameters.fusion_detr import FusionDetrParameters
from thermal_perception.nodes.perception.outputs import DetectorOutputs
from thermal_perception.nodes.perception.perception_node import PerceptionNode
from thermal_perception.nodes.perception.several_cameras import run_cameras

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sensor_msgs.msg import CameraInfo

    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.cameras.moment import Moment
    from thermal_perception.types import FrameSet, Output, Perception


class FusionDetrOutputs(DetectorOutputs):
    """Boxes, overlay, and the scale weights of a model that has them."""

    def __init__(self, node: ManagedNode[FusionDetrParameters]) -> None:
        """Create the publishers on the node."""
        super().__init__(node)
        self._node = node
        self._fusion = self.add(Classification, '~/fusion_weights')

    def publish(
        self,
        frames: FrameSet,
        perception: Perception,
        wanted: Collection[Output],
        camera_info: CameraInfo | None,
    ) -> None:
        """Publish the result of one image; see `DetectorOutputs`."""
        super().publish(frames, perception, wanted, camera_info)
        weights = perception.fusion
        listened = self._node.settings.values.publish_fusion_weights and heard(self._fusion)
        if weights is not None and listened:
            self._fusion.publish(
                to_classification(weights, stamp_ns=frames.stamp_ns, frame_id=frames.frame_id)
            )


class FusionDetrNode(PerceptionNode[FusionDetrParameters]):
    """Detects in every thermal image."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters and services; see `PerceptionNode` for the options."""
        super().__init__('fusion_detr', FusionDetrParameters, **options)

    def make_inputs(
        self, put: Callable[[Moment], None], forget: Callable[[], None]
    ) -> ThermalInput[FusionDetrParameters]:
        """Prepare the thermal camera."""
        return ThermalInput(self, put, forget)

    def make_outputs(self) -> FusionDetrOutputs:
        """Create the publishers."""
        return FusionDetrOutputs(self)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node, or one for each camera; see `run_cameras` for `args`."""
    return run_cameras(FusionDetrNode, args)
