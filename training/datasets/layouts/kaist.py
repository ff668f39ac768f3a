"""KAIST multispectral pedestrians, from a car by day and night."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thermal_perception.evaluation.image_names import attributes_of
from training.datasets.layouts.folders import read_names, require_folder
from training.datasets.layouts.found import Found, Item, Layout, Thing
from training.datasets.layouts.labelled import with_labels
from training.datasets.layouts.voc import LabelError, name_of, numbers, parse
from training.datasets.pictures import Picture
from training.datasets.record import Problem

if TYPE_CHECKING:
    from training.datasets.config import DatasetConfig

CLASSES = ('person',)
TREE = (
    'images/setNN/VNNN/{lwir,visible}/INNNNN.jpg, imageSets/SPLIT.txt and annotations_paired/ '
    'or annotations-xml-new-sanitized/ or annotations-xml-new/ or annotations/'
)
# Groups, doubtful figures and riders are no verdict in the benchmark.
_IGNORED = ('people', 'person?', 'person?a', 'cyclist')
_XML = ('annotations-xml-new-sanitized', 'annotations-xml-15', 'annotations-xml-new')


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the frames that `imageSets/SPLIT.txt` names, such as split `train-all-02`.

    For each frame the first of these labels is taken: `annotations_paired` of the camera that
    `labels_from` names (boxes per camera, as the two are not quite aligned), the sanitized XML,
    the XML of the improved test set, the XML of the release, the plain text of the release. Boxes
    are x, y, width, height. `people`, `person?` and `cyclist` become ignore regions.

    Source: github.com/SoonminHwang/rgbt-ped-detection for folders, light per set and text
    labels; the public loader of MLPD for lists, XML and paired labels.
    """
    images = require_folder(directory / 'images', TREE)
    names = read_names(directory / 'imageSets' / f'{config.split}.txt')
    items, problems = [], []
    for name in names:
        if name.count('/') == 2:
            items.append(_item(images, name))
        else:
            detail = f'found {name!r}, expected setNN/VNNN/INNNNN'
            problems.append(
                Problem(directory / 'imageSets' / f'{config.split}.txt', 'broken label', detail)
            )
    found = Found(images, tuple(items), tuple(problems))
    return with_labels(found, lambda name: _label(directory, name, config), _read, CLASSES)


def _item(images: Path, name: str) -> Item:
    drive, _, frame = name.rpartition('/')
    thermal = Picture(images / drive / 'lwir' / f'{frame}.jpg', 'thermal')
    rgb = Picture(images / drive / 'visible' / f'{frame}.jpg', 'rgb')
    return Item(name, thermal, rgb, attributes=attributes_of(name))


def _label(directory: Path, name: str, config: DatasetConfig) -> Path:
    """Return the label file of a frame, the best one there is."""
    drive, _, frame = name.rpartition('/')
    camera = {'thermal': 'lwir', 'rgb': 'visible'}[config.labels_from]
    paired = directory / 'annotations_paired' / drive / camera / f'{frame}.txt'
    choices = [paired, *(directory / folder / f'{name}.xml' for folder in _XML)]
    last = directory / 'annotations' / f'{name}.txt'
    return next((path for path in choices if path.is_file()), last)


def _read(path: Path) -> tuple[Thing, ...]:
    return _from_xml(path) if path.suffix == '.xml' else _from_text(path)


def _from_xml(path: Path) -> tuple[Thing, ...]:
    things = []
    for element in parse(path).iter('object'):
        x, y, width, height = numbers(element.find('bndbox'), ('x', 'y', 'w', 'h'))
        things.append(_thing(name_of(element), (x, y, width, height), ignore=False))
    return tuple(things)


def _from_text(path: Path) -> tuple[Thing, ...]:
    """Read lines `name x y width height occluded vx vy vw vh ignore angle` after one of `%`."""
    things = []
    for line in path.read_text('utf-8').splitlines():
        words = line.split()
        if not words or words[0].startswith('%'):
            continue
        try:
            x, y, width, height = map(float, words[1:5])
        except ValueError as error:
            raise LabelError(f'found {line!r}, expected name x y width height') from error
        things.append(_thing(words[0], (x, y, width, height), ignore=words[10:11] == ['1']))
    return tuple(things)


def _thing(name: str, xywh: tuple[float, float, float, float], *, ignore: bool) -> Thing:
    x, y, width, height = xywh
    if name in _IGNORED:
        name, ignore = 'person', True
    return Thing(name, (x, y, x + width, y + height), ignore=ignore)


LAYOUT = Layout(read, TREE, default_split='train-all-02')
