"""The page: one HTML file that needs nothing beside it; everything in it is escaped."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import platform
from typing import Any, TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
import torch
import yaml

from training.report import charts, gradient_charts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermal_perception.perceive import ModelInfo
    from training.report.history import History


@dataclass(frozen=True)
class Origin:
    """What a page is about and how it came to be.

    Attributes:
        info: the model.
        history: the log of its run, None for a checkpoint alone.
        config: the experiment.
        data: name of data set and split.
        command: the call that made the page.
    """

    info: ModelInfo
    history: History | None
    config: Mapping[str, Any]
    data: str
    command: str


@dataclass(frozen=True)
class Drawing:
    """A chart of the page.

    Attributes:
        title: what it shows.
        about: how to read it.
        svg: the chart; empty if there is nothing to show.
    """

    title: str
    about: str
    svg: str


def render_page(
    template: str,
    origin: Origin,
    *,
    drawings: Sequence[Drawing],
    figures: Sequence[str],
    latency_ms: Mapping[str, Mapping[str, float]],
    **values: Any,
) -> str:
    """Return the HTML.

    Args:
        template: file beside this one.
        origin: what the page is about.
        drawings: charts of the model; those of its run follow.
        figures: what the curves of dev show.
        latency_ms: median and 90th percentile per stage.
        values: what else the template asks for.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    history = origin.history
    drawn = [*drawings, *(_of_run(history, figures) if history else ())]
    return environment.get_template(template).render(
        info=origin.info,
        charts=[(d.title, d.about, Markup(d.svg)) for d in drawn if d.svg],
        latency=charts.latency_rows(latency_ms),
        throughput=history.throughput if history else (),
        config=yaml.safe_dump(dict(origin.config), sort_keys=False, allow_unicode=True),
        system=_system(),
        data=origin.data,
        command=origin.command,
        **values,
    )


def figure_text(value: float | None, interval: Any) -> str:
    """Return a figure, with its interval if there is one."""
    if value is None:
        return '–'
    if interval is None:
        return f'{value:.3f}'
    return f'{value:.3f} ({interval.low:.3f}–{interval.high:.3f})'


def _of_run(history: History, figures: Sequence[str]) -> list[Drawing]:
    drawn = []
    if len(history.steps):
        svg = charts.loss_chart(history)
        drawn.append(Drawing('Loss', 'Running mean over 25 steps.', svg))
    about = 'On the weights that all tasks share, at the steps where gradients were measured.'
    svg = gradient_charts.balance_chart(history)
    drawn.append(Drawing('Gradients of the tasks: balance', about, svg))
    svg = gradient_charts.conflict_chart(history)
    drawn.append(Drawing('Gradients of the tasks: conflict', about, svg))
    if history.dev:
        svg = charts.dev_chart(history, figures)
        drawn.append(Drawing('Scores on dev', 'After each evaluation.', svg))
    return drawn


def _system() -> dict[str, str]:
    """What the figures were measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'
    return {
        'processor': _processor(),
        'cores': str(os.cpu_count()),
        'GPU': gpu,
        'Python': platform.python_version(),
        'torch': torch.__version__,
    }


def _processor() -> str:
    table = Path('/proc/cpuinfo')
    if table.is_file():
        for line in table.read_text(encoding='utf-8', errors='replace').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()
