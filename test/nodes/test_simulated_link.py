"""Node simulated_link over DDS: messages pass as they are, late, or not at all."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage
import yaml

from thermal_perception.encode import to_compressed_image
from thermal_perception.nodes.parameters.parameter_set import parameter_fields, ros_value
from thermal_perception.nodes.parameters.simulated_link import SimulatedLinkParameters
from thermal_perception.nodes.simulated_link import SimulatedLinkNode
from thermal_perception.resources import share_path

_FATES = ('received', 'delivered')


@pytest.fixture
def link(graph):
    """Return a function that starts the node; messages arrive in `graph.arrived`."""

    def start(**parameters):
        graph.node = graph.start(SimulatedLinkNode, **parameters)
        graph.watch_diagnostics()
        graph.arrived = graph.listen(CompressedImage, '/simulated_link/features')
        graph.sender = graph.publisher(CompressedImage, 'features', 50)
        return graph

    return start


def message(number, size=300):
    data = bytes((number + i) % 256 for i in range(size))
    return to_compressed_image(data, 'any; v=1', stamp_ns=number, frame_id='pole')


def stamps(messages):
    return [m.header.stamp.nanosec for m in messages]


def test_messages_pass_unchanged_and_are_counted_with_their_bytes(link):
    graph = link(delay_s=0.01)
    sent = [message(n, 100 + 50 * n) for n in range(5)]
    for each in sent:
        graph.sender.publish(each)
    graph.until(lambda: len(graph.arrived) == 5)
    assert graph.arrived == sent
    size = sum(len(serialize_message(m)) for m in sent)
    graph.until(lambda: graph.value('link', 'delivered') == '5')
    assert graph.value('link', 'received') == '5'
    received, delivered = (int(graph.value('link', f'bytes {w}')) for w in _FATES)
    assert received == delivered
    assert 0 <= delivered - size <= 5 * 3  # DDS fills up to four bytes
    assert float(graph.value('link', 'on the way median [ms]')) >= 10.0


def test_a_slow_link_drops_what_it_cannot_hold_and_says_so(link):
    graph = link(bytes_per_s=500.0, queue_bytes=1000)
    for number in range(4):  # two fit, header and all
        graph.sender.publish(message(number, 400))
    graph.until(lambda: len(graph.arrived) == 2)
    graph.until_status('link', 'WARN', 'too much for the link')
    graph.until(lambda: graph.value('link', 'queue full') == '2')
    assert stamps(graph.arrived) == [0, 1]


def test_lost_messages_are_counted(link):
    graph = link(loss=1.0)
    graph.sender.publish(message(0))
    graph.until(lambda: graph.value('link', 'lost') == '1')
    assert graph.arrived == []


def test_a_cut_link_delivers_nothing_and_comes_back(link):
    graph = link(delay_s=2.0)
    graph.sender.publish(message(1))
    graph.until(lambda: graph.node._events.total('received') == 1)
    graph.node.set_parameters([Parameter('cut', value=True)])  # it is still on the way
    graph.sender.publish(message(2))
    graph.until_status('link', 'WARN', 'cut on request')
    graph.until(lambda: graph.value('link', 'cut') == '2')
    assert graph.arrived == []
    graph.node.set_parameters([Parameter('cut', value=False)])
    graph.sender.publish(message(3))
    graph.until(lambda: stamps(graph.arrived) == [3])
    graph.until(lambda: graph.status('link')[0] == 'OK')


def test_a_cut_reaches_what_was_on_the_way_however_short_it_is(link):
    graph = link(delay_s=2.0)
    graph.sender.publish(message(1))
    graph.until(lambda: graph.node._events.total('received') == 1)
    for cut in (True, False):
        graph.node.set_parameters([Parameter('cut', value=cut)])
    graph.sender.publish(message(2))
    graph.until(lambda: stamps(graph.arrived) == [2])
    graph.until(lambda: graph.value('link', 'cut') == '1')


def test_a_second_life_begins_anew(link):
    graph = link(delay_s=2.0)
    graph.sender.publish(message(1))
    graph.until(lambda: graph.node._events.total('received') == 1)
    graph.node.trigger_deactivate()
    assert graph.node.state == 'inactive'
    graph.until(lambda: graph.value('link', 'cut') == '1')
    graph.node.trigger_cleanup()
    graph.node.trigger_configure()
    graph.node.trigger_activate()
    graph.until(lambda: graph.sender.get_subscription_count() == 1)
    graph.until(lambda: graph.driver.count_publishers('/simulated_link/features') == 1)
    graph.spin(0.3)
    graph.sender.publish(message(2))
    graph.until(lambda: stamps(graph.arrived) == [2])


def test_yaml_file_of_the_node_lists_every_parameter_with_its_default():
    content = yaml.safe_load(share_path('config', 'simulated_link.yaml').read_text())
    declared = {f.name: ros_value(f.default) for f in parameter_fields(SimulatedLinkParameters)}
    assert content['/**']['ros__parameters'] == declared
