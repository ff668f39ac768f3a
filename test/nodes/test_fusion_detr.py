"""Node fusion_detr over DDS: what goes in, what comes out, who may steer it."""

from __future__ import annotations

import threading
import time

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

import cv2
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo

from thermal_perception.encode import draw_overlay, to_compressed_image
from thermal_perception.errors import CheckpointError
from thermal_perception.types import Detections

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
RELIABLE_INPUT = 'qos_overrides./thermal/image_raw.subscription.reliability'


def set_parameter(graph, name, value):
    request = SetParameters.Request(
        parameters=[Parameter(name, value=value).to_parameter_msg()]
    )
    return graph.call(SetParameters, '/fusion_detr/set_parameters', request).results[0]


def found(frame, box):
    return Detections(
        np.array([box], np.float32), np.array([0.75], np.float32), np.array([1]),
        ('person', 'car'), frame.stamp_ns, frame.frame_id, frame.size,
    )


def class_ids(answer):
    return [d.results[0].hypothesis.class_id for d in answer.detections]


# Detections


def test_detections_carry_box_class_stamp_and_frame_of_their_image(running):
    message = running.image(box=(20, 10, 40, 30), frame_id='boson')
    running.images.publish(message)
    (answer,) = running.until(lambda: running.detections)
    assert answer.header == message.header
    (detection,) = answer.detections  # the faint one is below the model's threshold of 0.5
    assert detection.header == message.header
    assert detection.results[0].hypothesis.class_id == 'car'
    assert detection.results[0].hypothesis.score == 0.75
    centre = detection.bbox.center.position
    assert (centre.x, centre.y, detection.bbox.size_x, detection.bbox.size_y) == (30, 20, 20, 20)


def test_image_reaches_the_model_with_every_bit_and_its_units(graph):
    graph.start(thermal_units='temperature_linear_10mk')
    images = graph.publisher()
    message = graph.image(dtype=np.uint16, level=29000)
    images.publish(message)
    (frame,) = graph.until(lambda: graph.perceiver.frames)
    sent = np.frombuffer(message.data, np.uint16).reshape(48, 64)
    assert_array_equal(frame.image, sent)
    assert (frame.unit, frame.scale, frame.valid_bits) == ('kelvin', 0.01, 16)
    assert frame.frame_id == 'thermal_optical'


def test_custom_units_come_from_their_own_parameters(graph):
    graph.start(
        thermal_units='custom', thermal_unit='celsius', thermal_scale=0.04,
        thermal_offset=-273.15, thermal_valid_bits=14,
    )
    graph.publisher().publish(graph.image())
    (frame,) = graph.until(lambda: graph.perceiver.frames)
    assert (frame.unit, frame.scale, frame.offset, frame.valid_bits) == (
        'celsius', 0.04, -273.15, 14
    )


def test_frame_without_detections_is_answered_with_an_empty_array(running):
    message = running.image(level=0)
    message.data = type(message.data)('B', bytes(len(message.data)))
    running.images.publish(message)
    (answer,) = running.until(lambda: running.detections)
    assert answer.detections == []
    assert answer.header == message.header


def test_threshold_zero_publishes_everything_in_order_of_score(running):
    assert set_parameter(running, 'score_threshold', 0.0).successful
    running.images.publish(running.image())
    (answer,) = running.until(lambda: running.detections)
    assert class_ids(answer) == ['car', 'person']


def test_warm_up_runs_before_the_first_image(graph):
    graph.start(warm_up_size=[96, 128])
    assert graph.perceiver.warmed == [(96, 128)]


def test_warm_up_can_be_switched_off(graph):
    graph.start(warm_up_size=[0, 0])
    assert graph.perceiver.warmed == []


# Queue


