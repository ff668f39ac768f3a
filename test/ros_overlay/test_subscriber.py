from __future__ import annotations

import time

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('message_filters')

from message_filters import ApproximateTimeSynchronizer, Subscriber  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import qos_profile_sensor_data, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402

DEADLINE_S = 20.0


@pytest.fixture
def graph(ros_domain):
    """A node and its executor in a DDS domain of their own."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    node = rclpy.create_node('filters', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield node, executor
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def spin_until(executor, condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, 'the messages did not arrive in time'
        executor.spin_once(timeout_sec=0.05)


def stamped(kind, nanosec):
    msg = kind()
    msg.header.stamp.nanosec = nanosec
    msg.header.frame_id = 'thermal'
    return msg


def test_message_of_the_topic_reaches_the_callback_unchanged(graph):
    node, executor = graph
    received = []
    subscriber = Subscriber(node, Image, 'thermal/image_raw')
    subscriber.registerCallback(received.append)
    publisher = node.create_publisher(Image, 'thermal/image_raw', 1)
    sent = stamped(Image, 5)
    sent.data = b'\x01\x02\x03'
    spin_until(executor, lambda: publisher.get_subscription_count() > 0)
    publisher.publish(sent)
    spin_until(executor, lambda: received)
    assert received == [sent]


def test_quality_of_service_is_depth_10_or_as_asked(graph):
    node, _ = graph
    Subscriber(node, Image, 'by_default')
    Subscriber(node, Image, 'as_asked', qos_profile=qos_profile_sensor_data)
    reliability = {topic: node.get_subscriptions_info_by_topic(f'/{topic}')[0]
                   .qos_profile.reliability for topic in ('by_default', 'as_asked')}
    assert reliability == {'by_default': ReliabilityPolicy.RELIABLE,
                           'as_asked': ReliabilityPolicy.BEST_EFFORT}


def test_subscription_is_served_through_the_filter(graph):
    node, _ = graph
    subscriber = Subscriber(node, Image, 'thermal/image_raw')
    assert subscriber.getTopic() == 'thermal/image_raw'
    assert subscriber.topic_name == '/thermal/image_raw'
    with pytest.raises(AttributeError, match='no_such_thing'):
        _ = subscriber.no_such_thing


def test_image_and_its_camera_info_pair_over_dds(graph):
    node, executor = graph
    image, info = Subscriber(node, Image, 'image'), Subscriber(node, CameraInfo, 'info')
    pairs = []
    synchronizer = ApproximateTimeSynchronizer([image, info], 10, 0.01)
    synchronizer.registerCallback(lambda *msgs: pairs.append(
        tuple((type(msg), msg.header.stamp.nanosec) for msg in msgs)))
    publishers = {kind: node.create_publisher(kind, topic, 10)
                  for kind, topic in ((Image, 'image'), (CameraInfo, 'info'))}
    spin_until(executor, lambda: all(p.get_subscription_count() for p in publishers.values()))
    publishers[CameraInfo].publish(stamped(CameraInfo, 40_000_000))
    publishers[Image].publish(stamped(Image, 20_000_000))
    publishers[Image].publish(stamped(Image, 45_000_000))
    spin_until(executor, lambda: pairs)
    assert pairs == [((Image, 45_000_000), (CameraInfo, 40_000_000))]
