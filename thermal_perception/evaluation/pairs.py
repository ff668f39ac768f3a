"""Folders of registered thermal and visible images, fused by a network and by simple means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.from_files.images import read_brightness
from thermal_perception.evaluation.from_files.partners import find_partners
from thermal_perception.evaluation.image_files import (
    colour_frame,
    read_colour_image,
    read_thermal_image,
    thermal_frame,
)
from thermal_perception.evaluation.image_fusion import FusionScorer, quantise
from thermal_perception.evaluation.image_fusion.baselines import BASELINES, fuse_simply
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thermal_perception.types import Perception

_THERMAL = ('infrared', 'thermal', 'ir')
_VISIBLE = ('visible', 'rgb', 'vi')


@dataclass(frozen=True)
class ImagePair:
    """Two files of one moment, registered to each other."""

    name: str
    thermal: Path
    visible: Path

    def frames(self) -> FrameSet:
        """Read both as the cameras' frames.

        Raises:
            DatasetError: if one cannot be read.
        """
        thermal = thermal_frame(read_thermal_image(self.thermal), frame_id=self.thermal.name)
        colours = read_colour_image(self.visible)
        return FrameSet(thermal, colour_frame(colours, frame_id=self.visible.name))


def is_pair_folder(directory: Path) -> bool:
    """Tell whether a folder holds pairs: one folder of thermal and one of visible images."""
    kinds = (_THERMAL, _VISIBLE)
    return all(any((directory / name).is_dir() for name in names) for names in kinds)


def open_pairs(directory: Path, split: str | None = None) -> tuple[ImagePair, ...]:
    """List the pairs of `infrared/` (or `thermal/`, `ir/`) and `visible/` (or `rgb/`, `vi/`).

    Args:
        directory: holds both folders; files of one name, without its suffix, are a pair.
        split: takes the names that `SPLIT.txt` lists; None takes all.

    Raises:
        DatasetError: if a folder, the list or a partner is missing.
    """
    thermal, visible = (_first(directory, names) for names in (_THERMAL, _VISIBLE))
    names = None if split is None else directory / f'{split}.txt'
    partners = find_partners({'thermal': thermal}, ('visible', visible), names)
    return tuple(
        ImagePair(row['visible'].stem, row['thermal'], row['visible']) for row in partners.rows
    )


def score_fusion(
    pairs: tuple[ImagePair, ...],
    perceive: Callable[[FrameSet], Perception],
    *,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, FusionScorer]:
    """Fuse every pair by a model and by each of `BASELINES`, and measure all of it.

    Args:
        pairs: what to fuse.
        perceive: gives the fused image of two frames, grey or in colour.
        tick: called after each pair with the pairs done and in total.

    Returns:
        Scorers by name: `model` first, then the baselines.

    Raises:
        DatasetError: if an image cannot be read, or the model makes no fused image.
        MetricError: if the images of a pair differ in size or cannot be measured.
    """
    scorers = {name: FusionScorer() for name in ('model', *BASELINES)}
    for done, pair in enumerate(pairs, start=1):
        fused = perceive(pair.frames()).fused
        if fused is None:
            raise DatasetError(f'{pair.visible}: the model makes no fused image of it')
        sources = {
            'thermal': read_brightness(pair.thermal),
            'visible': read_brightness(pair.visible),
        }
        grey = fused.image if fused.image.ndim == 2 else fused.image.max(2)
        try:
            scorers['model'].add(pair.name, grey, **sources)
            for name in BASELINES:
                scorers[name].add(pair.name, quantise(fuse_simply(name, **sources)), **sources)
        except MetricError as error:
            raise MetricError(f'{pair.visible}: {error}') from error
        tick(done, len(pairs))
    return scorers


def _first(directory: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (directory / name).is_dir():
            return directory / name
    raise DatasetError(f'{directory}: holds no folder {", ".join(names[:-1])} or {names[-1]}')
