"""Starts cameras (or a bag) and the node, watches them, and says whether it went well."""

from __future__ import annotations

from functools import partial
from math import inf
import os
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.demo.show import make_folder, prepare
from thermal_perception.cli.demo.sources import START_LIMIT_S
from thermal_perception.cli.demo.view import Moment, open_screen, summary_table
from thermal_perception.cli.processes import Children
from thermal_perception.cli.ros import private_environment
from thermal_perception.errors import ThermalPerceptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.cli.demo.listener import Listener
    from thermal_perception.cli.demo.recorder import PictureRecorder
    from thermal_perception.cli.demo.show import DemoOptions, Show
    from thermal_perception.cli.demo.state import DemoState
    from thermal_perception.cli.demo.view import Screen
    from thermal_perception.cli.processes import Child

_ERROR_LIMIT_S = 3.0
"""A node may lack something for a moment when it starts; one in error for longer will not work."""


class NothingDetected(ThermalPerceptionError):
    """The demo ran, but the node found nothing."""


def demo(options: DemoOptions) -> None:
    """Run the demo.

    Raises:
        ChildDied: if a process ended that should not have.
        NothingDetected: if the node answered no frame, or never with anything.
        ThermalPerceptionError: if the weights, the bag or an option is not acceptable.
    """
    show = prepare(options)
    make_folder(options.output)
    environment = private_environment()
    os.environ.update(environment)  # our own listener joins the same domain
    recorders = show.recorders()
    with Children({**environment, **show.environment}, options.output / 'logs') as children:
        show.start_nodes(children)
        with show.listener(show.state(), recorders) as listener:
            source = show.start_source(children)
            with open_screen(console.out) as screen:
                _watch(show, children, source, listener, screen)
            state = listener.look(lambda state, _: state)
        complaints = children.stop()
    _conclude(show, state, recorders)
    if complaints:
        raise ThermalPerceptionError('\n'.join(complaints))


def _watch(
    show: Show, children: Children, source: Child, listener: Listener, screen: Screen
) -> None:
    """Show what happens until the time is over or the bag has ended."""
    options, gap = show.options, show.gap(listener)
    launched_s = well_s = time.monotonic()
    started_s: float | None = None
    while source.process.poll() is None:
        children.check()
        now_s = time.monotonic()
        if started_s is None and listener.look(_has_answers):
            started_s = now_s
        error = '' if started_s is not None else listener.look(_error)
        if not error:
            well_s = now_s
        elif now_s - well_s > _ERROR_LIMIT_S:
            raise NothingDetected(f'{show.node}: {error}')
        if started_s is None and now_s - launched_s > START_LIMIT_S:
            raise NothingDetected(_silence(show, f'within {START_LIMIT_S:.0f} s'))
        elapsed_s = None if started_s is None else now_s - started_s
        note = gap.at(elapsed_s) if gap is not None and elapsed_s is not None else ''
        moment = Moment(show.title, now_s - launched_s, elapsed_s, options.wanted_s, note)
        listener.look(partial(_draw, screen, moment))
        if elapsed_s is not None and elapsed_s >= (options.wanted_s or inf):
            return
        time.sleep(screen.every_s)
    children.check()


def _has_answers(state: DemoState[Any], _: Any) -> bool:
    return state.frames > 0


def _error(state: DemoState[Any], _: Any) -> str:
    return state.error


def _draw(screen: Screen, moment: Moment, state: DemoState[Any], overlay: Any) -> None:
    screen.show(state, overlay, moment)


def _silence(show: Show, when: str) -> str:
    return f'{show.node} answered no frame {when}; see {show.options.output / "logs"}'


def _conclude(show: Show, state: DemoState[Any], recorders: Mapping[str, PictureRecorder]) -> None:
    console.out.print(f'\n[bold]{show.title}[/bold]')
    console.out.print(summary_table(state))
    for recorder in recorders.values():
        if recorder.video_frames:
            stills = f', {len(recorder.pictures)} pictures beside it' if recorder.pictures else ''
            line = f'{recorder.video_path}: {recorder.video_frames} frames{stills}'
            console.out.print(line, soft_wrap=True)  # paths are copied
    summary = {'title': show.title, **state.to_json()}
    console.write_json(show.options.output / 'summary.json', summary)
    if not state.frames:
        raise NothingDetected(_silence(show, 'at all'))
    if not state.found:
        found = f'{show.node} answered {state.frames} frames and never found anything'
        raise NothingDetected(found)
