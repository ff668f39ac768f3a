"""`python -m training inspect`: what a data set holds, what is broken in it, and how it looks."""

from __future__ import annotations

from collections import Counter
import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError, DatasetError
from training.config import training_config
from training.datasets import DatasetConfig, list_records
from training.datasets.checks import UNKNOWN_ID
from training.datasets.folder import count_kinds
from training.datasets.layouts import LAYOUTS
from training.datasets.sheet import choose, contact_sheet, sample_sheet
from training.datasets.survey import KINDS, survey

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from training.datasets.record import Record
    from training.datasets.sheet import Image
    from training.datasets.survey import Survey

_SMALL, _MEDIUM, _TINY = 32**2, 96**2, 16**2  # square pixels; COCO's bins, and half of the small
_BAR = 30  # characters of the longest bar
_SHOWN = 10  # broken files named, unless --all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        'directory',
        metavar='DIR',
        help='top folder of the data set; with --augmented, of all data sets, as --data of fit',
    )
    parser.add_argument(
        '--layout', choices=sorted(LAYOUTS), default='coco', help='arrangement of its files'
    )
    parser.add_argument('--split', help="name of the split; the layout's first one if unset")
    parser.add_argument('--output', type=Path, metavar='PNG', help='write a contact sheet')
    parser.add_argument('--images', type=int, default=24, help='images on the contact sheet')
    parser.add_argument(
        '--augmented',
        type=Path,
        metavar='CONFIG',
        help='draw the first training samples of this experiment instead, on --output',
    )
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='KEY=VALUE',
        help='with --augmented: override one value',
    )
    parser.add_argument('--all', action='store_true', help='name every broken file')
    parser.add_argument(
        '--labels-from',
        choices=('thermal', 'rgb'),
        default='thermal',
        help='whose labels, where both cameras have their own',
    )
    parser.add_argument(
        '--crop', type=int, default=0, metavar='PX', help='pixels to cut off on every side'
    )


def run(args: argparse.Namespace) -> int:
    """Print what a data set holds; returns the exit code."""
    return _samples(args) if args.augmented else _dataset(args)


def _dataset(args: argparse.Namespace) -> int:
    config = _config(args)
    listing = list_records(config)
    found = survey(listing, tqdm(listing.records, unit='image', leave=False, disable=None))
    print(f'{config.directory}: layout {config.layout}, split {config.split or "(all)"}')
    print(f'first image {os.path.relpath(listing.records[0].path, config.directory)}')
    print(describe(found, shown=len(found.problems) if args.all else _SHOWN))
    if args.output:
        colours = listing.layout.mask_colours
        picked = choose(found.records, args.images)
        if not picked:
            raise DatasetError(
                f'{args.output}: not written, the data set has no image that can be read'
            )
        names = found.class_names, found.mask_names, colours
        _write(args.output, contact_sheet(picked, *names))
        print(f'\ncontact sheet of {len(picked)} images: {args.output}')
    return 0


def _samples(args: argparse.Namespace) -> int:
    from training import augmented  # loads what trains, which looking at a data set does not need

    if args.output is None:
        raise ConfigError('--augmented: found no --output, expected a file for the samples')
    config = training_config(args.augmented, args.set)
    first = augmented.first_samples(config, Path(args.directory), args.images)
    count = len(first.samples)
    print(f'{args.augmented}: the first {count} samples of epoch 1, seed {config.seed}')
    print(augmented.describe(first))
    _write(args.output, sample_sheet(*first))
    print(f'contact sheet of {count} samples: {args.output}')
    return 0


def describe(found: Survey, *, shown: int = _SHOWN) -> str:
    """Return everything about a data set as text in aligned columns.

    Args:
        found: what was counted.
        shown: broken files to name.
    """
    parts = [_pictures(found)]
    if len(found.box_labels()) or found.class_names:
        parts += [_classes(found), _box_sizes(found)]
    if found.mask_images.any():
        parts.append(_masks(found))
    parts += [
        _breakdown('light', found, lambda r: r.attributes.light),
        _breakdown('altitude', found, lambda r: _unit(r.attributes.altitude_m, 'm')),
        _breakdown('camera angle', found, lambda r: _unit(r.attributes.camera_angle_deg, 'deg')),
        _problems(found, shown),
    ]
    return '\n'.join(f'\n{part}' for part in parts if part)


def _config(args: argparse.Namespace) -> DatasetConfig:
    values: dict[str, Any] = {
        'directory': args.directory,
        'layout': args.layout,
        'split': args.split or LAYOUTS[args.layout].default_split,
        'labels_from': args.labels_from,
        'crop_px': args.crop,
    }
    return from_mapping(DatasetConfig, values, where='inspect')


def _write(path: Path, sheet: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), sheet):
        raise DatasetError(f'{path}: cannot be written as a picture')


