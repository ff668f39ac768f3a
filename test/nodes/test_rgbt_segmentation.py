"""Node rgbt_segmentation over DDS: two cameras in, label image, overlay and boxes out."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray, LabelInfo

from thermal_perception.class_sets import MFNET, PST900
from thermal_perception.encode import LabelPainter
from thermal_perception.types import SegmentationMask

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
S = 1_000_000_000


@pytest.fixture
def rig(pair_rig):
    """The node, not started yet."""
    return pair_rig('rgbt_segmentation')


def pixels(message):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)


def rectangle(size=(48, 64)):
    """Return the labels of the bright rectangle that the thermal images show."""
    labels = np.zeros(size, np.uint8)
    labels[10:30, 20:40] = 1
    return labels


# Label image


def test_label_image_has_stamp_frame_and_size_of_the_thermal_image(rig):
    rig.start()
    infos = rig.listen(CameraInfo, 'camera_info')
    rig.graph.publisher(CameraInfo, 'thermal/camera_info').publish(CameraInfo(height=48, width=64))
    rig.graph.until(lambda: rig.node.inputs.thermal_info.latest is not None)
    thermal, rgb = rig.graph.image(), rig.graph.colour()
    rgb.header.stamp = thermal.header.stamp
    rig.thermal.publish(thermal)
    rig.rgb.publish(rgb)
    rig.graph.until(lambda: rig.answers and infos)
    (answer,) = rig.answers
    assert answer.header == infos[0].header == thermal.header
    assert (answer.encoding, answer.step) == ('mono8', 64)
    assert_array_equal(pixels(answer)[..., 0], rectangle())
    (frames,) = rig.perceiver.sets
    assert_array_equal(frames.rgb.image, pixels(rgb))


def test_rgb_alone_is_labelled_in_its_own_pixels_and_frame(rig):
    rig.start(thermal=False, allow_rgb_only=True, modality_timeout_s=0.2)
    overlays = rig.listen(Image, 'overlay')

    def labelled():
        rig.rgb.publish(rig.graph.colour(size=(60, 80)))
        rig.graph.spin(0.02)
        return rig.answers and overlays

    rig.graph.until(labelled)
    for message in (rig.answers[0], overlays[0]):
        assert message.header.frame_id == 'rgb_optical'
        assert (message.height, message.width) == (60, 80)


def test_thermal_images_of_no_use_are_counted_and_give_no_labels(rig):
    rig.start(queue='all', jump_back_s=10.0)
    rig.graph.watch_diagnostics()
    first = rig.send()
    bad, short = (rig.graph.image(first + n) for n in (1, 2))
    bad.encoding = 'bayer_rggb8'
    short.data = short.data[:100]

    def pair(message, stamp_ns):
        rig.thermal.publish(message)
        rig.rgb.publish(rig.graph.colour(stamp_ns))

    for cause, send in {
        'unsupported_encoding': lambda: pair(bad, first + 1),
        'truncated_data': lambda: pair(short, first + 2),
        'zero_stamp': lambda: rig.send(0, rgb=False),
        'future': lambda: rig.send(first + 3600 * S, rgb=False),
        'duplicate': lambda: rig.send(first + 2, rgb=False),
        'out_of_order': lambda: rig.send(first - S, rgb=False),
    }.items():
        send()
        rig.graph.until(lambda c=cause: rig.graph.value('thermal input', f'dropped {c}') == '1')
    last = rig.send()
    rig.answer(last)
    assert [frames.stamp_ns for frames in rig.perceiver.sets] == [first, last]


# Classes


def test_label_info_and_palette_reach_a_late_subscriber(rig):
    rig.perceiver.info = type(rig.perceiver.info)(class_names=MFNET.names)
    rig.start()
    infos = rig.listen(LabelInfo, 'label_info', LATCHED)
    palettes = rig.listen(Image, 'palette', LATCHED)
    rig.graph.until(lambda: infos and palettes)
    assert [(c.class_id, c.class_name) for c in infos[0].class_map] == list(
        enumerate(MFNET.names)
    )
    assert infos[0].threshold == 0.0
    assert [tuple(colour) for colour in pixels(palettes[0])[0].tolist()] == list(MFNET.colours)


def test_model_of_other_classes_brings_its_names_and_colours(rig):
    rig.start()
    infos = rig.listen(LabelInfo, 'label_info', LATCHED)
    palettes = rig.listen(Image, 'palette', LATCHED)
    overlays = rig.listen(Image, 'overlay')
    rig.answer(rig.send())
    rig.graph.until(lambda: infos and palettes and overlays)
    rig.graph.perceiver = type(rig.perceiver)('beef', PST900.names)
    service = '/rgbt_segmentation/reload_model'
    assert rig.graph.call(Trigger, service, Trigger.Request()).success
    rig.graph.until(lambda: len(infos) == len(palettes) == 2)
    assert [c.class_name for c in infos[1].class_map] == list(PST900.names)
    assert pixels(palettes[1]).shape == (1, 5, 3)
    rig.send(dtype=np.uint8)
    rig.graph.until(lambda: len(overlays) == 2)
    hidden = pixels(overlays[1])[20, 30].astype(int)  # half of the image, half pure red
    assert hidden[2] - hidden[0] in (127, 128)


# Overlay


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_overlay_is_the_thermal_image_painted_with_the_labels(rig, dtype):
    rig.start()
    overlays = rig.listen(Image, 'overlay')
    frames = rig.answer(rig.send(dtype=dtype))
    rig.graph.until(lambda: overlays)
    assert overlays[0].encoding == 'bgr8'
    assert overlays[0].header == rig.answers[0].header
    names = rig.perceiver.info.class_names
    mask = SegmentationMask(rectangle(), names, frames.stamp_ns, frames.frame_id)
    assert_array_equal(pixels(overlays[0]), LabelPainter(names).paint(frames.thermal.image, mask))


# What is asked for


def test_only_what_somebody_listens_to_is_asked_of_the_model(rig):
    rig.start()

    def asked(*, wanted):
        """Send images until the model was asked for this."""
        def seen():
            rig.send()
            rig.graph.spin(0.02)
            return rig.perceiver.wanted and rig.perceiver.wanted[-1] == wanted

        rig.graph.until(seen, lambda: f'{wanted}, found {rig.perceiver.wanted[-1:]}')

    asked(wanted={'segmentation'})
    boxes = rig.listen(Detection2DArray, 'detections')
    asked(wanted={'segmentation', 'detections'})
    rig.deafen('segmentation')
    asked(wanted={'detections'})
    assert boxes[-1].detections[0].results[0].hypothesis.class_id == 'car'
    rig.set_parameter('publish_detections', False)
    asked(wanted=set())
    overlays = rig.listen(Image, 'overlay')
    asked(wanted={'segmentation'})
    rig.graph.until(lambda: overlays)
    rig.set_parameter('publish_overlay', False)
    asked(wanted=set())
    counts = len(boxes), len(overlays)
    asked(wanted=set())
    assert (len(boxes), len(overlays)) == counts


def test_overlay_that_was_not_foreseen_is_left_out(rig):
    rig.start()
    rig.deafen('segmentation')
    rig.perceiver.gate.clear()
    rig.send()
    rig.graph.until(lambda: rig.perceiver.sets)
    overlays = rig.listen(Image, 'overlay')  # the model is at work already
    rig.graph.until(lambda: rig.node._outputs.overlay_wanted)
    rig.perceiver.gate.set()
    rig.graph.until(lambda: rig.node._pipeline.events.total('processed') == 1)
    assert rig.node._pipeline.events.total('failed internal') == 0
    rig.send()
    rig.graph.until(lambda: overlays)
    assert rig.perceiver.wanted == [set(), {'segmentation'}]