def test_newest_image_is_taken_when_the_model_is_slow(running):
    running.perceiver.gate.clear()
    stamps = [running.now_ns() + i for i in range(6)]
    running.images.publish(running.image(stamps[0]))
    running.until(lambda: running.perceiver.frames)
    for stamp in stamps[1:]:
        running.images.publish(running.image(stamp))
    running.watch_diagnostics()
    running.until(lambda: running.value('perception', 'replaced') == '4')
    running.perceiver.gate.set()
    running.until(lambda: len(running.detections) == 2)
    assert [frame.stamp_ns for frame in running.perceiver.frames] == [stamps[0], stamps[5]]
    status = running.until(
        lambda: (s := running.status('perception')) and s[2]['processed'] == '2' and s
    )
    assert status[0] == 'OK'
    assert running.value('thermal input', 'received') == '6'  # 2 answered, 4 replaced


def test_queue_all_answers_every_image_once_and_in_order(graph):
    depth = RELIABLE_INPUT.replace('reliability', 'depth')
    graph.start(**{'queue': 'all', RELIABLE_INPUT: 'reliable', depth: 50})
    detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    images = graph.publisher(qos=QoSProfile(depth=50))
    graph.perceiver.gate.clear()
    sent = [graph.image(graph.now_ns() + i) for i in range(20)]
    for message in sent:
        images.publish(message)
        graph.spin(0.005)
    graph.perceiver.gate.set()
    graph.until(lambda: len(detections) >= 20)
    assert [a.header for a in detections] == [m.header for m in sent]


def test_queue_all_that_overflows_is_reported(graph):
    graph.start(queue='all', queue_capacity=2)
    images = graph.publisher()
    graph.watch_diagnostics()
    graph.perceiver.gate.clear()
    images.publish(graph.image())
    graph.until(lambda: graph.perceiver.frames)
    for _ in range(4):
        images.publish(graph.image())
        graph.spin(0.02)
    graph.until_status('perception', 'WARN', 'queue full: 2 images')
    graph.perceiver.gate.set()


# Other outputs


def test_label_info_reaches_a_late_subscriber_with_threshold(running):
    received = running.listen(LabelInfo, '/fusion_detr/label_info', LATCHED)
    (labels,) = running.until(lambda: received)
    assert [(c.class_id, c.class_name) for c in labels.class_map] == [(0, 'person'), (1, 'car')]
    assert labels.threshold == 0.5


def test_label_info_is_published_again_when_the_threshold_changes(running):
    labels = running.listen(LabelInfo, '/fusion_detr/label_info', LATCHED)
    running.until(lambda: labels)
    set_parameter(running, 'score_threshold', 0.75)
    running.until(lambda: len(labels) == 2)
    assert labels[1].threshold == 0.75
    set_parameter(running, 'publish_overlay', False)
    running.spin(0.1)
    assert len(labels) == 2


def follow_camera_info(graph, info):
    """Send images until the node listens to camera_info, then the info until it has come."""
    publisher = graph.driver.create_publisher(CameraInfo, 'thermal/camera_info', 5)

    def arrived():
        graph.images.publish(graph.image())
        publisher.publish(info)
        graph.spin(0.02)
        return graph.node.inputs.thermal_info.latest is not None

    graph.until(arrived)


def test_overlay_is_the_image_with_boxes_and_its_camera_info(running):
    overlays = running.listen(Image, '/fusion_detr/overlay')
    infos = running.listen(CameraInfo, '/fusion_detr/camera_info')
    sent_info = CameraInfo(height=48, width=64, distortion_model='plumb_bob')
    sent_info.k[0] = 500.0
    follow_camera_info(running, sent_info)
    message = running.image()
    running.images.publish(message)
    running.until(
        lambda: all(out and out[-1].header == message.header for out in (overlays, infos))
    )
    overlay, info = overlays[-1], infos[-1]
    assert (overlay.encoding, overlay.height, overlay.width) == ('bgr8', 48, 64)
    frame = running.perceiver.frames[-1]
    expected = draw_overlay(frame.image, found(frame, (20, 10, 40, 30)))
    assert_array_equal(np.frombuffer(overlay.data, np.uint8).reshape(48, 64, 3), expected)
    assert info.k[0] == 500.0
    assert info.distortion_model == 'plumb_bob'


