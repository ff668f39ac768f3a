"""The node as a process of its own: started, repaired, steered and ended from outside."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
from numpy.testing import assert_allclose
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from tiny import lite
from vision_msgs.msg import Detection2DArray

from thermal_perception.decode import decode_image
from thermal_perception.nodes.base.entry import Settling
from thermal_perception.types import FrameSet

CLASS_NAMES = ('person', 'car')
TINY = lite(CLASS_NAMES)
MAIN = 'import sys; from thermal_perception.nodes.{0} import main; sys.exit(main())'
# Importing torch takes long on a busy machine.
START_S = 120.0
END_S = 60.0


@pytest.fixture
def processes():
    started = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def run(processes, ros_domain, tmp_path):
    """Start a node; its output goes to a file."""

    def start(node, *arguments):
        log = tmp_path / f'{node}.log'
        with log.open('w') as file:
            process = subprocess.Popen(
                [sys.executable, '-c', MAIN.format(node), '--ros-args', *arguments],
                stdout=file, stderr=subprocess.STDOUT, env=dict(os.environ),
            )
        processes.append(process)
        process.log = log
        return process

    return start


def until_logged(process, text):
    end = time.monotonic() + START_S
    while text not in (log := process.log.read_text()):
        assert process.poll() is None, f'ended with {process.poll()}:\n{log}'
        assert time.monotonic() < end, f'deadline passed, log:\n{log}'
        time.sleep(0.02)


def ends_well(process, number):
    process.send_signal(number)
    code = process.wait(END_S)
    log = process.log.read_text()
    assert code == 0, log
    assert 'Traceback' not in log, log


def change_state(graph, label):
    request = ChangeState.Request()
    request.transition.label = label
    return graph.call(ChangeState, '/fusion_detr/change_state', request).success


def boxes_of(message):
    return np.array(
        [
            (
                d.bbox.center.position.x - d.bbox.size_x / 2,
                d.bbox.center.position.y - d.bbox.size_y / 2,
                d.bbox.center.position.x + d.bbox.size_x / 2,
                d.bbox.center.position.y + d.bbox.size_y / 2,
            )
            for d in message.detections
        ]
    )


def test_process_without_weights_waits_for_them_then_answers_as_the_model_does_offline(
    run, graph, tmp_path
):
    checkpointing = pytest.importorskip('thermal_perception.models.checkpoint')
    from thermal_perception.perceive import Perceiver

    gone, good = tmp_path / 'gone.safetensors', tmp_path / 'tiny.safetensors'
    checkpointing.save_random(
        good, checkpointing.CheckpointInfo('tiny', 'fusion_detr', TINY, {}, CLASS_NAMES)
    )
    process = run(
        'fusion_detr', '-p', f'checkpoint:={gone}', '-p', 'device:=cpu',
        '-p', 'score_threshold:=0.0', '-p', 'diagnostics_period_s:=0.2',
        '-p', 'num_threads:=1', '-p', 'warm_up_size:=[64, 96]',
    )
    until_logged(process, str(gone))
    graph.watch_diagnostics()
    graph.until_status('perception', 'ERROR', str(gone))

    request = SetParameters.Request(
        parameters=[Parameter('checkpoint', value=str(good)).to_parameter_msg()]
    )
    assert graph.call(SetParameters, '/fusion_detr/set_parameters', request).results[0].successful
    assert change_state(graph, 'configure')
    assert change_state(graph, 'activate')
    answers = graph.listen(Detection2DArray, '/fusion_detr/detections')
    images, sent = graph.publisher(), []

    def answered():  # the first are lost while the processes find each other
        sent.append(graph.image(size=(64, 96)))
        images.publish(sent[-1])
        return answers

    answer = graph.until(answered, deadline_s=60)[0]
    message = next(message for message in sent if message.header == answer.header)

    frame = decode_image(message, modality='thermal')
    expected = Perceiver.load(good, device='cpu')(FrameSet(thermal=frame)).detections
    assert_allclose(boxes_of(answer), expected.boxes_xyxy_px, atol=1e-2)
    assert [d.results[0].hypothesis.class_id for d in answer.detections] == [
        CLASS_NAMES[label] for label in expected.labels
    ]
    assert len(answer.detections) == 12
    ends_well(process, signal.SIGTERM)


def test_process_with_two_cameras_answers_each_below_the_namespace_it_was_given(
    run, graph, tmp_path
):
    checkpointing = pytest.importorskip('thermal_perception.models.checkpoint')
    weights = tmp_path / 'tiny.safetensors'
    info = checkpointing.CheckpointInfo('tiny', 'fusion_detr', TINY, {}, CLASS_NAMES)
    checkpointing.save_random(weights, info)
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text(
        '/**: {ros__parameters: {score_threshold: 0.0, warm_up_size: [64, 96]}}\n'
        '/front/camera_1/detector: {ros__parameters: {thermal_units: kelvin}}\n'
    )
    process = run(
        'fusion_detr', '-r', '__ns:=/front', '-r', '__node:=detector', '-p',
        f'checkpoint:={weights}', '-p', 'device:=cpu', '-p', 'num_threads:=1',
        '--params-file', str(parameters), '--', '--cameras', '2',
    )
    names = [f'/front/camera_{i}' for i in range(2)]
    answers = [
        graph.listen(Detection2DArray, f'{n}/detector/detections', wait=False) for n in names
    ]
    images = [graph.driver.create_publisher(Image, f'{n}/thermal/image_raw', 5) for n in names]

    def answered():  # the first are lost while the processes find each other
        for i, publisher in enumerate(images):
            publisher.publish(graph.image(size=(64, 96), frame_id=f'camera_{i}'))
        graph.spin(0.05)
        return all(answers)

    graph.until(answered, deadline_s=START_S)
    for i, messages in enumerate(answers):
        assert {message.header.frame_id for message in messages} == {f'camera_{i}'}
        assert len(messages[0].detections) == 12
    log = process.log.read_text()
    assert log.count('shared by 2 cameras') == 2
    request = GetParameters.Request(names=['thermal_units'])
    units = [
        graph.call(GetParameters, f'{n}/detector/get_parameters', request).values[0].string_value
        for n in names
    ]
    assert units == ['counts', 'kelvin']
    ends_well(process, signal.SIGTERM)


def test_number_of_cameras_that_is_not_allowed_ends_the_start_with_the_reason(run):
    process = run('fusion_detr', '--', '--cameras', '7')
    assert process.wait(START_S) == 1
    assert process.log.read_text() == "--cameras: found '7', expected 1 to 6\n"


def test_parameter_that_is_not_allowed_ends_the_start_with_the_reason(run):
    process = run('fusion_detr', '-p', 'queue:=oldest')
    assert process.wait(START_S) == 1
    log = process.log.read_text()
    assert "found 'oldest', expected one of newest, all" in log
    assert 'Traceback' not in log


INTERRUPTED_TWICE = """
import os, signal, sys
from rclpy.node import Node
from thermal_perception.nodes.base.entry import run_node

