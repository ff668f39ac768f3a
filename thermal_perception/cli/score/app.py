"""The verbs and options of `thermal-perception score` on one page."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help='Score files that any tool wrote: fused images, label maps, pedestrians, oriented boxes.',
    no_args_is_help=True,
)


class Setting(str, Enum):
    """Which pedestrians count."""

    reasonable = 'reasonable'
    all = 'all'


Json = Annotated[Path | None, typer.Option('--json', metavar='FILE', help='Write this file.')]
Bootstrap = Annotated[
    int,
    typer.Option(metavar='N', min=0, help='Confidence intervals from N resampled sets, as 1000.'),
]
Seed = Annotated[int, typer.Option(help='Of --bootstrap.')]
Names = Annotated[
    Path | None,
    typer.Option(metavar='FILE', help='Score exactly these images, a name per line, as test.txt.'),
]


@app.command()
def fusion(
    thermal: Annotated[Path, typer.Option(metavar='DIR', help='Thermal images, 8 bits.')],
    rgb: Annotated[Path, typer.Option(metavar='DIR', help='Visible images, of equal size.')],
    fused: Annotated[
        Path, typer.Option(metavar='DIR', help='Fused images, of equal size; grey or colour.')
    ],
    names: Names = None,
    json: Json = None,
    bootstrap: Bootstrap = 0,
    seed: Seed = 0,
) -> None:
    """Score fused images: EN, SD, SF, AG, SCD, MI, VIF, Qabf, SSIM, by day and night.

    Files of one name, whatever their suffix, belong together. Of colour images
    the V of HSV is scored. Each fused image needs both sources; sources without
    one are left out and counted.
    """
    from thermal_perception.cli.score.fusion import FusionOptions, score_fusion

    score_fusion(FusionOptions(thermal, rgb, fused, names, json, bootstrap, seed))


@app.command()
def segmentation(
    truth: Annotated[Path, typer.Option(metavar='DIR', help='True label maps, PNG.')],
    predicted: Annotated[Path, typer.Option(metavar='DIR', help='Label maps to score, PNG.')],
    classes: Annotated[
        str | None,
        typer.Option(
            metavar='A,B,..', help='Names of labels 0, 1, ..; default: numbers, as far as truth.'
        ),
    ] = None,
    ignore: Annotated[
        int, typer.Option(min=-1, max=255, help='Label in truth that does not count; -1: none.')
    ] = 255,
    names: Names = None,
    json: Json = None,
    bootstrap: Bootstrap = 0,
    seed: Seed = 0,
) -> None:
    """Score label maps: mIoU over all classes, IoU and accuracy per class, by day and night.

    A label map holds a class index per pixel in 8 bits: grey, or with a palette,
    whose indices count. Files of one name belong together. Each prediction needs
    its truth; true label maps without one are left out and counted.
    """
    from thermal_perception.cli.score.segmentation import score_segmentation, SegmentationOptions

    kept = None if ignore < 0 else ignore
    score_segmentation(
        SegmentationOptions(truth, predicted, _listed(classes), kept, names, json, bootstrap, seed)
    )


@app.command()
def miss_rate(
    dataset: Annotated[Path, typer.Option(metavar='DIR', help='Has annotations/SPLIT.json.')],
    split: Annotated[str, typer.Option(metavar='NAME', help='Part of the data set, as test.')],
    detections: Annotated[
        Path, typer.Option(metavar='FILE', help='COCO results, as of evaluate --detections.')
    ],
    setting: Annotated[
        Setting, typer.Option(help="KAIST's: from 55 pixels, or all from 20, occluded too.")
    ] = Setting.reasonable,
    json: Json = None,
    bootstrap: Bootstrap = 0,
    seed: Seed = 0,
) -> None:
    """Score pedestrians by log-average miss rate, as KAIST does, by day and night.

    Annotations are COCO's: category `person` counts; `people`, `person?`,
    `cyclist` and what has `ignore` or `iscrowd` need not be found; `occlusion`
    is 0 (none), 1 (partial) or 2 (heavy).
    """
    from thermal_perception.cli.score.miss_rate import MissRateOptions, score_miss_rate

    score_miss_rate(
        MissRateOptions(dataset, split, detections, setting.value, json, bootstrap, seed)
    )


@app.command()
def oriented(
    truth: Annotated[
        Path, typer.Option(metavar='DIR', help='NAME.txt per image: x1 y1 .. x4 y4 class [0|1].')
    ],
    detections: Annotated[
        Path, typer.Option(metavar='DIR', help='Task1_CLASS.txt: NAME score x1 y1 .. x4 y4.')
    ],
    classes: Annotated[
        str | None, typer.Option(metavar='A,B,..', help='Only these; default: those in truth.')
    ] = None,
    json: Json = None,
    bootstrap: Bootstrap = 0,
    seed: Seed = 0,
) -> None:
    """Score boxes at any angle: mAP50, and as VOC 2007 did, which DroneVehicle publishes.

    The files are those of the DOTA benchmark: tools for oriented boxes write
    them, and corners need no convention of angles. The 1 behind a class marks a
    difficult object, neither missed nor false when found. Images are those with
    a file in --truth.
    """
    from thermal_perception.cli.score.oriented import OrientedOptions, score_oriented

    score_oriented(OrientedOptions(truth, detections, _listed(classes), json, bootstrap, seed))


def _listed(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(','))
