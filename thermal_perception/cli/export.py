"""`thermal-perception export`: a network as a run-time wants it, made once and for all starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape

from thermal_perception.cli import console
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.calibration import open_images
from thermal_perception.perceive.export import export as write_artefact
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
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
        precision: of its numbers: `fp32` or `int8`.
        calibrate: folder of images, or data set, whose ranges int8 numbers get.
        split: of that data set; never one that is tested on.
        images: how many of them.
        cameras: nodes that share the network; there are graphs for up to so many images together.
    """

    to: str
    checkpoint: Path | None = None
    model: str = 'fusion_detr_lite'
    output: Path | None = None
    size: tuple[int, int] | None = None
    force: bool = False
    precision: str = 'fp32'
    calibrate: Path | None = None
    split: str | None = None
    images: int = 64
    cameras: int = 1

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        if self.precision not in ('fp32', 'int8'):
            raise ConfigError(
                f'export: found --precision {self.precision}, expected fp32 or int8; a node '
                'rounds fp32 to bf16 or fp16 by itself'
            )
        if (self.precision == 'int8') != (self.calibrate is not None):
            raise ConfigError(
                'export: --precision int8 and --calibrate DIR, a folder of images like those of '
                'the camera, need each other'
            )


def export(options: ExportOptions) -> None:
    """Write the artefact, and tell where it is.

    Raises:
        ThermalPerceptionError: if the checkpoint, the run-time or the place is not acceptable.
    """
    images = None
    if options.calibrate is not None:
        images = open_images(options.calibrate, options.split, options.images)
    with console.progress_bar('graphs') as bar:

        def advance(name: str, of: int) -> None:
            bar.update(bar.task_ids[0], total=of, advance=1, description=escape(name))

        folder, record = write_artefact(
            options.checkpoint or shipped_weights(options.model),
            options.to,
            folder=options.output,
            size=options.size,
            together=options.cameras,
            replace=options.force,
            calibrate=images,
            on_graph=advance,
        )
    megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    height, width = record.image_size
    console.out.print(
        f'{record.model} ({record.fingerprint}), {record.precision}, {width} x {height} pixels, '
        f'{megabytes:.0f} MB, in {folder}',
        markup=False,
        soft_wrap=True,
    )
    for graph in record.graphs:
        console.out.print(f'  {graph.name} ({graph.opset})', markup=False)
        if graph.int8:
            console.out.print(
                f'    int8: {_counts(graph.int8)}; floating point: {_counts(graph.floating)}; '
                f'calibrated by {record.calibration} images',
                markup=False,
                soft_wrap=True,
            )


def _counts(kinds: Mapping[str, int]) -> str:
    return ', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))
