"""Starts cameras (or a bag) and the node, watches them, and says whether it went well."""

from __future__ import annotations

from functools import partial
from math import inf
import os
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.demo.listener import Listener
from thermal_perception.cli.demo.rgb_gap import RgbGap
from thermal_perception.cli.demo.show import make_folder, prepare
from thermal_perception.cli.demo.sources import node_parameters, START_LIMIT_S, start_source
from thermal_perception.cli.demo.view import Moment, open_screen, summary_table
from thermal_perception.cli.processes import Children, node_command
from thermal_perception.cli.ros import private_environment
from thermal_perception.errors import ThermalPerceptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.cli.demo.recorder import PictureRecorder
    from thermal_perception.cli.demo.show import DemoOptions, Show
    from thermal_perception.cli.demo.state import DemoState
    from thermal_perception.cli.demo.view import Screen
    from thermal_perception.cli.processes import Child


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
    with Children(environment, options.output / 'logs') as children:
        children.start(show.node, node_command(show.node, node_parameters(show)))
        with Listener(show.kind, show.state(), recorders) as listener:
            source = start_source(show, children)
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
    options, gap = show.options, _rgb_gap(show, listener)
    launched_s = time.monotonic()
    started_s: float | None = None
    while source.process.poll() is None:
        children.check()
        now_s = time.monotonic()
        if started_s is None and listener.look(partial(_has_answers, show)):
            started_s = now_s
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


def _rgb_gap(show: Show, listener: Listener) -> RgbGap | None:
    """Return what cuts the simulated colour camera off, where the model can do without."""
    duration_s = show.options.wanted_s
    if show.options.bag is not None or 'rgb' not in show.kind.cameras or duration_s is None:
        return None
    return RgbGap(listener.drop_rgb, duration_s)


def _has_answers(show: Show, state: DemoState[Any], _: Any) -> bool:
    """Tell whether the node has answered; one that says it cannot is not waited for."""
    if not state.frames and state.node.level == 'ERROR':
        raise NothingDetected(f'{show.node}: {state.node.message}')
    return state.frames > 0


def _draw(screen: Screen, moment: Moment, state: DemoState[Any], overlay: Any) -> None:
    screen.show(state, overlay, moment)


def _silence(show: Show, when: str) -> str:
    return f'{show.node} answered no frame {when}; see {show.options.output / "logs"}'


def _conclude(
    show: Show, state: DemoState[Any], recorders: Mapping[str, PictureRecorder]
) -> None:
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
