"""Every fault a thermal-only node must survive, sent over DDS (the failure table)."""

from __future__ import annotations

import array
import re

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

import cv2
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from thermal_perception.encode import to_compressed_image, to_image, to_time
from thermal_perception.errors import BackendError, CheckpointError

S = 1_000_000_000


def stamp_ns(message):
    return message.header.stamp.sec * S + message.header.stamp.nanosec


def dropped(graph, cause):
    status = graph.status('thermal input')
    return int(status[2].get(f'dropped {cause}', 0)) if status else 0


def expect_answer(graph, message):
    """Publish a good image and wait for its answer."""
    graph.images.publish(message)
    graph.until(
        lambda: any(answer.header == message.header for answer in graph.detections),
        'answer to a good image',
    )


@pytest.fixture
def watched(running):
    running.watch_diagnostics()
    return running


# Silence


def test_input_that_stops_is_stale_and_comes_back(graph):
    graph.node = graph.start(input_timeout_s=0.3)
    graph.detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    graph.images = graph.publisher()
    graph.watch_diagnostics()
    expect_answer(graph, graph.image())
    graph.until_status('thermal input', 'STALE', 'no image on /thermal/image_raw for')
    answers = len(graph.detections)
    graph.spin(0.1)
    assert len(graph.detections) == answers  # nothing is invented


    def good_again():
        expect_answer(graph, graph.image())
        return graph.saw_status('thermal input', 'OK')

    graph.until(good_again)


def test_input_without_publisher_is_stale_and_says_so(graph):
    graph.start(input_timeout_s=0.05)
    graph.watch_diagnostics()
    graph.until_status('thermal input', 'STALE', 'no publisher')


def test_publisher_whose_images_never_arrive_points_to_the_dds_profile(graph):
    graph.start(input_timeout_s=0.05)
    graph.publisher()
    graph.watch_diagnostics()
    graph.until_status('thermal input', 'STALE', 'nothing arrives')
    assert 'fastdds_large_images.xml' in graph.status('thermal input')[1]


def test_images_lost_on_the_way_point_to_the_dds_profile(watched):
    class Lost:
        total_count_change = 3

    expect_answer(watched, watched.image())
    for _ in range(5):
        watched.node.inputs.thermal.camera._on_lost(Lost())  # as the middleware calls it
    watched.until_status('thermal input', 'WARN', 'the transport loses')
    assert 'fastdds_large_images.xml' in watched.status('thermal input')[1]
    watched.until_status('thermal input', 'OK')
    assert watched.value('thermal input', 'lost in transport') == '15'


def test_few_images_lost_while_nodes_find_each_other_are_no_fault(watched):
    class Lost:
        total_count_change = 3

    expect_answer(watched, watched.image())
    watched.node.inputs.thermal.camera._on_lost(Lost())
    watched.until(lambda: watched.value('thermal input', 'lost in transport') == '3')
    assert watched.status('thermal input')[0] == 'OK'


# Frozen


def test_frozen_images_are_published_and_marked_until_they_change(watched):
    base = watched.now_ns()
    for i in range(5):
        message = watched.image(base)
        message.header.stamp = to_time(base + i)
        expect_answer(watched, message)
    watched.until_status('thermal input', 'WARN', 'frozen')
    assert watched.value('thermal input', 'frozen') == 'true'
    expect_answer(watched, watched.image())
    watched.until_status('thermal input', 'OK')


def test_four_equal_images_are_not_yet_frozen(watched):
    base = watched.now_ns()
    for i in range(4):
        message = watched.image(base)
        message.header.stamp = to_time(base + i)
        expect_answer(watched, message)
    watched.spin(0.3)
    assert watched.status('thermal input')[0] == 'OK'


# Stamps


