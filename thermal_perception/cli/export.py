"""`thermal-perception export`: a network as a run-time wants it, made once and for all starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape

from thermal_perception.cli import console
from thermal_perception.perceive.export import export as write_artefact
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        to: run-time.
        checkpoint: file of the weights; None takes the shipped ones of `model`.
        model: shipped model.
        output: folder; None: beside the weights.
        size: (height, width) of camera images; None: what the model was trained for.
        force: replace an artefact that is there.
    """

    to: str
    checkpoint: Path | None = None
    model: str = 'fusion_detr_lite'
    output: Path | None = None
    size: tuple[int, int] | None = None
    force: bool = False


def export(options: ExportOptions) -> None:
    """Write the artefact, and tell where it is.

    Raises:
        ThermalPerceptionError: if the checkpoint, the run-time or the place is not acceptable.
    """
    with console.progress_bar('graphs') as bar:

        def advance(name: str, of: int) -> None:
            bar.update(bar.task_ids[0], total=of, advance=1, description=escape(name))

        folder, record = write_artefact(
            options.checkpoint or shipped_weights(options.model),
            options.to,
            folder=options.output,
            size=options.size,
            replace=options.force,
            on_graph=advance,
        )
    megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    height, width = record.image_size
    console.out.print(
        f'{record.model} ({record.fingerprint}), {width} x {height} pixels, '
        f'{megabytes:.0f} MB, in {folder}',
        markup=False,
        soft_wrap=True,
    )
    for graph in record.graphs:
        console.out.print(f'  {graph.name} ({graph.opset})', markup=False)