def test_camera_info_that_changes_in_mid_stream_is_followed(running):
    infos = running.listen(CameraInfo, '/fusion_detr/camera_info')
    running.listen(Image, '/fusion_detr/overlay')
    for focal_px in (500.0, 700.0):
        sent_info = CameraInfo(height=48, width=64)
        sent_info.k[0] = focal_px
        follow_camera_info(running, sent_info)
        running.until(lambda f=focal_px: running.node.inputs.thermal_info.latest.k[0] == f)
        message = running.image()
        running.images.publish(message)
        running.until(lambda m=message: infos and infos[-1].header == m.header)
        assert infos[-1].k[0] == focal_px


def test_camera_info_of_another_size_is_not_published(running):
    overlays = running.listen(Image, '/fusion_detr/overlay')
    infos = running.listen(CameraInfo, '/fusion_detr/camera_info')
    follow_camera_info(running, CameraInfo(height=480, width=640))
    overlays.clear()
    running.images.publish(running.image())
    running.until(lambda: overlays)
    running.spin(0.1)
    assert infos == []


def test_camera_info_is_only_listened_to_while_the_overlay_is(running):
    publisher = running.driver.create_publisher(CameraInfo, 'thermal/camera_info', 5)
    running.images.publish(running.image())
    running.until(lambda: running.detections)
    assert publisher.get_subscription_count() == 0
    overlay = running.driver.create_subscription(Image, '/fusion_detr/overlay', print, 5)

    def heard(count):
        running.images.publish(running.image())
        running.spin(0.02)
        return publisher.get_subscription_count() == count

    running.until(lambda: heard(1))
    running.driver.destroy_subscription(overlay)
    running.until(lambda: heard(0))


def test_overlay_is_not_drawn_without_subscribers(running, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        'thermal_perception.nodes.perception.outputs.draw_overlay', lambda *a: drawn.append(a)
    )
    running.images.publish(running.image())
    running.until(lambda: running.detections)
    running.spin(0.1)
    assert drawn == []


def test_overlay_stops_when_it_is_switched_off(running):
    overlays = running.listen(Image, '/fusion_detr/overlay')
    assert set_parameter(running, 'publish_overlay', False).successful
    running.images.publish(running.image())
    running.until(lambda: running.detections)
    running.spin(0.1)
    assert overlays == []


def test_fusion_weights_and_stage_times_carry_the_header_of_their_image(running):
    weights = running.listen(Classification, '/fusion_detr/fusion_weights')
    times = running.listen(Classification, '/fusion_detr/stage_times')
    message = running.image()
    running.images.publish(message)
    running.until(lambda: weights and times)
    assert weights[0].header == times[0].header == message.header
    values = {h.class_id: h.score for h in weights[0].results}
    assert (values['alpha_hat_8'], values['alpha_hat_16'], values['beta_norm']) == (
        0.25, 0.75, 2.5
    )
    stages = {h.class_id: h.score for h in times[0].results}
    assert set(stages) == {
        'queue', 'decode', 'preprocess', 'model', 'postprocess', 'publish', 'total', 'overhead',
        'age',
    }
    assert stages['model'] == 2.0  # milliseconds, as the fake says
    assert stages['overhead'] == pytest.approx(stages['total'] - 2.0)
    assert stages['age'] >= stages['total'] > 0


# Compressed


def png(graph, **options):
    message = graph.image(**options)
    image = np.frombuffer(message.data, np.uint16).reshape(48, 64)
    _, data = cv2.imencode('.png', image)
    stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    return image, to_compressed_image(
        data.ravel(), '16UC1; png compressed ', stamp_ns=stamp_ns, frame_id='boson'
    )


def test_compressed_16_bit_image_comes_from_base_topic_plus_suffix(graph):
    graph.start(image_transport='compressed')
    detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    images = graph.publisher(CompressedImage, '/thermal/image_raw/compressed')
    image, message = png(graph)
    images.publish(message)
    (answer,) = graph.until(lambda: detections)
    assert answer.header == message.header
    assert_array_equal(graph.perceiver.frames[0].image, image)
    assert class_ids(answer) == ['car']


# Control


