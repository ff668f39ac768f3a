"""`thermal-perception evaluate` on a folder of pairs: how good the fused images of a model are."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from rich.table import Table

from thermal_perception.cli import console
from thermal_perception.evaluation.image_fusion import FIGURES
from thermal_perception.evaluation.latency import LatencyRecorder
from thermal_perception.evaluation.pairs import open_pairs, score_fusion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thermal_perception.evaluation.image_fusion import FusionMetrics
    from thermal_perception.perceive import Perceiver

_LESS_IS_NOT_WORSE = ('MI_paper', 'VIF_paper')  # they grow with noise
UNITS = (
    'means over images; EN in bits, SD SF AG in grey levels, MI in nats; halo: slopes\n'
    'that neither image has, less is better; MI_paper and VIF_paper only for tables\n'
    'published with E2E-MFD'
)
_LESS_IS_BETTER = ('halo',)


def evaluate_pairs(
    dataset: Path, split: str | None, perceiver: Perceiver, json: Path | None
) -> None:
    """Fuse, score, print the table and write the JSON file.

    Raises:
        ThermalPerceptionError: if the data are not acceptable.
    """
    pairs = open_pairs(dataset, split)
    latency = LatencyRecorder(lambda frames: perceiver(frames, wanted={'fused_grey'}))
    with console.progress_bar('scoring') as progress:
        scorers = score_fusion(
            pairs,
            latency,
            tick=lambda done, total: progress.update(
                progress.task_ids[0], completed=done, total=total
            ),
        )
    metrics = {name: scorer.score() for name, scorer in scorers.items()}
    info = perceiver.info
    console.out.print(
        f'{info.model} ({info.fingerprint}), {perceiver.backend} on {perceiver.device}\n'
        f'{len(pairs)} pairs of {split or "all"}, fused at full size'
    )
    console.out.print(fusion_table(metrics))
    console.out.print(UNITS)
    if json:
        console.write_json(json, _content(perceiver, split, metrics, latency.summary_ms()))


def fusion_table(metrics: Mapping[str, FusionMetrics]) -> Table:
    """Return a row per figure and a column per way to fuse; the best of each row is bold."""
    table = Table(header_style='bold', box=None)
    table.add_column('figure')
    for name in metrics:
        table.add_column(name.replace('_', ' '), justify='right')
    for figure in FIGURES:
        values = [getattr(m.mean, figure) for m in metrics.values()]
        best = min(values) if figure in _LESS_IS_BETTER else max(values)
        cells = [
            f'[bold]{value:.3f}[/bold]'
            if value == best and figure not in _LESS_IS_NOT_WORSE
            else f'{value:.3f}'
            for value in values
        ]
        table.add_row(figure, *cells)
    return table


def _content(
    perceiver: Perceiver,
    split: str | None,
    metrics: Mapping[str, FusionMetrics],
    latency_ms: Mapping[str, Any],
) -> dict[str, Any]:
    info = perceiver.info
    values = {name: m.to_json() for name, m in metrics.items()}
    return {
        'model': info.model,
        'parameters': info.parameters,
        'fingerprint': info.fingerprint,
        'images': metrics['model'].images,
        'split': split,
        'metrics': values.pop('model'),
        'baselines': values,
        'device': perceiver.device,
        'backend': perceiver.backend,
        'latency_ms': latency_ms,
    }
