"""The page: one HTML file that needs nothing beside it; everything in it is escaped."""

from __future__ import annotations

import os
from pathlib import Path
import platform
from typing import Any, TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
import torch
import yaml

from training.report import charts
from training.report.pictures import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.perceive import ModelInfo
    from training.report.history import History
    from training.report.judge import Judgement

_FIGURES = ('mAP50', 'mAP', 'mAP75', 'mAP_small', 'mAP_medium', 'mAP_large', 'AR100')


def render_page(
    info: ModelInfo,
    judgement: Judgement,
    *,
    history: History | None,
    config: Mapping[str, Any],
    data: str,
    command: str,
) -> str:
    """Return the HTML.

    Args:
        info: the model.
        judgement: what it did on a split.
        history: the log of its run, None for a checkpoint alone.
        config: the experiment.
        data: name of data set and split.
        command: the call that made the page.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    best, worst = examples(judgement.images)
    return environment.get_template('page.html.j2').render(
        info=info,
        judgement=judgement,
        images=len(judgement.images),
        rows=_score_rows(judgement),
        charts=[(title, about, Markup(svg)) for title, about, svg in _charts(judgement, history)],
        best=best,
        worst=worst,
        latency=charts.latency_rows(judgement.latency_ms),
        throughput=history.throughput if history else (),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        system=_system(),
        data=data,
        command=command,
    )


def _charts(judgement: Judgement, history: History | None) -> list[tuple[str, str, str]]:
    """Title, what to read from it, SVG; those without data are left out."""
    drawn = [
        (
            'Precision and recall',
            'Interpolated precision at IoU 0.5, all scores.',
            charts.pr_chart(judgement.table),
        ),
        (
            'Confusion',
            f'Boxes of at least {judgement.threshold:.2f}, matched at IoU 0.5 whatever the class.',
            charts.confusion_chart(judgement.confusion, judgement.class_names),
        ),
        (
            'Size of the objects',
            'Small is below 32 x 32 pixels, large at least 96 x 96.',
            charts.size_chart(judgement),
        ),
        (
            'Light, altitude, condition',
            'Parts of the images (how many), 95 % intervals.',
            charts.slices_chart(judgement),
        ),
        (
            'Weights of the scales',
            'How much each stride counts, by mean size of the objects in the image (how many).',
            charts.fusion_chart(judgement.images),
        ),
    ]
    if history is not None and len(history.steps):
        drawn.append(('Loss', 'Running mean over 25 steps.', charts.loss_chart(history)))
    if history is not None and history.dev:
        drawn.append(('Scores on dev', 'After each evaluation.', charts.dev_chart(history)))
    return [row for row in drawn if row[2]]


def _score_rows(judgement: Judgement) -> list[list[str]]:
    """A row per class and one for all: figures, those with an interval say it."""
    groups = {'all': judgement.metrics, **judgement.metrics.per_class}
    return [
        [name, *(_figure(values, f, judgement.intervals.get(name, {})) for f in _FIGURES)]
        for name, values in groups.items()
    ]


def _figure(values: Any, figure: str, intervals: Mapping[str, Any]) -> str:
    value = getattr(values, figure, None)
    if value is None:
        return '–'
    known = intervals.get(figure)
    return f'{value:.3f}' if known is None else f'{value:.3f} ({known.low:.3f}–{known.high:.3f})'


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