def test_disabled_node_drops_images_until_it_is_enabled(running):
    running.watch_diagnostics()
    response = running.call(SetBool, '/fusion_detr/enable', SetBool.Request(data=False))
    assert response.success
    running.images.publish(running.image())
    running.until(
        lambda: running.value('thermal input', 'dropped disabled') == '1'
    )
    running.until_status('perception', 'OK', 'disabled by ~/enable')
    assert running.call(SetBool, '/fusion_detr/enable', SetBool.Request(data=True)).success
    message = running.image()
    running.images.publish(message)
    (answer,) = running.until(lambda: running.detections)
    assert answer.header == message.header


def test_reload_swaps_the_model_and_its_labels(running):
    labels = running.listen(LabelInfo, '/fusion_detr/label_info', LATCHED)
    running.until(lambda: labels)
    running.perceiver = type(running.perceiver)('beef', ('person', 'truck'))
    response = running.call(Trigger, '/fusion_detr/reload_model', Trigger.Request())
    assert (response.success, response.message) == (True, 'cafe -> beef')
    running.images.publish(running.image())
    (answer,) = running.until(lambda: running.detections)
    assert class_ids(answer) == ['truck']
    running.until(lambda: len(labels) == 2)
    assert labels[1].class_map[1].class_name == 'truck'


def test_images_are_answered_while_a_model_is_being_loaded(graph):
    models = [graph.perceiver, type(graph.perceiver)('beef')]
    models[1].gate.clear()

    def load(values):
        model = models.pop(0)
        model.gate.wait(10)
        return model

    slow = models[1]
    graph.start(load=load)
    detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    images = graph.publisher()
    client = graph.driver.create_client(Trigger, '/fusion_detr/reload_model')
    graph.until(client.service_is_ready)
    first = client.call_async(Trigger.Request())
    graph.spin(0.1)
    images.publish(graph.image())
    graph.until(lambda: detections)
    second = client.call_async(Trigger.Request())
    graph.until(second.done)
    assert not second.result().success
    assert 'being loaded already' in second.result().message
    slow.gate.set()
    graph.until(first.done)
    assert first.result().message == 'cafe -> beef'


def test_old_model_stays_when_the_new_one_is_bad(graph):
    outcomes = [graph.perceiver, CheckpointError('new.safetensors: truncated')]

    def load(values):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    graph.start(load=load)
    detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    images = graph.publisher()
    graph.watch_diagnostics()
    response = graph.call(Trigger, '/fusion_detr/reload_model', Trigger.Request())
    assert not response.success
    assert response.message == 'new.safetensors: truncated; the old model stays'
    graph.until_status('perception', 'ERROR', 'reload failed: new.safetensors: truncated')
    images.publish(graph.image())
    graph.until(lambda: detections)
    assert class_ids(detections[0]) == ['car']


def test_reload_takes_the_checkpoint_set_meanwhile(graph):
    asked = []

    def load(values):
        asked.append(values.checkpoint)
        return graph.perceiver

    graph.start(load=load)
    assert set_parameter(graph, 'checkpoint', '/models/new.safetensors').successful
    assert graph.call(Trigger, '/fusion_detr/reload_model', Trigger.Request()).success
    assert asked == ['', '/models/new.safetensors']


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        pytest.param('queue', 'all', 'read-only', id='read-only'),
        pytest.param('score_threshold', 1.5, 'out of range|outside of the range', id='range'),
        pytest.param('score_threshold', 'high', 'type', id='type'),
    ],
)
def test_parameter_change_that_is_not_possible_is_refused(graph, name, value, reason):
    node = graph.start()
    before = node.settings.values
    result = set_parameter(graph, name, value)
    assert not result.successful
    assert any(word in result.reason for word in reason.split('|')), result.reason
    assert node.settings.values == before


def test_parameters_describe_themselves(graph):
    graph.start()
    request = DescribeParameters.Request(names=['score_threshold', 'image_transport', 'queue'])
    response = graph.call(DescribeParameters, '/fusion_detr/describe_parameters', request)
    threshold, transport, queue = response.descriptors
    assert 'lower score' in threshold.description
    assert not threshold.read_only
    assert threshold.floating_point_range[0].to_value == 1.0
    assert transport.additional_constraints == 'one of: raw, compressed; read-only after start'
    assert queue.read_only


