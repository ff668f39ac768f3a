"""DroneVehicle, registered pairs from the air with oriented boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from training.datasets.layouts.folders import pair_folders, require_folder
from training.datasets.layouts.found import Found, Layout, Thing
from training.datasets.layouts.labelled import with_labels
from training.datasets.layouts.voc import CORNERS, LabelError, name_of, numbers, parse, POLYGON

if TYPE_CHECKING:
    from training.datasets.config import DatasetConfig

CLASSES = ('car', 'truck', 'bus', 'van', 'feright_car')
TREE = (
    'SPLIT/{SPLITimg,SPLITimgr}/*.jpg with SPLIT/{SPLITlabel,SPLITlabelr}/*.xml, '
    'or SPLIT/{rgb,ir}/{images,labels}'
)
_SPELLINGS = {'feright_car': 'freight_car', 'feright': 'freight_car', 'truvk': 'truck'}


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the split `train`, `val` or `test`; `labels_from` chooses one of two label sets.

    The label sets differ: each camera shows objects that the other does not. Images are 840 x 712
    with a white border of 100 pixels; `crop_px: 100` cuts it off, boxes included.

    Expects either the published folders (`train/trainimg` colour, `train/trainimgr` thermal,
    `train/trainlabel`, `train/trainlabelr`: XML whose objects hold a `polygon` x1, y1 .. x4, y4
    or a `bndbox`), or E2E-MFD's copy (`train/rgb/images`, `train/ir/labels`: lines of eight
    corner coordinates, class, difficulty). A name of `*` in the labels is an unknown class.

    Source: E2E-MFD's description for its copy; public converters of the published files for
    folders, XML, spellings and border.
    """
    split = str(config.split)
    folder = require_folder(directory / split, TREE)
    if (folder / 'ir').is_dir():
        folders = [folder / k / 'images' for k in ('ir', 'rgb')]
        labels = folder / {'thermal': 'ir', 'rgb': 'rgb'}[config.labels_from] / 'labels'
    else:
        folders = [folder / f'{split}imgr', folder / f'{split}img']
        labels = folder / f'{split}label{"r" if config.labels_from == "thermal" else ""}'
    thermal, rgb, labels = (require_folder(f, TREE) for f in (*folders, labels))
    read_one = _from_text if (folder / 'ir').is_dir() else _from_xml
    suffix = '.txt' if (folder / 'ir').is_dir() else '.xml'
    pairs = pair_folders(thermal, rgb, None)
    return with_labels(pairs, lambda name: labels / f'{name}{suffix}', read_one, CLASSES)


def _from_xml(path: Path) -> tuple[Thing, ...]:
    things = []
    for element in parse(path).iter('object'):
        polygon = element.find('polygon')
        if polygon is not None:
            things.append(_thing(name_of(element), numbers(polygon, POLYGON)))
        else:
            x1, y1, x2, y2 = numbers(element.find('bndbox'), CORNERS)
            things.append(_thing(name_of(element), (x1, y1, x2, y1, x2, y2, x1, y2)))
    return tuple(things)


def _from_text(path: Path) -> tuple[Thing, ...]:
    things = []
    for line in path.read_text('utf-8').splitlines():
        words = line.split()
        if len(words) < 9:
            if words and ':' not in words[0]:  # DOTA files may start with `imagesource:`
                raise LabelError(f'found {line!r}, expected 8 numbers and a class')
            continue
        try:
            corners = tuple(map(float, words[:8]))
        except ValueError as error:
            raise LabelError(f'found {line!r}, expected 8 numbers first') from error
        rest = words[8:-1] if words[-1].isdigit() else words[8:]
        things.append(_thing(' '.join(rest), corners))
    return tuple(things)


def _thing(name: str, corners: tuple[float, ...]) -> Thing:
    x, y = corners[::2], corners[1::2]
    return Thing(name, (min(x), min(y), max(x), max(y)), corners)


LAYOUT = Layout(read, TREE, class_map=_SPELLINGS, oriented=True)
