"""A group of callbacks in a thread of its own, over DDS."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

import rclpy
from std_msgs.msg import String

from thermal_perception.nodes.base.own_thread import OwnThread


@pytest.fixture
def served(graph):
    """A driver that listens to /words in a thread of its own: its name is noted per message."""
    thread = OwnThread(graph.driver, 'listener')
    heard = []

    def on_word(word):
        heard.append((word.data, threading.current_thread().name))
        if word.data == 'bad':
            raise RuntimeError('this word breaks the callback')

    graph.driver.create_subscription(String, 'words', on_word, 5, callback_group=thread.group)
    graph.words = graph.publisher(String, 'words')
    graph.heard, graph.thread = heard, thread
    thread.start()
    yield graph
    thread.stop()


def test_callback_of_the_group_runs_in_its_thread_and_others_do_not(served):
    others = []
    served.driver.create_subscription(
        String, 'words', lambda word: others.append(threading.current_thread()), 5
    )

    def both_heard():
        served.words.publish(String(data='good'))
        served.spin(0.02)
        return served.heard and others

    served.until(both_heard)
    assert set(served.heard) == {('good', 'listener')}
    assert set(others) == {threading.current_thread()}


def test_exception_is_logged_and_the_next_message_is_served(served, capfd):
    served.words.publish(String(data='bad'))
    served.until(lambda: len(served.heard) == 1)
    served.words.publish(String(data='good'))
    served.until(lambda: len(served.heard) == 2)
    assert 'this word breaks the callback' in capfd.readouterr().err


def test_stopped_thread_ends_and_serves_again_when_started(served):
    served.thread.stop()
    assert 'listener' not in [thread.name for thread in threading.enumerate()]
    served.words.publish(String(data='kept'))
    served.spin(0.1)
    assert served.heard == []
    served.thread.start()
    served.until(lambda: served.heard == [('kept', 'listener')])


def test_thread_ends_when_its_callback_ends_the_context(ros_domain):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('ending', context=context)
    thread = OwnThread(node, 'ending')
    node.create_timer(0.01, context.try_shutdown, callback_group=thread.group)
    thread.start()
    (serving,) = [t for t in threading.enumerate() if t.name == 'ending']
    serving.join(30.0)
    assert not serving.is_alive()
    node.destroy_node()


def test_thread_that_never_started_can_be_stopped(graph):
    OwnThread(graph.driver, 'listener').stop()
