"""A data set on disk, ready to draw samples from."""

from __future__ import annotations

from dataclasses import dataclass
import json
import logging
from pathlib import Path
import re
from typing import Any, Literal, NamedTuple, TYPE_CHECKING

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.image_files import colour_frame, thermal_frame
from thermal_perception.types import Frame, FrameSet
from training.datasets.cache import decode_all, DecodedImages, LazyImages
from training.datasets.checks import drop_impossible_boxes, mask_problem
from training.datasets.labels import LabelMap, make_record
from training.datasets.layouts import LAYOUTS
from training.datasets.record import Problem, Record
from training.datasets.truth import to_coco

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from training.datasets.config import DatasetConfig
    from training.datasets.layouts import Layout
    from training.datasets.pictures import Picture

PictureKind = Literal['thermal', 'rgb', 'mask']

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """Records of a data set before anything is decoded.

    Attributes:
        records: in the data set's order.
        problems: what could not be used.
        class_names: names in label order.
        layout: where the files lie, and the classes of label images.
    """

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]
    class_names: tuple[str, ...]
    layout: Layout


def list_records(
    config: DatasetConfig, class_names: Sequence[str] | None = None, root: Path | None = None
) -> Listing:
    """Read the labels of the part of a data set that a configuration names.

    Args:
        config: where and what.
        class_names: lower-case names in label order; None takes those of the data set.
        root: folder that a relative `config.directory` is in.

    Raises:
        DatasetError: if files lie otherwise than the layout has them, if no image is left, or if
            the data set holds a class that is none of `class_names`.
    """
    if config.layout not in LAYOUTS:
        raise DatasetError(
            f'{config.directory}: found layout {config.layout!r}, expected one of single images '
            f'or pairs: {", ".join(LAYOUTS)}'
        )
    layout = LAYOUTS[config.layout]
    found = layout.read((root or Path()) / config.directory, config)
    labels = LabelMap(found, layout, config.class_map, class_names)
    records, problems = [], list(found.problems)
    for number, item in enumerate(found.items, start=1):
        image_id = number if item.image_id is None else item.image_id
        record, wrong = make_record(item, image_id, labels, layout, config.crop_px)
        if in_part(record.name, config):
            records.append(record)
            problems += wrong
    if not records:
        more = f'; {problems[0]}' if problems else ''
        raise DatasetError(f'{found.where}: found no image in part {config.part!r}{more}')
    return Listing(tuple(records), tuple(problems), labels.class_names, layout)


class Drawn(NamedTuple):
    """One image with everything known about it.

    Attributes:
        record: its objects.
        thermal: thermal image as the robot would see it.
        rgb: colour image as the robot would see it; None if the samples need none.
        mask: (H, W) uint8 class ids; None if the samples need none.
    """

    record: Record
    thermal: Frame
    rgb: Frame | None
    mask: NDArray[Any] | None


