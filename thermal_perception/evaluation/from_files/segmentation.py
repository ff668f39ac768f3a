"""Label maps in a folder, scored against true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.from_files.images import read_label_map
from thermal_perception.evaluation.from_files.partners import find_partners
from thermal_perception.evaluation.segmentation import IGNORE, SegmentationScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from thermal_perception.evaluation.from_files.partners import Partners


def score_label_maps(
    *,
    truth: Path,
    predicted: Path,
    class_names: Sequence[str] | None = None,
    ignore: int | None = IGNORE,
    names: Path | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[SegmentationScorer, Partners]:
    """Compare label maps pixel by pixel; files of one name, without its suffix, belong together.

    Args:
        truth: folder of label maps as PNG.
        predicted: folder of label maps as PNG of the same sizes.
        class_names: names of labels 0, 1, ..; None numbers them up to the largest one in truth.
        ignore: label in truth whose pixels do not count.
        names: list of the images to score; see `find_partners`.
        tick: called after each image with the images done and in total.

    Raises:
        DatasetError: if a folder or file is not as expected, or a partner is missing.
        MetricError: if label maps of a name differ in size or hold a label that is no class.
    """
    partners = find_partners({'truth': truth}, ('predicted', predicted), names)
    if class_names is None:
        class_names = _numbered((files['truth'] for files in partners.rows), ignore)
    scorer = SegmentationScorer(class_names, ignore)
    for done, files in enumerate(partners.rows, start=1):
        maps = {side: read_label_map(path) for side, path in files.items()}
        try:
            scorer.add(files['predicted'].name, maps['predicted'], maps['truth'])
        except MetricError as error:
            raise MetricError(f'{files["truth"]}, {predicted}/{error}') from error
        tick(done, len(partners.rows))
    return scorer, partners


def _numbered(files: Iterable[Path], ignore: int | None) -> list[str]:
    """Name the labels up to the largest one in truth after their numbers."""
    largest, path = -1, None
    for path in files:
        known = np.unique(read_label_map(path))
        largest = max(largest, *known[known != ignore].tolist(), -1)
    if largest < 0:
        raise DatasetError(f'{path.parent if path else ""}: every true pixel has label {ignore}')
    return [str(label) for label in range(largest + 1)]
