"""The page about a model that labels pixels."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.class_sets import bright_colours_of
from training.report.charts import parts_chart, Row
from training.report.label_charts import iou_chart, pixel_confusion_chart
from training.report.label_pictures import label_examples, UNKNOWN
from training.report.page import Drawing, figure_text, render_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.evaluation.figures import Part
    from training.report.judge_labels import LabelJudgement
    from training.report.page import Origin

_MEANS = {
    'mIoU': 'mIoU, all classes',
    'mIoU_foreground': 'mIoU without the unlabelled class',
    'mean_accuracy': 'accuracy, mean of the classes',
    'pixel_accuracy': 'pixels right',
}
_ON_DEV = ('mIoU', 'mIoU_foreground', 'pixel_accuracy')


def label_page(origin: Origin, judgement: LabelJudgement) -> str:
    """Return the HTML about a model and what it did on a split."""
    names = judgement.class_names
    best, worst = label_examples(judgement.images, names)
    shown = [name for name, m in judgement.metrics.per_class.items() if m.IoU is not None]
    colours = dict(zip(names, map(_css, bright_colours_of(names))))
    return render_page(
        'label_page.html.j2',
        origin,
        drawings=_drawings(judgement),
        figures=_ON_DEV,
        latency_ms=judgement.latency_ms,
        images=len(judgement.images),
        unit=judgement.unit if judgement.whole.intervals else None,
        undefined=judgement.metrics.undefined,
        means=_means(judgement.whole),
        classes=_classes(judgement),
        key={name: colours[name] for name in shown} | {'no verdict': _css(UNKNOWN)},
        best=best,
        worst=worst,
    )


def _drawings(judgement: LabelJudgement) -> list[Drawing]:
    classes = {name: m.IoU for name, m in judgement.metrics.per_class.items()}
    intervals = {name: _interval(judgement.whole, name, 'IoU') for name in classes}
    about = 'Parts of the images (how many), 95 % intervals.'
    return [
        Drawing(
            'Classes',
            'Intersection over union of all pixels, 95 % intervals.',
            iou_chart(classes, intervals),
        ),
        Drawing(
            'Confusion',
            'Percent of the pixels of a class, by what they were taken for.',
            pixel_confusion_chart(judgement.confusion, judgement.class_names),
        ),
        Drawing('Light or condition', about, _parts(judgement, 'mIoU')),
        Drawing(
            'Light or condition, without the unlabelled class',
            about,
            _parts(judgement, 'mIoU_foreground'),
        ),
    ]


def _parts(judgement: LabelJudgement, figure: str) -> str:
    rows = [
        Row(
            f'{part.attribute} {part.value} ({part.images})',
            part.figures['all'][figure],
            _interval(part, 'all', figure),
        )
        for part in judgement.parts
    ]
    return parts_chart(rows, 'mIoU')


def _means(whole: Part) -> list[tuple[str, str]]:
    values = whole.figures['all']
    return [
        (name, figure_text(values[figure], _interval(whole, 'all', figure)))
        for figure, name in _MEANS.items()
    ]


def _classes(judgement: LabelJudgement) -> list[list[str]]:
    """A row per class: IoU, accuracy, and its part of the pixels."""
    all_pixels = max(judgement.metrics.pixels, 1)
    return [
        [
            name,
            figure_text(metrics.IoU, _interval(judgement.whole, name, 'IoU')),
            figure_text(metrics.accuracy, _interval(judgement.whole, name, 'accuracy')),
            f'{100 * metrics.pixels / all_pixels:.2f} %',
        ]
        for name, metrics in judgement.metrics.per_class.items()
    ]


def _interval(part: Part, group: str, figure: str) -> Any:
    known: Mapping[str, Any] = part.intervals.get(group, {})
    return known.get(figure)


def _css(rgb: tuple[int, int, int]) -> str:
    return '#{:02x}{:02x}{:02x}'.format(*rgb)
