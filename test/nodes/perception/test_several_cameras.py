"""What `--cameras N` means."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from thermal_perception.errors import ConfigError
from thermal_perception.nodes.perception import several_cameras
from thermal_perception.nodes.perception.several_cameras import (
    camera_namespaces,
    cameras_asked,
    run_cameras,
)


@pytest.mark.parametrize(
    ('args', 'cameras'),
    [
        pytest.param([], 1, id='nothing'),
        pytest.param(['fusion_detr', '--ros-args', '-p', 'cameras:=3'], 1, id='not for us'),
        pytest.param(['fusion_detr', '--cameras', '6'], 6, id='before'),
        pytest.param(['--cameras=2', '--ros-args', '-r', '__ns:=/front'], 2, id='equals'),
        pytest.param(['--ros-args', '-r', '__ns:=/front', '--', '--cameras', '3'], 3, id='behind'),
    ],
)
def test_number_of_cameras_is_read_beside_the_arguments_of_ros(args, cameras):
    assert cameras_asked(args) == cameras


@pytest.mark.parametrize('text', ['0', '7', '-1', 'two', '2.0', ''])
def test_number_that_is_not_allowed_is_refused_with_what_is(text):
    with pytest.raises(ConfigError, match=f"--cameras: found '{text}', expected 1 to 6"):
        cameras_asked([f'--cameras={text}'])


def test_option_without_a_number_is_refused():
    with pytest.raises(ConfigError, match="--cameras: found '', expected 1 to 6"):
        cameras_asked(['--cameras', '--ros-args'])


@pytest.mark.parametrize(
    ('args', 'namespaces'),
    [
        pytest.param([], ['/camera_0', '/camera_1'], id='none'),
        pytest.param(['-r', '__ns:=/'], ['/camera_0', '/camera_1'], id='root'),
        pytest.param(['-r', '__ns:=/a/b'], ['/a/b/camera_0', '/a/b/camera_1'], id='nested'),
        pytest.param(['-r', 'other:__ns:=/a'], ['/camera_0', '/camera_1'], id='of another node'),
    ],
)
def test_cameras_are_below_the_namespace_that_is_given(args, namespaces):
    assert camera_namespaces(['--ros-args', *args], 2) == namespaces


def test_one_camera_is_a_node_as_without_the_option(monkeypatch):
    run = []
    monkeypatch.setattr(several_cameras, 'run_node', lambda *args: run.append(args) or 5)
    assert run_cameras('make', ['--cameras', '1']) == 5
    assert run == [('make', ['--cameras', '1'])]


def test_wrong_number_is_told_and_nothing_runs(capsys):
    assert run_cameras('make', ['--cameras', '9']) == 1
    assert capsys.readouterr().err == "--cameras: found '9', expected 1 to 6\n"