class Ending(Node):
    def __init__(self):
        super().__init__('ending')
        self.create_timer(0.01, lambda: os.kill(os.getpid(), signal.SIGINT))

    def destroy_node(self):
        os.kill(os.getpid(), signal.SIGINT)
        super().destroy_node()
        print('ended in order')

sys.exit(run_node(Ending, []))
"""


def test_second_interrupt_does_not_break_the_orderly_end(ros_domain):
    done = subprocess.run(
        [sys.executable, '-c', INTERRUPTED_TWICE], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == 'ended in order\n'


BREAKING = """
import sys, rclpy
from rclpy.node import Node
from thermal_perception.nodes.base.entry import run_node

class Breaking(Node):
    def __init__(self):
        super().__init__('breaking')
        self.create_timer(0.01, self.fail)

    def fail(self):
        if sys.argv[1] == 'ended':
            rclpy.shutdown()
        raise RuntimeError('this callback fails')

sys.exit(run_node(Breaking, []))
"""


@pytest.mark.parametrize(('when', 'code'), [('ended', 0), ('alive', 1)])
def test_callback_that_fails_is_no_fault_only_when_the_process_is_ending(ros_domain, when, code):
    done = subprocess.run(
        [sys.executable, '-c', BREAKING, when], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert ('this callback fails' in done.stderr) == bool(code)


HANDLERS = """
from rclpy.node import Node
from rclpy.signals import get_current_signal_handlers_options
from thermal_perception.nodes.base.entry import run_node

class Ending(Node):
    def __init__(self):
        super().__init__('ending')
        print('up', get_current_signal_handlers_options().name, flush=True)

    def destroy_node(self):
        print('down', get_current_signal_handlers_options().name, flush=True)
        super().destroy_node()

raise SystemExit(run_node(Ending))
"""


def test_rclpy_watches_no_signals_while_a_node_is_taken_apart(processes, ros_domain, tmp_path):
    """Its thread would read conditions that are being destroyed."""
    log = tmp_path / 'log'
    with log.open('w') as file:
        process = subprocess.Popen([sys.executable, '-c', HANDLERS], stdout=file,
                                   stderr=subprocess.STDOUT, env=dict(os.environ))
    processes.append(process)
    process.log = log
    until_logged(process, 'up ALL')
    ends_well(process, signal.SIGTERM)
    # It has let go of SIGTERM; SIGINT we ignore ourselves by then, which hides it from rclpy.
    assert 'down SIGINT\n' in log.read_text()


def test_garbage_collector_looks_at_nothing_old_once_all_nodes_are_configured(monkeypatch):
    calls = []
    monkeypatch.setattr(gc, 'collect', lambda: calls.append('collect'))
    monkeypatch.setattr(gc, 'freeze', lambda: calls.append('freeze'))
    first, second = SimpleNamespace(state='active'), SimpleNamespace(state='unconfigured')
    settling = Settling([first, second, object()])
    settling()
    assert not calls
    second.state = 'inactive'
    settling()
    second.state = 'unconfigured'  # and once is enough
    settling()
    assert calls == ['collect', 'freeze']