@pytest.mark.parametrize(
    ('cause', 'offset_ns'),
    [
        pytest.param('zero_stamp', None, id='zero'),
        pytest.param('future', 3600 * S, id='an hour ahead'),
        pytest.param('duplicate', 0, id='duplicate'),
        pytest.param('out_of_order', -S // 2, id='half a second back'),
    ],
)
def test_image_with_a_bad_stamp_is_dropped_and_counted(watched, cause, offset_ns):
    good = watched.image()
    expect_answer(watched, good)
    bad = 0 if offset_ns is None else stamp_ns(good) + offset_ns
    watched.images.publish(watched.image(bad))
    watched.until_status('thermal input', 'WARN', f'1 {cause}')
    assert dropped(watched, cause) == 1
    expect_answer(watched, watched.image())
    assert len(watched.detections) == 2
    watched.until_status('thermal input', 'OK')
    assert dropped(watched, cause) == 1


def test_stamps_that_jump_back_start_over(watched):
    now = watched.now_ns()
    expect_answer(watched, watched.image(now))
    expect_answer(watched, watched.image(now - 60 * S))  # the bag starts again
    watched.until_status('thermal input', 'WARN', 'jumped back')
    expect_answer(watched, watched.image(now - 60 * S + 1))
    assert len(watched.detections) == 3


def test_image_that_waits_is_given_up_when_stamps_jump_back(watched):
    now = watched.now_ns()
    watched.perceiver.gate.clear()
    watched.images.publish(watched.image(now))
    watched.until(lambda: watched.perceiver.frames)
    watched.images.publish(watched.image(now + 1))
    watched.images.publish(watched.image(now - 60 * S))
    watched.until_status('thermal input', 'WARN', 'jumped back')
    watched.perceiver.gate.set()
    watched.until(lambda: len(watched.detections) == 2)
    assert [frame.stamp_ns for frame in watched.perceiver.frames] == [now, now - 60 * S]
    watched.until(lambda: watched.value('perception', 'discarded') == '1')


def test_simulated_time_that_jumps_back_starts_over(graph):
    graph.node = graph.start(use_sim_time=True, jump_back_s=1e5)
    graph.detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    graph.images = graph.publisher()
    clock = graph.publisher(Clock, '/clock')

    def set_clock(now_s):
        clock.publish(Clock(clock=to_time(now_s * S)))
        graph.until(lambda: graph.node.get_clock().now().nanoseconds == now_s * S)

    set_clock(1000)
    expect_answer(graph, graph.image(1000 * S))
    set_clock(10)
    expect_answer(graph, graph.image(10 * S))  # by itself this would be out of order


def test_future_is_judged_by_simulated_time(graph):
    graph.node = graph.start(use_sim_time=True)
    graph.images = graph.publisher()
    graph.watch_diagnostics()
    clock = graph.publisher(Clock, '/clock')
    clock.publish(Clock(clock=to_time(1000 * S)))
    graph.until(lambda: graph.node.get_clock().now().nanoseconds == 1000 * S)
    graph.images.publish(graph.image(1002 * S))
    graph.until(lambda: dropped(graph, 'future') == 1)


# Malformed images


def malformed(graph, fault):
    message = graph.image()
    if fault == 'unsupported_encoding':
        message.encoding = 'mono12'
    elif fault == 'truncated_data':
        message.data = array.array('B', bytes(message.data)[:1000])
    elif fault == 'bad_step':
        message.step = 100
    elif fault == 'empty_image':
        message.height = message.width = 0
        message.data = array.array('B')
    elif fault == 'too_large':
        message.height = message.width = 100_000
    elif fault == 'bad_endianness':
        message.is_bigendian = 7
    return message


@pytest.mark.parametrize(
    ('fault', 'text'),
    [
        ('unsupported_encoding', "'mono12' of 48x64.*expected one of mono8"),
        ('truncated_data', 'found 1000 bytes, expected 6144'),
        ('bad_step', 'expected a step of at least 128 bytes'),
        ('empty_image', 'of 0x0.*expected at least 1x1'),
        ('too_large', 'of 100000x100000.*at most'),
        ('bad_endianness', 'found is_bigendian 7'),
    ],
)
def test_malformed_image_is_refused_with_its_cause(watched, fault, text, capfd):
    watched.images.publish(malformed(watched, fault))
    watched.until_status('thermal input', 'ERROR', f'all images rejected: 1 {fault}')
    assert watched.detections == []

    def one_good_one_bad():
        expect_answer(watched, watched.image())
        watched.images.publish(malformed(watched, fault))
        watched.spin(0.02)
        some = watched.saw_status('thermal input', 'WARN', 'some images rejected')
        return some and dropped(watched, fault) >= 2

    watched.until(one_good_one_bad)
    assert re.search(text, capfd.readouterr().err)


@pytest.mark.parametrize(
    ('image_format', 'damage', 'cause'),
    [
        pytest.param('16UC1; png compressed ', 'truncate', 'truncated_data', id='truncated'),
        pytest.param('16UC1; jpeg compressed ', 'jpeg', 'lossy_16bit', id='16 bit as JPEG'),
        pytest.param('16UC1; png compressed ', 'garbage', 'unsupported_encoding', id='garbage'),
    ],
)
def test_malformed_compressed_image_is_refused_with_its_cause(graph, image_format, damage, cause):
    graph.start(image_transport='compressed')
    images = graph.publisher(CompressedImage, 'thermal/image_raw/compressed')
    graph.watch_diagnostics()
    image = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    if damage == 'jpeg':
        data = cv2.imencode('.jpg', (image >> 4).astype(np.uint8))[1].ravel()
    else:
        data = cv2.imencode('.png', image)[1].ravel()
    if damage == 'truncate':
        data = data[: len(data) // 2]
    if damage == 'garbage':
        data = np.zeros(100, np.uint8)
    images.publish(
        to_compressed_image(data, image_format, stamp_ns=graph.now_ns(), frame_id='f')
    )
    graph.until_status('thermal input', 'ERROR', cause)


def test_message_that_is_no_image_content_survives(watched):
    watched.images.publish(Image())  # all zero: the stamp is the first thing seen
    watched.until_status('thermal input', 'WARN', 'zero_stamp')
    expect_answer(watched, watched.image())


# Unusual but good images


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_size_may_change_between_images(watched, dtype):
    for size in ((48, 64), (96, 128), (48, 64)):
        expect_answer(watched, watched.image(dtype=dtype, size=size))
    assert [frame.size for frame in watched.perceiver.frames] == [(48, 64), (96, 128), (48, 64)]
    watched.until(lambda: watched.value('thermal input', 'size') == '64x48')
    assert watched.status('thermal input')[0] == 'OK'


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 300.0])
def test_float_image_of_one_value_has_a_defined_output(watched, value):
    overlays = watched.listen(Image, '/fusion_detr/overlay')
    image = np.full((48, 64), value, np.float32)
    message = to_image(image, '32FC1', stamp_ns=watched.now_ns(), frame_id='boson')
    expect_answer(watched, message)
    watched.until(lambda: overlays)
    assert watched.detections[0].detections == []
    assert not any(overlays[0].data)
    watched.spin(0.15)
    assert watched.status('thermal input')[0] == watched.status('perception')[0] == 'OK'


