"""What the commands know of ROS and DDS."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from thermal_perception.cli import ros
from thermal_perception.errors import ConfigError


def ports_of(domain):
    return set(range(7400 + 250 * domain, 7650 + 250 * domain))


def test_domain_with_a_port_in_use_is_not_taken():
    taken = set().union(*(ports_of(d) for d in range(1, 102) if d != 42))
    assert ros.free_domain_id(taken) == 42
    taken.add(7400 + 250 * 42 + 249)
    with pytest.raises(ConfigError, match=r'all domains 1\.\.101 are in use'):
        ros.free_domain_id(taken)


def test_domain_of_the_default_is_never_taken():
    assert 0 not in {ros.free_domain_id(set()) for _ in range(300)}


def test_open_udp_port_is_seen():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(('127.0.0.1', 0))
        assert opened.getsockname()[1] in ros.udp_ports()


def test_private_environment_is_a_domain_on_this_machine_with_the_profile(monkeypatch):
    monkeypatch.setenv('ROS_LOCALHOST_ONLY', '0')
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE', raising=False)
    monkeypatch.delenv('THERMAL_PERCEPTION_DDS_PROFILE', raising=False)
    before = dict(os.environ)
    environment = ros.private_environment()
    assert 1 <= int(environment['ROS_DOMAIN_ID']) <= 101
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert 'ROS_LOCALHOST_ONLY' not in environment
    assert environment['FASTDDS_DEFAULT_PROFILES_FILE'].endswith('fastdds_large_images.xml')
    assert dict(os.environ) == before


def test_node_that_waits_hears_an_interrupt(ros_domain):
    code = (
        'from thermal_perception.cli.ros import executor_of, ros_node, spin\n'
        'with ros_node("waiting") as node:\n'
        '    once = node.create_timer(0.0, lambda: (once.cancel(), print("up", flush=True)))\n'
        '    spin(executor_of(node))\n'
    )
    with subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout.readline() == 'up\n'
        waiting.send_signal(signal.SIGINT)
        try:
            assert 'KeyboardInterrupt' in waiting.communicate(timeout=60)[1]
        finally:
            waiting.kill()


def test_message_types_are_found_by_name_and_missing_packages_said():
    assert ros.message('sensor_msgs/msg/Image').__name__ == 'Image'
    assert ros.find_message('no_such_msgs/msg/Thing') is None
    assert ros.find_message('sensor_msgs/msg/Thing') is None
    with pytest.raises(ConfigError, match='no_such_msgs/msg/Thing: this message type is not'):
        ros.message('no_such_msgs/msg/Thing')


def test_missing_ros_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setattr(ros, 'find_spec', lambda name: None)
    with pytest.raises(ConfigError, match=r'needs ROS 2 \(rclpy\): source .* or run `make setup`'):
        ros.require_ros()


def test_parameter_file_comes_before_what_is_given_by_hand(tmp_path):
    file = tmp_path / 'node.yaml'
    file.write_text('{}')
    assert ros.ros_arguments(None, []) == []
    assert ros.ros_arguments(file, ['--ros-args', '-p', 'a:=1']) == [
        '--ros-args',
        '--params-file',
        str(file),
        '-p',
        'a:=1',
    ]
