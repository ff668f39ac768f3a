"""Fused images in a folder, scored against the images that they were made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.from_files.images import read_brightness
from thermal_perception.evaluation.from_files.partners import find_partners
from thermal_perception.evaluation.image_fusion import FusionScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from thermal_perception.evaluation.from_files.partners import Partners


def score_fused_images(
    *,
    thermal: Path,
    rgb: Path,
    fused: Path,
    names: Path | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[FusionScorer, Partners]:
    """Measure every fused image; files of one name, without its suffix, belong together.

    Args:
        thermal: folder of 8-bit images.
        rgb: folder of 8-bit images of the same sizes.
        fused: folder of 8-bit images of the same sizes, grey or colour.
        names: list of the images to score; see `find_partners`.
        tick: called after each image with the images done and in total.

    Raises:
        DatasetError: if a folder or file is not as expected, or a partner is missing.
        MetricError: if images of a name differ in size or cannot be measured.
    """
    partners = find_partners({'thermal': thermal, 'rgb': rgb}, ('fused', fused), names)
    scorer = FusionScorer()
    for done, files in enumerate(partners.rows, start=1):
        _measure(scorer, files)
        tick(done, len(partners.rows))
    return scorer, partners


def _measure(scorer: FusionScorer, files: Mapping[str, Path]) -> None:
    images = {side: read_brightness(path) for side, path in files.items()}
    fused = files['fused']
    try:
        scorer.add(fused.name, images['fused'], thermal=images['thermal'], visible=images['rgb'])
    except MetricError as error:
        raise MetricError(f'{fused.parent}/{error}') from error