# Model and device


def test_node_without_model_says_why_and_stays(graph):
    def load(values):
        raise CheckpointError('/models/gone.safetensors: no such file')

    node = graph.start(load=load, active=False)
    graph.watch_diagnostics()
    graph.until_status('perception', 'ERROR', '/models/gone.safetensors: no such file')
    assert node.state == 'unconfigured'


def test_error_of_the_programmer_in_configure_is_logged_and_reported(graph, capfd):
    def load(values):
        return 1 // 0

    graph.start(load=load, active=False)
    graph.watch_diagnostics()
    graph.until_status('perception', 'ERROR', 'ZeroDivisionError')
    assert 'Traceback' in capfd.readouterr().err


def test_device_that_fails_is_an_error_and_the_node_goes_on(watched):
    watched.perceiver.error = BackendError('cuda: out of memory', recoverable=True)
    watched.images.publish(watched.image())
    watched.until_status('perception', 'ERROR', '1 failed backend')
    assert watched.detections == []
    watched.perceiver.error = None
    expect_answer(watched, watched.image())
    watched.until_status('perception', 'OK')
    assert watched.value('perception', 'failed backend') == '1'


def test_model_that_fell_back_to_the_cpu_is_a_degraded_mode(watched):
    watched.perceiver.degraded = 'running on the CPU: cuda: out of memory'
    watched.until_status('perception', 'WARN', 'degraded: running on the CPU')
    expect_answer(watched, watched.image())


def test_bug_in_the_model_costs_one_image_and_is_logged(watched, capfd):
    watched.perceiver.error = KeyError('oops')
    watched.images.publish(watched.image())
    watched.until_status('perception', 'ERROR', '1 failed internal')
    watched.perceiver.error = None
    expect_answer(watched, watched.image())
    assert "KeyError: 'oops'" in capfd.readouterr().err


# Quality of service


@pytest.fixture
def warned(monkeypatch):
    """Make a function that waits for a warning of a node and returns it."""

    def watch(graph, node):
        lines = []
        monkeypatch.setattr(node.throttled, 'warning', lambda kind, text: lines.append(text))
        return lambda text: graph.until(lambda: [x for x in lines if text in x], lines.copy)[0]

    return watch


@pytest.mark.parametrize(
    ('message', 'topic'), [(Image, '/thermal/image_raw'), (CameraInfo, '/thermal/camera_info')]
)
def test_incompatible_publisher_is_named_with_what_differs(graph, warned, message, topic):
    node = graph.start(**{f'qos_overrides.{topic}.subscription.reliability': 'reliable'})
    until_warned = warned(graph, node)
    node.inputs.thermal_info.follow(True)
    graph.driver.create_publisher(
        message, topic, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
        event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
    )
    line = until_warned('reliability differs')
    assert f'{topic}: incompatible QoS' in line
    assert 'Best effort publisher and reliable subscription' in line


def test_silence_of_an_incompatible_publisher_says_what_differs(graph):
    topic = '/thermal/image_raw'
    graph.start(
        input_timeout_s=0.1, **{f'qos_overrides.{topic}.subscription.reliability': 'reliable'}
    )
    graph.watch_diagnostics()
    graph.driver.create_publisher(
        Image, topic, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
        event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
    )
    graph.until_status('thermal input', 'STALE', '/driver: ERROR: Best effort publisher')


def test_incompatible_subscriber_is_named_with_what_differs(running, warned):
    until_warned = warned(running, running.node)
    running.driver.create_subscription(
        Detection2DArray, '/fusion_detr/detections', lambda message: None,
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
    )
    line = until_warned('durability differs')
    assert '/fusion_detr/detections: incompatible QoS' in line
    assert line.count('/driver: ERROR') == 1  # the one that hears the node is not named


def test_many_faults_of_one_kind_write_few_lines(watched, capfd):
    for n in range(20):
        watched.images.publish(watched.image(0))
        watched.until(lambda n=n: watched.node.inputs.thermal.camera.received > n)
    watched.until(lambda: dropped(watched, 'zero_stamp') == 20)
    lines = [line for line in capfd.readouterr().err.splitlines() if 'stamp is zero' in line]
    assert len(lines) == 1
