"""The page about a model that finds boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.report import box_charts
from training.report.charts import parts_chart, Row
from training.report.page import Drawing, figure_text, render_page
from training.report.pictures import examples

if TYPE_CHECKING:
    from training.report.judge import Judgement
    from training.report.page import Origin

_FIGURES = ('mAP50', 'mAP', 'mAP75', 'mAP_small', 'mAP_medium', 'mAP_large', 'AR100')
_ON_DEV = ('mAP50', 'mAP', 'mAP75')


def box_page(origin: Origin, judgement: Judgement) -> str:
    """Return the HTML about a model and what it did on a split."""
    best, worst = examples(judgement.images)
    return render_page(
        'box_page.html.j2',
        origin,
        drawings=_drawings(judgement),
        figures=_ON_DEV,
        latency_ms=judgement.latency_ms,
        judgement=judgement,
        images=len(judgement.images),
        rows=_score_rows(judgement),
        best=best,
        worst=worst,
    )


def _drawings(judgement: Judgement) -> list[Drawing]:
    return [
        Drawing(
            'Precision and recall',
            'Interpolated precision at IoU 0.5, all scores.',
            box_charts.pr_chart(judgement.table),
        ),
        Drawing(
            'Confusion',
            f'Boxes of at least {judgement.threshold:.2f}, matched at IoU 0.5 whatever the class.',
            box_charts.confusion_chart(judgement.confusion, judgement.class_names),
        ),
        Drawing(
            'Size of the objects',
            'Small is below 32 x 32 pixels, large at least 96 x 96.',
            box_charts.size_chart(judgement),
        ),
        Drawing(
            'Light, altitude, condition',
            'Parts of the images (how many), 95 % intervals.',
            parts_chart(_parts(judgement), 'mAP50'),
        ),
        Drawing(
            'Weights of the scales',
            'How much each stride counts, by mean size of the objects in the image (how many).',
            box_charts.fusion_chart(judgement.images),
        ),
    ]


def _parts(judgement: Judgement) -> list[Row]:
    return [
        Row(
            f'{part.attribute} {part.value} ({part.images})',
            part.figures['all']['mAP50'],
            part.intervals.get('all'),
        )
        for part in judgement.slices
    ]


def _score_rows(judgement: Judgement) -> list[list[str]]:
    """A row per class and one for all: figures, those with an interval say it."""
    groups = {'all': judgement.metrics, **judgement.metrics.per_class}
    known = judgement.intervals
    return [
        [
            name,
            *(figure_text(getattr(values, f, None), known.get(name, {}).get(f)) for f in _FIGURES),
        ]
        for name, values in groups.items()
    ]
