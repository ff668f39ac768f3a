"""M3FD, registered thermal and colour images of roads and campuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.datasets.layouts.folders import first_folder, pair_folders, read_names
from training.datasets.layouts.found import Found, Layout
from training.datasets.layouts.labelled import with_labels
from training.datasets.layouts.voc import read_objects

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

CLASSES = ('People', 'Car', 'Bus', 'Lamp', 'Motorcycle', 'Truck')
TREE = 'Ir/*.png, Vis/*.png, Annotation/*.xml, and for splits meta/SPLIT.txt'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read pairs of 1024 x 768 pixels with VOC labels that both images share.

    Expects `Ir`, `Vis` and `Annotation` as in `M3FD_Detection`, or `ir`, `vi` and `Annotations` as
    in E2E-MFD's copy. The set comes without splits: a split is a list of names in
    `meta/SPLIT.txt` (TarDAL) or `ImageSets/Main/SPLIT.txt` (E2E-MFD); null takes all 4,200.

    Source: TarDAL's loader and E2E-MFD's description for names of folders, classes and lists;
    public converters for the XML.
    """
    thermal = first_folder(directory, ('Ir', 'ir'), TREE)
    rgb = first_folder(directory, ('Vis', 'vi', 'vis'), TREE)
    labels = first_folder(directory, ('Annotation', 'Annotations'), TREE)
    names = None if config.split is None else read_names(_list_of(directory, config.split))
    pairs = pair_folders(thermal, rgb, names)
    return with_labels(pairs, lambda name: labels / f'{name}.xml', read_objects, CLASSES)


def _list_of(directory: Path, split: str) -> Path:
    main = directory / 'ImageSets' / 'Main' / f'{split}.txt'
    return main if main.is_file() else directory / 'meta' / f'{split}.txt'


LAYOUT = Layout(read, TREE, default_split=None)
