"""Node `e2e_mfd`: thermal and RGB images in, fused image and Detection2DArray out."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from sensor_msgs.msg import Image

from thermal_perception.encode import to_encoding
from thermal_perception.nodes.base.publishers import heard
from thermal_perception.nodes.base.qos import output_qos
from thermal_perception.nodes.parameters.e2e_mfd import E2eMfdParameters
from thermal_perception.nodes.perception.outputs import DetectorOutputs
from thermal_perception.nodes.perception.pair_node import PairNode
from thermal_perception.nodes.perception.several_cameras import run_cameras

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sensor_msgs.msg import CameraInfo

    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.types import FrameSet, Output, Perception


class E2eMfdOutputs(DetectorOutputs):
    """Boxes, fused image, and an overlay that is drawn on the fused image where it is made."""

    def __init__(self, node: ManagedNode[E2eMfdParameters]) -> None:
        """Create the publishers on the node."""
        super().__init__(node)
        self._node = node
        self._fused = self.add(Image, '~/fused_image', output_qos(2))

    @property
    def fused_wanted(self) -> bool:
        """True while somebody subscribes to the fused image."""
        return self._node.settings.values.publish_fused_image and heard(self._fused)

    @property
    def camera_info_wanted(self) -> bool:
        """True while somebody subscribes to a picture or its camera_info."""
        return self.fused_wanted or super().camera_info_wanted

    @property
    def wanted(self) -> frozenset[Output]:
        """What somebody listens to: boxes are left out where only the fused image is."""
        if not self.fused_wanted:
            return frozenset({'detections'})
        colour = self._node.settings.values.fused_encoding == 'bgr8'
        fused: Output = 'fused_image' if colour else 'fused_grey'
        if self.detections_heard or self.overlay_wanted:
            return frozenset({'detections', fused})
        return frozenset({fused})

    def publish(
        self,
        frames: FrameSet,
        perception: Perception,
        wanted: Collection[Output],
        camera_info: CameraInfo | None,
    ) -> None:
        """Publish the result of one moment; see `DetectorOutputs`."""
        super().publish(frames, perception, wanted, camera_info)
        if perception.fused is not None:
            encoding = 'bgr8' if 'fused_image' in wanted else 'mono8'
            picture = to_encoding(perception.fused.image, encoding)
            self.publish_picture(self._fused, picture, frames.leader)


class E2eMfdNode(PairNode[E2eMfdParameters]):
    """Fuses both images of every moment, and detects in them."""

    output: Output = 'fused_image'

    def __init__(self, **options: Any) -> None:
        """Declare parameters and services; see `PairNode` for the options."""
        super().__init__('e2e_mfd', E2eMfdParameters, **options)

    def make_outputs(self) -> E2eMfdOutputs:
        """Create the publishers."""
        return E2eMfdOutputs(self)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node, or one for each camera; see `run_cameras` for `args`."""
    return run_cameras(E2eMfdNode, args)