class DataFolder:
    """The usable records of one split, with their images decoded once or when drawn.

    Images that cannot be read, labels that cannot be understood and masks that do not fit are left
    out and listed in `problems`.
    """

    def __init__(
        self,
        config: DatasetConfig,
        class_names: Sequence[str],
        root: Path | None = None,
        cache: Path | None = None,
        *,
        pictures: Sequence[PictureKind] = ('thermal',),
    ) -> None:
        """Read labels and fill the cache.

        Args:
            config: which split and which part of it.
            class_names: lower-case names in label order.
            root: folder that a relative `config.directory` is in.
            cache: folder for the decoded images; None keeps them in memory.
            pictures: what every sample needs, leading image first.

        Raises:
            DatasetError: if files are missing or lie otherwise than expected, classes are unknown,
                or more than half of the images cannot be used.
        """
        self.config = config
        self.class_names = tuple(class_names)
        self.pictures = tuple(pictures)
        listing = list_records(config, class_names, root)
        self.labelled = listing.layout.labelled
        self.mask_names = listing.layout.mask_names
        self.problems = list(listing.problems)
        records = [r for r in listing.records if self._has(r, pictures)]
        decoded = {kind: _decode(records, kind, config.lazy, cache) for kind in pictures}
        kept = [i for i, r in enumerate(records) if self._readable(r, i, decoded)]
        self._images = {kind: images.select(kept) for kind, images in decoded.items()}
        self.images = self._images[pictures[0]]
        self._skipped: set[int] = set()
        self.records = [self._checked(records[i], n) for n, i in enumerate(kept)]
        if 2 * len(self.records) < len(listing.records):
            raise DatasetError(
                f'{config.directory}: {len(listing.records) - len(self.records)} of '
                f'{len(listing.records)} images cannot be used; {self.problems[-1]}'
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.records)

    def frame(self, index: int) -> Frame:
        """Return a thermal image as the robot would see it."""
        return thermal_frame(
            self._images['thermal'][index], frame_id=self.records[index].path.name
        )

    def rgb_frame(self, index: int) -> Frame:
        """Return a colour image as the robot would see it."""
        name = self.records[index].path.name
        return colour_frame(self._images['rgb'][index], frame_id=name)

    def frames(self, index: int) -> FrameSet:
        """Return what all cameras that samples need saw, as the robot would see it."""
        rgb = self.rgb_frame(index) if 'rgb' in self.pictures else None
        return FrameSet(self.frame(index), rgb)

    def draw(self, index: int) -> Drawn:
        """Return all about an image; one that cannot be read gives way to the next.

        Only images decoded when drawn can turn out unreadable here. The same files always give
        the same answer, so a resumed run draws the same samples.

        Raises:
            DatasetError: if no image can be read.
        """
        for step in range(len(self)):
            chosen = (index + step) % len(self)
            try:
                drawn = self._drawn(chosen)
            except DatasetError as error:
                self._skip(chosen, error)
                continue
            if not self.config.lazy:
                return drawn
            # Its size was not known before.
            record, _ = drop_impossible_boxes(drawn.record, drawn.thermal.size)
            return drawn._replace(record=record)
        raise DatasetError(f'{self.config.directory}: no image can be read; {self.problems[-1]}')

    def mask(self, index: int) -> NDArray[Any]:
        """Return a label image, (H, W) uint8."""
        return self._images['mask'][index]

    def truth(self) -> dict[str, Any]:
        """Return COCO annotations of the usable images."""
        return to_coco(self.records, self.class_names)

    def _drawn(self, index: int) -> Drawn:
        rgb = self.rgb_frame(index) if 'rgb' in self.pictures else None
        mask = self.mask(index) if 'mask' in self.pictures else None
        return Drawn(self.records[index], self.frame(index), rgb, mask)

    def _skip(self, index: int, error: DatasetError) -> None:
        """List and log an image that turned out unreadable, the first time it is drawn."""
        path = self.records[index].path
        if index not in self._skipped:
            self._skipped.add(index)
            reason = str(error).removeprefix(f'{path}: ')
            self.problems.append(Problem(path, 'unreadable image', reason))
            _log.warning('%s; the next image takes its place', self.problems[-1])

    def _has(self, record: Record, kinds: Sequence[PictureKind]) -> bool:
        absent = [kind for kind in kinds if getattr(record, kind) is None]
        if absent:
            detail = f'found no {" and no ".join(absent)} image'
            self.problems.append(Problem(record.path, 'image without its pair', detail))
        return not absent

    def _readable(
        self, record: Record, index: int, decoded: dict[PictureKind, DecodedImages | LazyImages]
    ) -> bool:
        for kind, images in decoded.items():
            if index in images.failed:
                path = getattr(record, kind).path
                reason = images.failed[index].removeprefix(f'{path}: ')
                self.problems.append(Problem(path, 'unreadable image', reason))
                return False
        if 'mask' not in decoded or self.config.lazy:
            return True
        size = decoded[next(iter(decoded))][index].shape[:2]
        problem = mask_problem(record, decoded['mask'][index], size, len(self.mask_names))
        if problem:
            self.problems.append(problem)
        return problem is None

    def _checked(self, record: Record, index: int) -> Record:
        if self.config.lazy:  # `draw` does it when the size is known
            return record
        record, problems = drop_impossible_boxes(record, self.images[index].shape[:2])
        self.problems += problems
        return record


def report_problems(folders: Iterable[DataFolder], log: Path | None = None) -> int:
    """Say once what was left out of a run, and note it in the run's log.

    Args:
        folders: data sets of the run.
        log: file of JSON lines that gets one line per data set with problems.

    Returns:
        The number of problems.
    """
    total = 0
    for folder in folders:
        if not folder.problems:
            continue
        total += len(folder.problems)
        counts = count_kinds(folder.problems)
        summary = ', '.join(f'{n} x {kind}' for kind, n in counts.items())
        where = f'{folder.config.directory} ({folder.config.split})'
        _log.warning('%s: left out %s; the first: %s', where, summary, folder.problems[0])
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            row = {'data': where, 'left_out': counts, 'files': [str(p) for p in folder.problems]}
            with log.open('a', encoding='utf-8') as file:
                file.write(json.dumps(row) + '\n')
    return total


def count_kinds(problems: Iterable[Problem]) -> dict[str, int]:
    """Return how many problems there are of each kind, most frequent first."""
    counts: dict[str, int] = {}
    for problem in problems:
        counts[problem.kind] = counts.get(problem.kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def in_part(name: str, config: DatasetConfig) -> bool:
    """Tell whether an image belongs to the part of a split that a configuration names."""
    if config.part == 'all':
        return True
    digits = re.findall(r'\d+', name)
    index = int(digits[-1]) if digits else 0
    held_out = (index // config.dev_block) % config.dev_every == config.dev_every - 1
    return held_out == (config.part == 'dev')


def _decode(
    records: Sequence[Record], kind: PictureKind, lazy: bool, cache: Path | None
) -> DecodedImages | LazyImages:
    pictures: list[Picture] = [getattr(record, kind) for record in records]
    return LazyImages.check(pictures) if lazy else decode_all(pictures, cache)
