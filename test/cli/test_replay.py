"""A bag is replayed by another process over DDS: contents, order, time, names, and errors."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from rosbags.interfaces import (
    ConnectionExtRosbag2,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import get_typestore, Stores

from thermal_perception.cli import ros
from thermal_perception.cli.processes import command_of, DIE_WITH_PARENT
from thermal_perception.cli.replay import _recorded_qos, replay, ReplayOptions
from thermal_perception.errors import ConfigError, DatasetError
from thermal_perception.evaluation.image_bag import ImageBagWriter
from thermal_perception.types import Detections, Frame

START_NS = 1_700_000_000_000_000_000
STEP_NS = 20_000_000
FRAMES = 15
CLOCK = 'rosgraph_msgs/msg/Clock'
IMAGE = 'sensor_msgs/msg/Image'
TRUTH = 'vision_msgs/msg/Detection2DArray'


@pytest.fixture
def storage():
    return 'mcap'


@pytest.fixture
def bag(tmp_path, storage):
    path = tmp_path / 'bag'
    with ImageBagWriter(path, storage=storage) as writer:
        for number in range(FRAMES):
            image = np.full((4, 6), 100 * number, np.uint16)
            stamp_ns = START_NS + number * STEP_NS
            frame = Frame(image, stamp_ns, 'optical', 'thermal', encoding='mono16')
            truth = Detections(
                np.array([[1, 1, 3, 3]], np.float32),
                np.array([1], np.float32),
                np.array([0]),
                ('person',),
                stamp_ns,
                'optical',
                (4, 6),
            )
            writer.write(frame, truth)
    return path


@pytest.fixture
def graph(ros_domain):
    """Return a function that starts `replay` and collects what it publishes until it ends.

    With `enough` only until that is true of what was received. Where it can it listens to the end:
    Fast DDS may be stuck for good when readers go while others come and go (its issue 6193).
    """
    running = []

    def collect(subscriptions, arguments, enough=lambda received: False, limit_s=60.0):
        received = {topic: [] for topic in subscriptions}
        with ros.ros_node('listener') as node:
            for topic, msgtype in subscriptions.items():
                quality = ros.qos(100, reliable=True)
                node.create_subscription(
                    ros.message(msgtype), topic, received[topic].append, quality
                )
            executor = ros.executor_of(node)
            process = subprocess.Popen(
                command_of('replay', *arguments),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.append(process)
            deadline = time.monotonic() + limit_s
            while process.poll() is None and not enough(received):
                assert time.monotonic() < deadline, received
                executor.spin_once(timeout_sec=0.05)
            for _ in range(len(subscriptions) * 2 * FRAMES):
                executor.spin_once(timeout_sec=0.0)
        return received, process

    yield collect
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def stamps(messages):
    return [m.header.stamp.sec * 1_000_000_000 + m.header.stamp.nanosec for m in messages]


def test_every_message_arrives_once_in_order_unchanged(bag, graph):
    topics = {'/thermal/image_raw': IMAGE, '/ground_truth/detections': TRUTH}
    received, process = graph(
        topics,
        [str(bag), '--wait', '30'],
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.startswith(f'{2 * FRAMES} messages')
    expected = [START_NS + i * STEP_NS for i in range(FRAMES)]
    images, truths = received['/thermal/image_raw'], received['/ground_truth/detections']
    assert stamps(images) == stamps(truths) == expected
    values = [int(np.frombuffer(m.data, np.uint16)[0]) for m in images]
    assert values == [100 * i for i in range(FRAMES)]
    assert {m.header.frame_id for m in images} == {'optical'}
    assert truths[3].detections[0].results[0].hypothesis.class_id == 'person'


@pytest.mark.parametrize('storage', ['sqlite3'])
def test_offset_rate_topic_and_remap_are_obeyed_and_the_clock_follows(tmp_path, bag, graph):
    received, process = graph(
        {'/other': IMAGE, '/ground_truth/detections': TRUTH, '/clock': 'rosgraph_msgs/msg/Clock'},
        [
            str(bag),
            '--topic',
            '/thermal/image_raw',
            '--remap',
            '/thermal/image_raw:=/other',
            '--start-offset',
            '0.1',
            '--rate',
            '0.5',
            '--clock-hz',
            '50',
            '--wait',
            '30',
        ],
    )
    assert process.returncode == 0
    assert stamps(received['/other']) == [START_NS + i * STEP_NS for i in range(5, FRAMES)]
    assert received['/ground_truth/detections'] == []
    clock = [m.clock.sec * 10**9 + m.clock.nanosec for m in received['/clock']]
    assert len(clock) >= 5
    assert clock == sorted(clock)
    assert START_NS + 5 * STEP_NS <= clock[0] <= clock[-1] <= START_NS + FRAMES * STEP_NS


def test_loop_starts_again_until_interrupted(bag, graph):
    received, process = graph(
        {'/thermal/image_raw': IMAGE},
        [str(bag), '--loop', '--topic', '/thermal/image_raw', '--wait', '30'],
        lambda got: len(got['/thermal/image_raw']) > 2 * FRAMES,
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    once = [START_NS + i * STEP_NS for i in range(FRAMES)]
    assert stamps(received['/thermal/image_raw'])[: 2 * FRAMES] == 2 * once


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--topic', '/rgb'], 'has no topic /rgb; it has /thermal/image_raw'),
        (['--start-offset', '9'], '--start-offset 9.0: the bag is 0.3 s long'),
    ],
)
def test_wrong_request_is_one_sentence(bag, ros_domain, arguments, sentence):
    done = subprocess.run(
        command_of('replay', str(bag), '--wait', '0', *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=dict(os.environ),
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert 'Traceback' not in done.stderr


def write_clock_bag(path):
    store = get_typestore(Stores.LATEST)
    time_type, clock_type = store.types['builtin_interfaces/msg/Time'], CLOCK
    with Writer2(path, version=9) as writer:
        clock = writer.add_connection('/clock', clock_type, typestore=store)
        tick = store.types[clock_type](time_type(5, 0))
        writer.write(clock, 5, store.serialize_cdr(tick, clock_type))


def write_ros1_bag(path):
    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer1(path) as writer:
        words = writer.add_connection('/words', 'std_msgs/msg/String', typestore=store)
        text = store.types['std_msgs/msg/String']('cold')
        writer.write(words, 5, store.serialize_ros1(text, 'std_msgs/msg/String'))


@pytest.mark.parametrize(
    ('write', 'name', 'sentence'),
    [
        pytest.param(write_clock_bag, 'bag', 'no topic that can be published', id='only a clock'),
        pytest.param(write_ros1_bag, 'old.bag', 'found a ROS 1 bag', id='ROS 1'),
    ],
)
def test_bag_without_anything_to_publish_is_refused(
    tmp_path, ros_domain, monkeypatch, write, name, sentence
):
    monkeypatch.delenv(DIE_WITH_PARENT, raising=False)
    write(tmp_path / name)
    with pytest.raises(DatasetError, match=sentence):
        replay(ReplayOptions(tmp_path / name, wait_s=0.0))


@pytest.mark.parametrize('change', [{'depth': 0}, {'clock_hz': -1.0}, {'rate': -1.0}])
def test_impossible_options_are_refused(tmp_path, change):
    with pytest.raises(ConfigError, match='expected'):
        ReplayOptions(tmp_path, **change)


def connection(*offers):
    """Return something with the offered (reliability, durability) pairs of a recorded topic."""
    never = QosTime(0, 0)
    profiles = [
        Qos(
            QosHistory.KEEP_LAST,
            5,
            reliability,
            durability,
            never,
            never,
            QosLiveliness.AUTOMATIC,
            never,
            False,
        )
        for reliability, durability in offers
    ]

    class Connection:
        ext = ConnectionExtRosbag2('cdr', profiles)

    return Connection()


@pytest.mark.parametrize(
    ('offers', 'qos', 'reliable', 'latched'),
    [
        ([], 'bag', True, False),
        ([('RELIABLE', 'VOLATILE')], 'bag', True, False),
        ([('BEST_EFFORT', 'VOLATILE')], 'bag', False, False),
        ([('RELIABLE', 'TRANSIENT_LOCAL')], 'bag', True, True),
        ([('RELIABLE', 'TRANSIENT_LOCAL'), ('BEST_EFFORT', 'VOLATILE')], 'bag', False, False),
        ([('BEST_EFFORT', 'VOLATILE')], 'reliable', True, False),
        ([('RELIABLE', 'VOLATILE')], 'best_effort', False, False),
    ],
)
def test_recorded_quality_is_offered_again_unless_told_otherwise(
    tmp_path, offers, qos, reliable, latched
):
    recorded = connection(*((QosReliability[r], QosDurability[d]) for r, d in offers))
    profile = _recorded_qos(recorded, ReplayOptions(tmp_path, qos=qos))
    assert (profile.reliability.name, profile.durability.name) == (
        'RELIABLE' if reliable else 'BEST_EFFORT',
        'TRANSIENT_LOCAL' if latched else 'VOLATILE',
    )
