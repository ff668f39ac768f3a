"""What the four verbs have in common: parts, intervals, the JSON file, the closing lines."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score_tables import intervals_to_json, method
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.figures import Draws, parts, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from thermal_perception.evaluation.figures import FigureTable, Part


@dataclass(frozen=True)
class Report:
    """Figures of all images and of their parts, with how sure they are.

    Attributes:
        all: figures of all images.
        parts: figures by light and altitude, as far as names tell.
        draws: how a bootstrap drew; None without one.
        unit: what it drew, `image` or `scene`.
    """

    all: Part
    parts: tuple[Part, ...]
    draws: Draws | None
    unit: str = 'image'

    def to_json(self, held: str | None) -> dict[str, Any]:
        """Return plain values, as `evaluate` writes them.

        Args:
            held: what the images hold, as `boxes`; None leaves their number out.
        """
        content: dict[str, Any] = {'breakdown': [_part_to_json(p, held) for p in self.parts]}
        if self.draws:
            how = method(self.draws.resamples, self.unit, self.draws.seed)
            content['intervals'] = {**how, 'groups': intervals_to_json(self.all.intervals)}
        return content


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr; call what it gives with the images done and in total."""
    with console.progress_bar('scoring') as bar:
        yield lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)


def make_report(table: FigureTable, bootstrap: int, seed: int, unit: str = 'image') -> Report:
    """Score all images and their parts, with intervals if `bootstrap` is above zero."""
    draws = Draws(bootstrap, seed) if bootstrap else None
    with console.err.status('resampling') if draws else nullcontext():
        return Report(whole(table, draws), tuple(parts(table, draws)), draws, unit)


def check_classes(names: Sequence[str] | None) -> None:
    """Refuse `--classes` without a name or with the same twice.

    Raises:
        ConfigError: with what was given.
    """
    if names is not None and (len(set(names)) < len(names) or '' in names):
        raise ConfigError(f'--classes {",".join(names)}: expected different names')


def print_method(report: Report) -> None:
    """Say how the intervals were made, if there are any."""
    if report.draws:
        console.out.print(
            f'intervals: percentile bootstrap, {report.draws.resamples} draws of '
            f'{report.unit}s, seed {report.draws.seed}'
        )


def warn_left_out(left_out: Mapping[str, Sequence[str]], results: str) -> None:
    """Name on stderr the files that nothing was made of.

    Args:
        left_out: side to names of its images.
        results: what they lack, as `fused`.
    """
    for side, names in left_out.items():
        warn(
            f'{len(names)} {side} images have no {results} one and were left out, '
            f'the first is {names[0]}'
        )


def warn(sentence: str) -> None:
    """Print a warning on stderr."""
    console.err.print(sentence, style='yellow', soft_wrap=True)


def write(path: Path | None, content: Mapping[str, Any]) -> None:
    """Write the JSON file, if one was asked for."""
    if path:
        console.write_json(path, content)


def _part_to_json(part: Part, held: str | None) -> dict[str, Any]:
    classes = {group: dict(values) for group, values in part.figures.items() if group != 'all'}
    values: dict[str, Any] = {
        'attribute': part.attribute,
        'value': part.value,
        'images': part.images,
        **({held: part.held} if held else {}),
        **part.figures['all'],
        **({'per_class': classes} if classes else {}),
    }
    if part.intervals:
        values['intervals'] = intervals_to_json(part.intervals)
    return values