def _pictures(found: Survey) -> str:
    rows = []
    for kind in KINDS:
        if found.sizes[kind]:
            bits = ' and '.join(f'{b} bit' for b in sorted(found.depths[kind]))
            total = found.sizes[kind].total()
            rows.append(
                (kind, f'{total:,}', _sizes(found.sizes[kind]), bits, f'{found.highest[kind]:,}')
            )
    text = _table(('pictures', 'count', 'width x height', 'depth', 'highest value'), rows, '<>><>')
    if found.unequal_pairs:
        text += f'\n{found.unequal_pairs:,} pairs are of two images of different size'
    return text


def _sizes(sizes: Counter[tuple[int, int]]) -> str:
    if len(sizes) == 1:
        ((height, width),) = sizes
        return f'{width} x {height}'
    heights, widths = zip(*sizes)
    span = f'{min(widths)}..{max(widths)} x {min(heights)}..{max(heights)}'
    return f'{span} ({len(sizes)} sizes)'


def _classes(found: Survey) -> str:
    labels, areas = found.box_labels(), found.box_areas()
    images = found.images_per_class()
    rows = []
    for label, name in enumerate(found.class_names):
        mine = areas[labels == label]
        share = _percent(len(mine), len(areas))
        rows.append((name, f'{len(mine):,}', share, f'{images[label]:,}', *_bins(mine)))
    with_any = sum(len(r.labels) > 0 for r in found.records)
    rows.append(('all', f'{len(areas):,}', '', f'{with_any:,}', *_bins(areas)))
    head = ('class', 'boxes', 'share', 'images', 'small', 'medium', 'large')
    most = max((len(r.labels) for r in found.records), default=0)
    mean = len(areas) / max(1, len(found.records))
    summary = (
        f'{mean:.1f} boxes an image, at most {most}; {len(found.records) - with_any:,} images '
        f'without any; {_regions(found):,} regions to ignore; {found.reaching_out:,} boxes reach '
        'over the border'
    )
    return f'{_table(head, rows, "<>>>>>>")}\n{summary}'


def _regions(found: Survey) -> int:
    return sum(len(r.ignore_labels) for r in found.records)


def _bins(areas: np.ndarray) -> tuple[str, str, str]:
    small, below = int((areas < _SMALL).sum()), int((areas < _MEDIUM).sum())
    return f'{small:,}', f'{below - small:,}', f'{len(areas) - below:,}'


def _box_sizes(found: Survey) -> str:
    areas = found.box_areas()
    edges = [0, _TINY, _SMALL, _MEDIUM, np.inf]
    names = ('small, below 16 x 16', 'small, below 32 x 32', 'medium, below 96 x 96', 'large')
    counts = np.histogram(areas, edges)[0]
    rows = [
        (name, f'{n:,}', _percent(n, len(areas)), '#' * round(_BAR * n / max(1, counts.max())))
        for name, n in zip(names, counts.tolist())
    ]
    return _table(('box area (COCO bins, pixels)', 'boxes', 'share', ''), rows, '<>><')


def _masks(found: Survey) -> str:
    total = int(found.mask_pixels.sum())
    ids = [*enumerate(found.mask_names), (UNKNOWN_ID, 'no verdict')]
    rows = [
        (
            f'{i} {name}',
            f'{found.mask_pixels[i]:,}',
            _percent(int(found.mask_pixels[i]), total, 3),
            f'{found.mask_images[i]:,}',
        )
        for i, name in ids
        if i != UNKNOWN_ID or found.mask_pixels[i]
    ]
    return _table(('label image', 'pixels', 'share', 'images'), rows, '<>>>')


def _breakdown(name: str, found: Survey, value: Callable[[Record], str | None]) -> str:
    """Count images and boxes by what their names tell; nothing if no name tells."""
    values = [value(record) for record in found.records]
    if not any(values):
        return ''
    images = Counter(v or 'not told' for v in values)
    boxes: Counter[str] = Counter()
    for record, told in zip(found.records, values):
        boxes[told or 'not told'] += len(record.labels)
    rows = [(v, f'{images[v]:,}', f'{boxes[v]:,}') for v in sorted(images, key=_natural)]
    return _table((name, 'images', 'boxes'), rows, '<>>')


def _problems(found: Survey, shown: int) -> str:
    if not found.problems:
        return 'broken files    none'
    counts = count_kinds(found.problems)
    rows = [(kind, f'{n:,}') for kind, n in counts.items()]
    lines = [_table(('broken, left out in training', 'count'), rows, '<>')]
    lines += [str(problem) for problem in found.problems[:shown]]
    if len(found.problems) > shown:
        lines.append(f'and {len(found.problems) - shown:,} more, named with --all')
    return '\n'.join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """Align columns; `align` holds `<` or `>` per column."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    texts = (
        '  '.join(f'{cell:{side}{width}}' for cell, side, width in zip(line, align, widths))
        for line in lines
    )
    return '\n'.join(text.rstrip() for text in texts)


def _percent(part: int, whole: int, digits: int = 1) -> str:
    return f'{100 * part / whole:.{digits}f}%' if whole else '-'


def _unit(value: float | None, unit: str) -> str | None:
    return None if value is None else f'{value:g} {unit}'


def _natural(text: str) -> tuple[float, str]:
    number = text.split(' ')[0]
    return (float(number), '') if number.replace('.', '', 1).isdigit() else (np.inf, text)
