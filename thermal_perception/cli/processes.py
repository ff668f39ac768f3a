"""Child processes of a command: each with a log file, and all ended with the command."""

from __future__ import annotations

from contextlib import suppress
import ctypes
from dataclasses import dataclass
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from thermal_perception.errors import ThermalPerceptionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

DIE_WITH_PARENT = 'THERMAL_PERCEPTION_DIE_WITH_PARENT'
"""Environment variable with our process number, for our children: see `die_with_parent`."""

_PR_SET_PDEATHSIG = 1
# More than a node may need: ten seconds each for its worker and its camera's thread.
_GRACE_S = 30.0
_LOOK_AGAIN_S = 0.2
_STOPPED = (0, 130, -signal.SIGINT, -signal.SIGTERM)


class ChildDied(ThermalPerceptionError):
    """A process that should have gone on has ended; the message holds its last words."""


@dataclass(frozen=True)
class Child:
    """A process.

    Attributes:
        name: for messages.
        process: itself.
        log: file with all it printed.
        finite: it may end by itself, with code 0; any other end is a death.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    finite: bool = False

    def last_words(self, lines: int = 12) -> str:
        """Return the end of its log."""
        text = self.log.read_text(encoding='utf-8', errors='replace').strip()
        return '\n'.join(text.splitlines()[-lines:])

    @property
    def lines(self) -> list[str]:
        """The complete lines it has printed so far."""
        text = self.log.read_text(encoding='utf-8', errors='replace')
        return text.rpartition('\n')[0].splitlines()

    def pause(self) -> None:
        """Halt it where it is; not for a process that shares memory with others, as DDS does."""
        self.process.send_signal(signal.SIGSTOP)

    def dump(self) -> None:
        """End it, with the stacks of all its threads in its log."""
        self.process.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_S)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


class Children:
    """Starts processes and ends them, whatever happens, when its context ends."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        """Keep what every child gets.

        Args:
            environment: of the children, instead of ours.
            logs: existing folder; each child writes `NAME.log` there.
        """
        self._environment = {
            **environment,
            DIE_WITH_PARENT: str(os.getpid()),
            'PYTHONUNBUFFERED': '1',
            'PYTHONFAULTHANDLER': '1',  # a crash says in its log where it was
        }
        self._logs = logs
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        """Return itself; nothing runs yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every child."""
        self.stop()

    def start(self, name: str, command: Sequence[str], *, finite: bool = False) -> Child:
        """Start a process; `name` is for messages and its log file; see `Child` for `finite`."""
        log = self._logs / f'{name}.log'
        with log.open('wb') as output:
            process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours; we end the children in order
            )
        child = Child(name, process, log, finite)
        self._children.append(child)
        return child

    def named(self, name: str) -> Child:
        """Return the child of this name that was started last."""
        return [child for child in self._children if child.name == name][-1]

    def check(self) -> None:
        """Look after the children.

        Raises:
            ChildDied: if one has failed or ended too early, with the end of its log.
        """
        for child in self._children:
            if sentence := _obituary(child):
                raise ChildDied(sentence)

    def wait_for(self, child: Child) -> None:
        """Return when a child has done its work.

        Raises:
            ChildDied: if this or any other child has failed.
        """
        while child.process.poll() is None:
            self.check()
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(_LOOK_AGAIN_S)
        self.check()

    def stop(self) -> list[str]:
        """End every child, politely first.

        Returns:
            A sentence for each child that did not end as asked, or before it was asked to.
        """
        complaints = [sentence for child in self._children if (sentence := _obituary(child))]
        running = [c for c in self._children if c.process.poll() is None]
        for child in running:
            child.process.send_signal(signal.SIGINT)
            child.resume()  # a paused process hears nothing else
        deadline = time.monotonic() + _GRACE_S
        complaints += [c for child in running if (c := _await_end(child, deadline))]
        self._children.clear()
        return complaints


def die_with_parent(how: signal.Signals = signal.SIGTERM) -> None:
    """End this process when the command that started it is killed; for its children to call.

    Args:
        how: what ends it; SIGKILL also reaches one that is paused.
    """
    parent = os.environ.get(DIE_WITH_PARENT)
    if parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, how)
        if os.getppid() != int(parent):  # it ended before we asked, while we were importing
            raise SystemExit(f'process {parent}, which started this one, has ended')


def command_of(*arguments: str) -> list[str]:
    """Return a `thermal-perception` call with this very Python."""
    return [sys.executable, '-m', 'thermal_perception.cli.main', *arguments]


def node_command(
    node: str,
    parameters: Mapping[str, object],
    *,
    remaps: Mapping[str, str] | None = None,
    name: str | None = None,
) -> list[str]:
    """Return the call that runs a node with ROS parameters and remapped names."""
    arguments = []
    for key, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        arguments += ['-p', f'{key}:={text}']
    for old, new in (remaps or {}).items():
        arguments += ['-r', f'{old}:={new}']
    if name:
        arguments += ['-r', f'__node:={name}']
    return command_of('run', node, '--ros-args', *arguments)


def _await_end(child: Child, deadline: float) -> str | None:
    try:
        code = child.process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
        return f'{child.name} did not end within {_GRACE_S:.0f} s of being asked to and was killed'
    return None if code in _STOPPED else _obituary(child)


def _obituary(child: Child) -> str | None:
    """Return how a child died, None if it lives or has done its work."""
    code = child.process.poll()
    if code is None or (code == 0 and child.finite):
        return None
    how = 'ended although it should go on' if code == 0 else f'failed with code {code}'
    if code < 0:
        how = f'was ended by {signal.Signals(-code).name}'
    return f'{child.name} {how}; its last words ({child.log}):\n{child.last_words()}'