# Life cycle


def change(graph, transition):
    request = ChangeState.Request()
    request.transition.label = transition
    return graph.call(ChangeState, '/fusion_detr/change_state', request).success


def state(graph):
    return graph.call(GetState, '/fusion_detr/get_state', GetState.Request()).current_state.label


def test_without_autostart_a_manager_takes_the_node_through_its_states(graph):
    graph.start(active=False, autostart=False)
    detections = graph.listen(Detection2DArray, '/fusion_detr/detections', wait=False)
    graph.spin(0.1)
    assert state(graph) == 'unconfigured'
    assert graph.perceiver.warmed == []
    assert change(graph, 'configure')
    assert state(graph) == 'inactive'
    assert graph.driver.count_subscribers('/thermal/image_raw') == 0
    assert change(graph, 'activate')
    assert state(graph) == 'active'
    images = graph.publisher()
    images.publish(graph.image())
    graph.until(lambda: detections)


def test_deactivated_node_is_silent_and_comes_back(running):
    assert change(running, 'deactivate')
    running.until(lambda: running.images.get_subscription_count() == 0)
    running.images.publish(running.image())
    running.spin(0.1)
    assert running.detections == []
    assert change(running, 'activate')
    running.until(lambda: running.images.get_subscription_count() == 1)
    message = running.image()
    running.images.publish(message)
    (answer,) = running.until(lambda: running.detections)
    assert answer.header == message.header


def test_node_can_be_cleaned_up_and_configured_again(running):
    assert change(running, 'deactivate')
    assert change(running, 'cleanup')
    assert state(running) == 'unconfigured'
    running.until(lambda: running.driver.count_publishers('/fusion_detr/detections') == 0)
    assert change(running, 'configure')
    assert change(running, 'activate')
    running.until(lambda: running.images.get_subscription_count() == 1)
    running.until(lambda: running.driver.count_publishers('/fusion_detr/detections') == 1)
    running.spin(0.1)
    running.images.publish(running.image())
    running.until(lambda: running.detections)


def test_shutdown_while_the_model_works_ends_within_its_call(running):
    running.perceiver.gate.clear()
    running.images.publish(running.image())
    running.until(lambda: running.perceiver.frames)
    started = time.monotonic()
    threading.Timer(0.5, running.perceiver.gate.set).start()
    assert change(running, 'shutdown')
    assert 0.5 <= time.monotonic() - started < 9.0  # after ten seconds the call is left behind
    assert running.node.state == 'finalized'


# Diagnostics


def test_diagnostics_tell_rates_latencies_and_the_model(running):
    running.watch_diagnostics()
    for n in range(10):
        running.images.publish(running.image())
        running.until(lambda n=n: len(running.detections) > n)
    status = running.until(
        lambda: (s := running.status('perception')) and s[2]['processed'] == '10' and s
    )
    level, message, values = status
    assert (level, message) == ('OK', 'active')
    assert values['model'] == 'fake'
    assert values['fingerprint'] == 'cafe'
    assert values['device'] == 'cpu'
    assert values['degraded'] == 'no'
    assert values['score threshold'] == '0.500'
    assert float(values['output rate [Hz]']) > 0
    assert values['model median [ms]'] == '2.000'
    assert 0 < float(values['total median [ms]']) <= float(values['total p99 [ms]'])
    level, message, values = running.status('thermal input')
    assert (level, message) == ('OK', 'active')
    assert values['topic'] == '/thermal/image_raw'
    assert values['received'] == values['accepted'] == '10'
    assert values['size'] == '64x48'
    assert values['encoding'] == 'mono16'
    assert float(values['rate [Hz]']) > 0



def test_model_is_loaded_and_warmed_up_in_a_thread_that_ends(graph):
    threads = []
    graph.perceiver.warm_up = lambda size: threads.append(threading.current_thread())

    def load(values):
        threads.append(threading.current_thread())
        return graph.perceiver

    graph.start(load=load)
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)
