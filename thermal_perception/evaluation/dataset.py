"""COCO-style data sets on disk: `DIR/images/SPLIT` and `DIR/annotations/SPLIT.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import (
    category_labels,
    CocoScorer,
    is_ignored,
    read_annotations,
    snake_case,
)
from thermal_perception.types import Detections, Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.coco import DetectionMetrics
    from thermal_perception.types import Perception

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp', '.bmp')

_COUNTS_MAX = 2**14 - 1
_COUNTS_LOW = (1000.0, 8000.0)
_COUNTS_SPAN = (500.0, 6000.0)


@dataclass(frozen=True)
class CocoSplit:
    """One split of a data set.

    Attributes:
        annotations: content of the annotation file.
        images: (image id, file) in the order of the annotation file.
    """

    annotations: Mapping[str, Any]
    images: tuple[tuple[int, Path], ...]


def open_split(dataset: Path, split: str) -> CocoSplit:
    """Find the images and annotations of a split.

    Raises:
        DatasetError: if the annotations or an image file are missing.
    """
    annotations = read_annotations(dataset / 'annotations' / f'{split}.json')
    folder = dataset / 'images' / split
    images = tuple((i['id'], folder / i['file_name']) for i in annotations['images'])
    missing = [path for _, path in images if not path.is_file()]
    if missing:
        raise DatasetError(
            f'{folder}: {len(missing)} of {len(images)} annotated images are missing, '
            f'the first is {missing[0].name}'
        )
    if not images:
        raise DatasetError(f'{folder}: the annotations name no image')
    return CocoSplit(annotations, images)


def read_thermal_image(path: Path) -> NDArray[Any]:
    """Read a grey image, (H, W) uint8 or uint16; colour files become grey.

    Raises:
        DatasetError: if the file is missing, is no image, or holds another kind of pixel.
    """
    # imdecode, unlike imread, keeps quiet about a damaged file and tells a missing one apart.
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if image is None:
        raise DatasetError(f'{path}: is not an image that OpenCV can decode')
    if image.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f'{path}: found {image.dtype} pixels, expected 8 or 16 bits')
    if image.ndim == 3:
        code = cv2.COLOR_BGRA2GRAY if image.shape[2] == 4 else cv2.COLOR_BGR2GRAY
        image = cv2.cvtColor(image, code)
    return image


def thermal_frame(
    image: NDArray[Any],
    *,
    valid_bits: int | None = None,
    stamp_ns: int = 0,
    frame_id: str = 'thermal',
) -> Frame:
    """Wrap an image from disk as a frame, with the encoding a camera driver would name."""
    encoding = 'mono8' if image.dtype == np.uint8 else 'mono16'
    bits = 8 if image.dtype == np.uint8 else valid_bits
    return Frame(image, stamp_ns, frame_id, 'thermal', encoding=encoding, valid_bits=bits)


def place_in_counts(image: NDArray[Any], seed: int | tuple[int, ...]) -> NDArray[np.uint16]:
    """Place an 8-bit image (H, W) into the counts of a 14-bit sensor.

    8-bit data sets come after the camera's contrast adjustment, so the true counts are lost.
    This makes plausible ones: black lies at a random level of 1000..8000 counts, white lies 500
    to 6000 counts above (log-uniform), and uniform noise of one grey level fills the gaps
    between the levels. The result tests that a model reads 16-bit input with any offset and
    gain; it holds no temperature.

    Args:
        image: (H, W) uint8.
        seed: the same seed and image give the same counts.
    """
    rng = np.random.default_rng(seed)
    low = rng.uniform(*_COUNTS_LOW)
    span = np.exp(rng.uniform(*np.log(_COUNTS_SPAN)))
    level = image + rng.random(image.shape, dtype=np.float32) - np.float32(0.5)
    return np.clip(np.rint(low + level * (span / 255)), 0, _COUNTS_MAX).astype(np.uint16)


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, ordered by name.

    Raises:
        DatasetError: if there is none.
    """
    if not folder.is_dir():
        raise DatasetError(f'{folder}: is not a folder')
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DatasetError(f'{folder}: holds no image, expected {", ".join(IMAGE_SUFFIXES)}')
    return files


def read_objects(path: Path, files: Sequence[Path]) -> dict[str, Detections]:
    """Read COCO annotations by the name of the image file.

    Returns:
        For each of `files` that is annotated, its objects. The scores are the visible fractions:
        1 for an object, 0 for a region to ignore.

    Raises:
        DatasetError: if the annotations cannot be read or name none of the files.
    """
    content = read_annotations(path)
    class_names = tuple(dict.fromkeys(snake_case(c['name']) for c in content['categories']))
    labels = category_labels(content, class_names)
    wanted = {file.name for file in files}
    images = {i['id']: i for i in content['images'] if Path(i['file_name']).name in wanted}
    if not images:
        raise DatasetError(
            f'{path}: names none of the {len(files)} images, the first of which is {files[0].name}'
        )
    by_image: dict[int, list[Mapping[str, Any]]] = {id_: [] for id_ in images}
    for annotation in content['annotations']:
        if annotation['image_id'] in by_image:
            by_image[annotation['image_id']].append(annotation)
    return {
        Path(images[id_]['file_name']).name: _truth_of(rows, labels, class_names)
        for id_, rows in by_image.items()
    }


def _truth_of(
    annotations: Sequence[Mapping[str, Any]],
    labels: Mapping[int, int],
    class_names: tuple[str, ...],
) -> Detections:
    boxes = np.asarray([a['bbox'] for a in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # x, y, width, height -> corners
    return Detections(
        boxes.astype(np.float32),
        np.asarray([0.0 if is_ignored(a) else 1.0 for a in annotations], np.float32),
        np.asarray([labels[a['category_id']] for a in annotations], np.int64),
        class_names,
        stamp_ns=0,
        frame_id='',
        image_size=(0, 0),
    )


def score_split(
    split: CocoSplit,
    perceive: Callable[[FrameSet], Perception],
    class_names: Sequence[str],
    *,
    counts_seed: int | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> DetectionMetrics:
    """Run a model over every image of a split and score it; see `detect_split`."""
    return detect_split(split, perceive, class_names, counts_seed=counts_seed, tick=tick).score()


def detect_split(
    split: CocoSplit,
    perceive: Callable[[FrameSet], Perception],
    class_names: Sequence[str],
    *,
    counts_seed: int | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> CocoScorer:
    """Run a model over every image of a split and collect what it finds.

    Args:
        split: images and truth.
        perceive: gives the unthresholded detections of one frame.
        class_names: the model's classes.
        counts_seed: if given, 8-bit images are placed into 14-bit counts first, with a seed
            made of this one and the image id.
        tick: called after each image with the images done and in total.

    Raises:
        DatasetError: if an image cannot be read, or the truth names a class that the model does
            not know.
    """
    scorer = CocoScorer(split.annotations, class_names)
    for done, (image_id, path) in enumerate(split.images, start=1):
        frame = thermal_frame(read_thermal_image(path), frame_id=path.name)
        if counts_seed is not None and frame.image.dtype == np.uint8:
            counts = place_in_counts(frame.image, seed=(counts_seed, image_id))
            frame = thermal_frame(counts, valid_bits=14, frame_id=path.name)
        scorer.add(image_id, perceive(FrameSet(thermal=frame)).detections)
        tick(done, len(split.images))
    return scorer
