"""Child processes: they end with the command, and their last words are heard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from proc import alive
import pytest

from thermal_perception.cli.processes import ChildDied, Children, command_of, node_command

FOR_EVER = 'import time\nprint("up", flush=True)\nwhile True: time.sleep(0.01)'
STUBBORN = f'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{FOR_EVER}'


def python(code):
    return [sys.executable, '-c', code]


def wait_until(condition, limit_s=30.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, 'nothing happened in time'
        time.sleep(0.01)


def wait_for_word(child):
    wait_until(lambda: 'up' in child.log.read_text())


def test_children_run_side_by_side_and_end_with_the_context(tmp_path):
    with Children(os.environ, tmp_path) as children:
        pair = [children.start(name, python(FOR_EVER)) for name in ('a', 'b')]
        for child in pair:
            wait_for_word(child)
        children.check()
    assert [c.process.returncode for c in pair] == [-signal.SIGINT] * 2
    assert (tmp_path / 'a.log').read_text().startswith('up\n')


def test_children_end_when_the_context_is_left_by_an_error(tmp_path):
    with (
        pytest.raises(RuntimeError, match='something else'),
        Children(os.environ, tmp_path) as children,
    ):
        child = children.start('a', python(FOR_EVER))
        wait_for_word(child)
        raise RuntimeError('something else')
    assert child.process.returncode is not None


def test_death_of_a_child_is_reported_with_code_and_last_words(tmp_path):
    with Children(os.environ, tmp_path) as children:
        child = children.start('camera', python('print("no lens"); raise SystemExit(3)'))
        child.process.wait(30)
        with pytest.raises(ChildDied, match=r'camera failed with code 3.*camera\.log.*\nno lens'):
            children.check()


def test_child_that_ends_early_is_dead_even_if_it_calls_that_success(tmp_path):
    with Children(os.environ, tmp_path) as children:
        child = children.start('camera', python('print("bye")'))
        child.process.wait(30)
        with pytest.raises(ChildDied, match='camera ended although it should go on.*\nbye'):
            children.check()
        (complaint,) = children.stop()
        assert complaint.startswith('camera ended although it should go on')


def test_death_by_a_signal_is_named(tmp_path):
    with Children(os.environ, tmp_path) as children:
        child = children.start('camera', python(FOR_EVER))
        wait_for_word(child)
        child.process.kill()
        child.process.wait(30)
        with pytest.raises(ChildDied, match='camera was ended by SIGKILL'):
            children.check()


def test_child_that_has_done_its_work_is_no_death(tmp_path):
    with Children(os.environ, tmp_path) as children:
        children.wait_for(children.start('worker', python('print("done")'), finite=True))
        children.check()
        assert (tmp_path / 'worker.log').read_text() == 'done\n'


def test_failure_of_another_child_is_noticed_while_waiting(tmp_path):
    with Children(os.environ, tmp_path) as children:
        worker = children.start('worker', python(FOR_EVER))
        children.start('camera', python('raise SystemExit(4)'))
        with pytest.raises(ChildDied, match='camera failed with code 4'):
            children.wait_for(worker)


def test_child_that_ignores_the_request_is_killed_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr('thermal_perception.cli.processes._GRACE_S', 0.3)
    with Children(os.environ, tmp_path) as children:
        child = children.start('mule', python(STUBBORN))
        wait_for_word(child)
        assert [c.split(' and ')[0] for c in children.stop()] == [
            'mule did not end within 0 s of being asked to'
        ]
    assert child.process.returncode == -signal.SIGKILL


def test_crash_at_the_end_is_a_complaint(tmp_path):
    crash = f'try:\n  exec({FOR_EVER!r})\nexcept KeyboardInterrupt:\n  raise SystemExit(9)'
    with Children(os.environ, tmp_path) as children:
        wait_for_word(children.start('camera', python(crash)))
        (complaint,) = children.stop()
    assert complaint.startswith('camera failed with code 9')


PARENT = """
import os, pathlib, sys, time
from thermal_perception.cli.processes import Children
child = (
    'from thermal_perception.cli.processes import die_with_parent\\n'
    'die_with_parent()\\nimport time\\nprint("up", flush=True)\\nwhile True: time.sleep(0.01)'
)
children = Children(os.environ, pathlib.Path(sys.argv[1]))
print(children.start('child', [sys.executable, '-c', child]).process.pid, flush=True)
while True: time.sleep(0.01)
"""


def test_child_ends_even_when_its_parent_is_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    wait_until(lambda: 'up' in (tmp_path / 'child.log').read_text())
    assert alive(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(pid))


def test_paused_child_is_killed_with_its_parent(tmp_path):
    code = PARENT.replace('die_with_parent()', 'import signal\\ndie_with_parent(signal.SIGKILL)')
    parent = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    wait_until(lambda: 'up' in (tmp_path / 'child.log').read_text())
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(pid))


def test_child_that_asks_after_its_parent_was_killed_ends(tmp_path):
    late = 'import os, time\nwhile os.getppid() == PARENT: time.sleep(0.01)\n'
    code = PARENT.replace(
        "'die_with_parent()", f"{late!r}.replace('PARENT', str(os.getpid())) + 'die_with_parent()"
    )
    parent = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(pid))
    assert 'which started this one, has ended' in (tmp_path / 'child.log').read_text()


def test_node_command_spells_parameters_as_ros_reads_them():
    command = node_command(
        'fusion_detr',
        {'loop': True, 'rate': 0.5, 'size': [64, 96], 'text': 'a'},
        remaps={'in': '/out'},
        name='other',
    )
    assert command[:5] == [*command_of('run'), 'fusion_detr']
    assert command[5] == '--ros-args'
    assert command[6::2] == ['-p', '-p', '-p', '-p', '-r', '-r']
    assert command[7::2] == [
        'loop:=true',
        'rate:=0.5',
        'size:=[64, 96]',
        'text:=a',
        'in:=/out',
        '__node:=other',
    ]


def test_dumped_child_says_where_it_was(tmp_path):
    with Children(os.environ, tmp_path) as children:
        children.start('a', python(FOR_EVER))
        wait_for_word(children.named('a'))
        children.named('a').dump()
        assert children.named('a').process.returncode == -signal.SIGABRT
        assert 'File "<string>", line 3' in children.named('a').last_words()
