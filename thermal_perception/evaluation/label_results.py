"""Results of labelling pixels in a file, and whether two of them really differ."""

from __future__ import annotations

from dataclasses import dataclass
import json
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.bootstrap import bootstrap, difference
from thermal_perception.evaluation.detection_statistics import Comparison
from thermal_perception.evaluation.figures import parts
from thermal_perception.evaluation.segmentation import SegmentationScorer

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from thermal_perception.evaluation.figures import Draws, FigureTable

_KEY = 'per_image'


@dataclass(frozen=True, eq=False)
class LabelResult:
    """What one model made of a set of images.

    Attributes:
        scorer: confusion matrix of every image.
        attributes: light or condition of each image, by its name.
        units: what a bootstrap draws, by name of the image.
    """

    scorer: SegmentationScorer
    attributes: Mapping[str, Mapping[str, str]]
    units: Mapping[str, Hashable]

    def table(self) -> FigureTable:
        """Return its figures for any weighting of the images."""
        return self.scorer.table(attributes=self.attributes, units=self.units)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, from which `read_label_result` makes the same."""
        rows = [
            {
                'name': name,
                'unit': self.units[name],
                'attributes': dict(self.attributes[name]),
                'confusion': matrix.tolist(),
            }
            for name, matrix in zip(self.scorer.names(), self.scorer.matrices())
        ]
        return {_KEY: rows}


def read_label_result(path: Path) -> LabelResult:
    """Read the JSON file of an evaluation.

    Raises:
        DatasetError: if it cannot be read or is of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        scorer = SegmentationScorer(tuple(content['metrics']['per_class']))
        rows = content[_KEY]
        for row in rows:
            scorer.add_matrix(row['name'], np.array(row['confusion'], np.int64))
        return LabelResult(
            scorer,
            {row['name']: row['attributes'] for row in rows},
            {row['name']: row['unit'] for row in rows},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f'{path}: is no result of labelling pixels: {type(error).__name__} {error}; expected '
            'what evaluate --json writes'
        ) from error


def compare_label_results(
    first: LabelResult, second: LabelResult, draws: Draws
) -> dict[str, dict[str, Comparison]]:
    """Compare the mIoU of two results and the IoU of each class, on the same draws.

    Returns:
        `all`, every class, and every part, as `condition night`, to `mIoU`.

    Raises:
        MetricError: if they are about other images or classes.
    """
    a, b = first.table(), second.table()
    if (a.images, a.keys) != (b.images, b.keys):
        raise MetricError(
            f'found results of {len(a.images)} and {len(b.images)} images with '
            f'{len(first.scorer.class_names)} and {len(second.scorer.class_names)} classes, '
            'expected the same ones'
        )
    columns = {
        group: column
        for column, (group, figure) in enumerate(a.keys)
        if (group, figure) == ('all', 'mIoU') or figure == 'IoU'
    }
    everything = np.ones(len(a.images), bool)
    compared = _compared(a, b, everything, columns, draws)
    for part in parts(a):
        known = [first.attributes[name].get(part.attribute) for name in a.images]
        members = np.array([value == part.value for value in known], bool)
        name = f'{part.attribute} {part.value}'
        compared[name] = _compared(a, b, members, {'all': columns['all']}, draws)['all']
    return {group: {'mIoU': one} for group, one in compared.items()}


def _compared(
    a: FigureTable,
    b: FigureTable,
    members: NDArray[np.bool_],
    columns: Mapping[str, int],
    draws: Draws,
) -> dict[str, Comparison]:
    positions = np.flatnonzero(members).tolist()
    assert a.units is not None  # a result names them
    units = [a.units[position] for position in positions]

    def scores(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = np.zeros(len(members), np.int64)
        weights[positions] = drawn
        return np.stack((a.score(weights), b.score(weights)))  # [2, figures]

    whole = scores(np.ones(len(positions), np.int64))
    samples = bootstrap(
        lambda drawn: np.subtract(*scores(drawn)[::-1]),
        units,
        resamples=draws.resamples,
        seed=draws.seed,
    )
    return {
        group: Comparison(
            _known(whole[0, c]),
            _known(whole[1, c]),
            difference(float(whole[1, c] - whole[0, c]), samples[:, c]),
        )
        for group, c in columns.items()
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
