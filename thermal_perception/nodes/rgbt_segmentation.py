"""Node `rgbt_segmentation`: thermal and RGB images in, the class of every thermal pixel out."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from sensor_msgs.msg import Image

from thermal_perception.encode import LabelPainter, to_palette
from thermal_perception.nodes.base.publishers import heard
from thermal_perception.nodes.base.qos import latched_qos, output_qos
from thermal_perception.nodes.parameters.rgbt_segmentation import RgbtSegmentationParameters
from thermal_perception.nodes.perception.outputs import DetectorOutputs
from thermal_perception.nodes.perception.pair_node import PairNode
from thermal_perception.nodes.perception.perceivers import load_perceiver
from thermal_perception.nodes.perception.several_cameras import run_cameras

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sensor_msgs.msg import CameraInfo

    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.perception.perceivers import PerceiverLike
    from thermal_perception.types import FrameSet, Output, Perception


class RgbtSegmentationOutputs(DetectorOutputs):
    """Label image, what its numbers mean, the image painted with it, and boxes round regions.

    vision_msgs/LabelInfo has ids and names, and no colours: those are a picture of one row,
    `~/palette`, whose column is the id.
    """

    def __init__(self, node: ManagedNode[RgbtSegmentationParameters]) -> None:
        """Create the publishers on the node."""
        super().__init__(node)
        self._node = node
        self._segmentation = self.add(Image, '~/segmentation', output_qos(2))
        self._palette = self.add(Image, '~/palette', latched_qos())
        self._painter = LabelPainter(())

    @property
    def detections_wanted(self) -> bool:
        """True while somebody subscribes to the boxes."""
        return self._node.settings.values.publish_detections and self.detections_heard

    @property
    def camera_info_wanted(self) -> bool:
        """True while somebody subscribes to a picture or its camera_info."""
        return heard(self._segmentation) or super().camera_info_wanted

    @property
    def wanted(self) -> frozenset[Output]:
        """What somebody listens to; nothing is labelled for nobody."""
        outputs: set[Output] = set()
        if heard(self._segmentation) or self.overlay_wanted:
            outputs.add('segmentation')
        if self.detections_wanted:
            outputs.add('detections')
        return frozenset(outputs)

    def publish(
        self,
        frames: FrameSet,
        perception: Perception,
        wanted: Collection[Output],
        camera_info: CameraInfo | None,
    ) -> None:
        """Publish the result of one moment; see `DetectorOutputs`."""
        super().publish(frames, perception, wanted, camera_info)
        mask = perception.segmentation
        if mask is not None and heard(self._segmentation):
            self.publish_picture(self._segmentation, mask.labels, frames.leader)

    def draw(self, frames: FrameSet, perception: Perception) -> NDArray[np.uint8] | None:
        """Paint the classes over the leading image; see `DetectorOutputs`."""
        mask = perception.segmentation
        if mask is None:
            return None
        if mask.class_names != self._painter.class_names:
            self._painter = LabelPainter(mask.class_names)
        return self._painter.paint(frames.leader.image, mask)

    def publish_labels(self, class_names: Sequence[str], threshold: float) -> None:
        """Tell what the ids mean and their colours; every pixel has a class, whatever its score.

        The score threshold of the node is about boxes alone.
        """
        super().publish_labels(class_names, 0.0)
        now_ns = self._node.get_clock().now().nanoseconds
        self._palette.publish(to_palette(class_names, stamp_ns=now_ns))


class RgbtSegmentationNode(PairNode[RgbtSegmentationParameters]):
    """Labels every pixel of every thermal image."""

    output: Output = 'segmentation'

    def __init__(self, **options: Any) -> None:
        """Declare parameters and services; see `PairNode` for the options."""
        options = {'load': load_segmenter, **options}
        super().__init__('rgbt_segmentation', RgbtSegmentationParameters, **options)

    def make_outputs(self) -> RgbtSegmentationOutputs:
        """Create the publishers."""
        return RgbtSegmentationOutputs(self)


def load_segmenter(parameters: RgbtSegmentationParameters) -> PerceiverLike:
    """Load the model that the parameters name; see `load_perceiver`."""
    return load_perceiver(parameters, min_area_px=parameters.min_area_px)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node, or one for each camera; see `run_cameras` for `args`."""
    return run_cameras(RgbtSegmentationNode, args, load=load_segmenter)
