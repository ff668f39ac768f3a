"""How the demo looks: a live view for terminals, lines for logs, a summary at the end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TYPE_CHECKING

import cv2
from rich.columns import Columns
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from thermal_perception.cli.console import fraction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from rich.console import Console, RenderableType

    from thermal_perception.cli.demo.state import DemoState

_FACTS_WIDTH = 46
_LEVEL_STYLES = {'OK': 'green', 'WARN': 'yellow', 'ERROR': 'bold red', 'STALE': 'magenta'}
_MANY_CAUSES = 4


@dataclass(frozen=True)
class Moment:
    """Where the demo is.

    Attributes:
        title: what is shown.
        since_launch_s: seconds since the processes were started.
        elapsed_s: seconds since the first answer; None before it.
        duration_s: seconds to go on for from then; None for until the bag ends.
        note: what the demo itself does to the cameras; empty if nothing.
    """

    title: str
    since_launch_s: float
    elapsed_s: float | None
    duration_s: float | None
    note: str = ''


class Screen(Protocol):
    """Somewhere to show the demo, every `every_s` seconds."""

    every_s: float

    def show(self, state: DemoState[Any], overlay: NDArray[Any] | None, moment: Moment) -> None:
        """Show what was seen so far."""


class LiveScreen:
    """A whole terminal that is drawn again and again."""

    every_s = 0.2

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, state: DemoState[Any], overlay: NDArray[Any] | None, moment: Moment) -> None:
        """Draw the screen."""
        console = self._live.console
        view = live_view(state, overlay, moment, (console.height, console.width))
        self._live.update(view, refresh=True)


class LogScreen:
    """A line now and then, for a log."""

    every_s = 2.0

    def __init__(self) -> None:
        self._said_starting = False

    def show(self, state: DemoState[Any], overlay: NDArray[Any] | None, moment: Moment) -> None:
        """Print a line; while nothing has come yet, only once."""
        if moment.elapsed_s is not None:
            print(log_line(state, moment.elapsed_s, moment.note), flush=True)
        elif not self._said_starting:
            print(f'{moment.title}: starting', flush=True)
            self._said_starting = True


@contextmanager
def open_screen(console: Console) -> Iterator[Screen]:
    """Give a live screen on a terminal, a log elsewhere."""
    if not console.is_terminal:
        yield LogScreen()
        return
    with Live(console=console, auto_refresh=False, screen=True) as live:
        yield LiveScreen(live)


def live_view(
    state: DemoState[Any], overlay: NDArray[Any] | None, moment: Moment, size: tuple[int, int]
) -> RenderableType:
    """Return the whole screen.

    Args:
        state: what was seen so far.
        overlay: the latest overlay, (H, W, 3) uint8 BGR.
        moment: title and time.
        size: (rows, columns) of the terminal; the picture is left out where it does not fit.
    """
    rows, columns = size
    facts = Group(_pipeline(state), Text(), _stages(state), Text(), _found(state))
    room = (rows - 6, columns - _FACTS_WIDTH - 8)
    parts: list[RenderableType] = [facts]
    if overlay is not None and room[0] >= 12 and room[1] >= 30:
        parts.append(picture(overlay, room))
    body = Columns(parts, padding=(0, 3)) if len(parts) > 1 else facts
    return Panel(
        Group(_time_bar(moment), Text(moment.note, style='yellow'), body),
        title=f'[bold]{moment.title}',
        border_style='cyan',
    )


def picture(image: NDArray[Any], room: tuple[int, int]) -> Text:
    """Return an image as text, two pixels per character cell.

    Args:
        image: (H, W, 3) uint8 BGR.
        room: (rows, columns) it may take; the aspect is kept.
    """
    height, width = image.shape[:2]
    scale = min(room[1] / width, 2 * room[0] / height)
    small = cv2.resize(
        image,
        (max(1, int(width * scale)), max(2, 2 * int(height * scale / 2))),
        interpolation=cv2.INTER_AREA,
    )
    text = Text(no_wrap=True)
    for upper, lower in zip(small[::2].tolist(), small[1::2].tolist()):
        for above, below in zip(upper, lower):
            text.append('▀', Style(color=_colour(above), bgcolor=_colour(below)))
        text.append('\n')
    return text


def log_line(state: DemoState[Any], elapsed_s: float, note: str = '') -> str:
    """Return the state as one line for a log; `note` as in `Moment`."""
    now = (
        ' '.join(f'{name}={_amount(n)}' for name, n in sorted(state.now_by_class.items()))
        or 'nothing'
    )
    scores = ' '.join(f'{name}={fraction(value)}' for name, value in _main_scores(state))
    return (
        f'{elapsed_s:5.1f} s  frames={state.frames} rate={state.rate_hz:.1f} Hz '
        f'age={_ms(state.age_ms(50))}/{_ms(state.age_ms(99))} ms '
        f'{scores} node={state.node.level}  now: {now}'
        + (f'  ({state.node.message})' if state.node.level in {'WARN', 'ERROR'} else '')
        + (f'  [{note}]' if note else '')
    )


def summary_table(state: DemoState[Any]) -> Table:
    """Return what the demo found, for the end."""
    table = _grid(max_width=None)
    table.add_row('frames answered', f'{state.frames} at {state.rate_hz:.1f} Hz')
    table.add_row('not processed', _not_processed(state))
    table.add_row('age of an answer', _age(state))
    for name, text in state.facts.items():
        table.add_row(name, text)
    for stage, (median, p99) in state.node.stages_ms.items():
        table.add_row(f'  {stage}', f'{_tenths(median)} ms median, {_tenths(p99)} ms p99')
    most = sorted(state.by_class.items(), key=lambda item: -item[1])
    found = ', '.join(f'{_amount(n)} {name}' for name, n in most)
    total = sum(state.by_class.values())
    table.add_row('found', f'{_amount(total)}: {found}' if most else 'nothing')
    _add_score(table, state, state.scores)
    return table


def _time_bar(moment: Moment) -> RenderableType:
    if moment.elapsed_s is None:
        return Text(f'starting, {moment.since_launch_s:.0f} s', style='dim')
    if moment.duration_s is None:
        return Text(f'{moment.elapsed_s:.0f} s', style='dim')
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1)
    row.add_column(justify='right')
    done = min(moment.elapsed_s, moment.duration_s)
    row.add_row(
        ProgressBar(total=moment.duration_s, completed=done),
        f'{done:.0f} of {moment.duration_s:.0f} s',
    )
    return row


def _pipeline(state: DemoState[Any]) -> Table:
    node = state.node
    table = _grid()
    style = _LEVEL_STYLES.get(node.level, '')
    table.add_row('node', Text(f'{node.level}  {node.message}', style=style, overflow='ellipsis'))
    table.add_row('running on', ' '.join(_known(state, 'device', 'backend')))
    table.add_row('frames answered', f'{state.frames}')
    table.add_row('rate', f'{state.rate_hz:.1f} Hz')
    table.add_row('age of an answer', _age(state))
    table.add_row('not processed', _not_processed(state))
    for name, text in state.facts.items():
        table.add_row(name, text)
    return table


def _stages(state: DemoState[Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style='dim')
    table.add_column('stage', width=18)
    table.add_column('median ms', justify='right')
    table.add_column('p99 ms', justify='right')
    for stage, (median, p99) in state.node.stages_ms.items():
        table.add_row(stage, _tenths(median), _tenths(p99))
    return table


def _found(state: DemoState[Any]) -> Table:
    table = _grid()
    for name in sorted(state.by_class):
        now, overall = state.now_by_class.get(name, 0), state.by_class[name]
        ending = 'in all' if isinstance(overall, int) else 'on average'
        table.add_row(name, f'{_amount(now):>3} now {_amount(overall):>6} {ending}')
    _add_score(table, state, dict(_main_scores(state)))
    return table


def _add_score(table: Table, state: DemoState[Any], scores: Mapping[str, float | None]) -> None:
    if not state.scored:
        table.add_row('ground truth', 'none yet')
        return
    for name, value in scores.items():
        table.add_row(name, Text(f'{fraction(value)} %', style='bold'))


def _main_scores(state: DemoState[Any]) -> list[tuple[str, float | None]]:
    """Return those that fit in a line; classes have theirs at the end."""
    return [(name, value) for name, value in state.scores.items() if ' ' not in name]


def _amount(value: float) -> str:
    """Return a number of boxes, or a share of the pixels."""
    return str(value) if isinstance(value, int) else f'{100 * value:.1f}%'


def _age(state: DemoState[Any]) -> str:
    if not state.live:
        return 'not known: recorded stamps'
    return f'{_ms(state.age_ms(50))} ms median, {_ms(state.age_ms(99))} ms p99'


def _tenths(text: str) -> str:
    """Shorten a number of the diagnostics; other text stays."""
    try:
        return f'{float(text):.1f}'
    except ValueError:
        return text


def _ms(value: float | None) -> str:
    return '-' if value is None else f'{value:.0f}'


def _not_processed(state: DemoState[Any]) -> str:
    counts = sorted(((n, c) for c, n in state.node.not_processed.items()), reverse=True)
    return ', '.join(f'{n} {cause}' for n, cause in counts[:_MANY_CAUSES]) or 'none'


def _known(state: DemoState[Any], *keys: str) -> list[str]:
    return [state.node.values[key] for key in keys if key in state.node.values]


def _grid(max_width: int | None = _FACTS_WIDTH - 18) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style='dim', min_width=16)
    table.add_column(max_width=max_width)
    return table


def _colour(bgr: list[int]) -> str:
    return f'#{bgr[2]:02x}{bgr[1]:02x}{bgr[0]:02x}'
