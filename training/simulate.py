"""`python -m training simulate`: a data set of simulated frames in COCO layout.

    DIR/images/SPLIT/NAME.png        thermal, 8 or 16 bit
    DIR/rgb/SPLIT/NAME.png           colour, with --rgb
    DIR/labels/SPLIT/NAME.png        class of every pixel of the thermal image, with --labels
    DIR/annotations/SPLIT.json       boxes of the thermal images

Objects that are too small or too hidden to ask for become ignore regions (`iscrowd` 1), which
training skips and the evaluation neither rewards nor punishes.

Label images hold the ids of MFNet: car, person and bike, all else 0. MFNet does not say what
lorries and buses are, so other vehicles are 255, which counts nowhere.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING
import zlib

import cv2
import numpy as np

from thermal_perception.class_sets import MFNET
from thermal_perception.errors import DatasetError
from thermal_perception.simulation import (
    CONDITIONS,
    default_rig,
    PRESETS,
    render,
    Scene,
    SEMANTIC_NAMES,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from thermal_perception.simulation import Preset, Rig, SimulatedFrame, Truth
    from thermal_perception.types import SegmentationMask

MIN_VISIBILITY = 0.25
MIN_HEIGHT_PX = 6.0
FRAME_SPACING_S = (1.1, 2.3)

_MFNET_NAMES = {'person': 'person', 'car': 'car', 'bicycle': 'bike'}
_UNKNOWN = 255

CATEGORIES = (
    {'id': 1, 'name': 'Person', 'supercategory': 'Person'},
    {'id': 2, 'name': 'Car', 'supercategory': 'Vehicle'},
    {'id': 3, 'name': 'Bicycle', 'supercategory': 'Vehicle'},
    {'id': 4, 'name': 'OtherVehicle', 'supercategory': 'Vehicle'},
)


@dataclass(frozen=True)
class SimulateOptions:
    """What to make.

    Attributes:
        output: folder of the data set.
        preset: `road` or `aerial`.
        condition: a condition's name, or `mixed` for all in turn.
        scenes: number of different worlds.
        frames_per_scene: pictures of each, a second or two apart.
        split: name of the split; another name gives other worlds for the same seed.
        seed: of everything.
        bits: 8 or 16, of the thermal images.
        rgb: also write colour images.
        registered: whether the colour camera shares the thermal camera's pose and intrinsics.
        labels: also write label images.
    """

    output: Path
    preset: Preset
    condition: str = 'mixed'
    scenes: int = 10
    frames_per_scene: int = 10
    split: str = 'train'
    seed: int = 0
    bits: int = 8
    rgb: bool = False
    registered: bool = False
    labels: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('--output', type=Path, required=True, help='folder of the data set')
    parser.add_argument('--preset', choices=PRESETS, default='road')
    parser.add_argument(
        '--condition', choices=(*CONDITIONS, 'mixed'), default='mixed', help='weather and light'
    )
    parser.add_argument('--scenes', type=int, default=10, help='number of different worlds')
    parser.add_argument('--frames-per-scene', type=int, default=10)
    parser.add_argument('--split', default='train', help='name of the split')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--bits', type=int, choices=(8, 16), default=8, help='of thermal images')
    parser.add_argument('--rgb', action='store_true', help='also write colour images')
    parser.add_argument(
        '--registered',
        action='store_true',
        help='colour camera with pose, size and intrinsics of the thermal one',
    )
    parser.add_argument(
        '--labels', action='store_true', help='also write label images with the ids of MFNet'
    )


def run(args: argparse.Namespace) -> int:
    """Make the data set the command line asks for; returns the exit code."""
    names = SimulateOptions.__dataclass_fields__
    options = SimulateOptions(**{name: getattr(args, name) for name in names})
    path = simulate(options)
    print(f'{path}: {options.scenes * options.frames_per_scene} images')
    return 0


def simulate(options: SimulateOptions) -> Path:
    """Render the data set.

    Returns:
        Path of the annotation file, written last.

    Raises:
        DatasetError: if the split exists already or a file cannot be written.
    """
    annotations_path = options.output / 'annotations' / f'{options.split}.json'
    if annotations_path.exists():
        raise DatasetError(f'{annotations_path}: exists, expected a new split')
    coco = _Coco()
    for name, scene_seed, condition, frame, rgb in _frames(options):
        _write(options.output / 'images' / options.split / f'{name}.png', frame.image)
        if rgb is not None:
            _write(options.output / 'rgb' / options.split / f'{name}.png', rgb.image)
        assert frame.truth is not None
        if frame.truth.segmentation is not None:
            labels = mfnet_labels(frame.truth.segmentation)
            _write(options.output / 'labels' / options.split / f'{name}.png', labels)
        coco.add(f'{name}.png', frame.truth, scene_seed=scene_seed, condition=condition)
    described = {k: v for k, v in asdict(options).items() if k != 'output'}
    annotations_path.parent.mkdir(parents=True, exist_ok=True)
    annotations_path.write_text(json.dumps(coco.document(described)), encoding='utf-8')
    return annotations_path


def _frames(
    options: SimulateOptions,
) -> Iterator[tuple[str, int, str, SimulatedFrame, SimulatedFrame | None]]:
    for index in range(options.scenes):
        scene_seed = _scene_seed(options, index)
        condition = options.condition
        if condition == 'mixed':
            condition = tuple(CONDITIONS)[index % len(CONDITIONS)]
        scene = Scene(options.preset, condition, scene_seed)
        pitch_deg = scene.pitch_deg if options.preset == 'aerial' else None
        rig = default_rig(
            options.preset, seed=scene_seed, registered=options.registered, pitch_deg=pitch_deg
        )
        times = _times(scene_seed, options.frames_per_scene)
        for number, time_s in enumerate(times):
            name = f'{options.preset}_{condition}_{index:04d}_{number:03d}'
            yield (name, scene_seed, condition, *_shoot(options, scene, rig, float(time_s)))


def _shoot(
    options: SimulateOptions, scene: Scene, rig: Rig, time_s: float
) -> tuple[SimulatedFrame, SimulatedFrame | None]:
    frame = render(
        scene, time_s, rig.thermal, bits=options.bits, with_segmentation=options.labels
    )
    rgb = render(scene, time_s, rig.rgb, with_truth=False) if options.rgb else None
    return frame, rgb


def mfnet_labels(mask: SegmentationMask) -> np.ndarray:
    """Return (H, W) uint8 ids of MFNet, 255 for other vehicles, of the simulator's own labels."""
    table = np.zeros(256, np.uint8)
    table[SEMANTIC_NAMES.index('other_vehicle')] = _UNKNOWN
    for ours, theirs in _MFNET_NAMES.items():
        table[SEMANTIC_NAMES.index(ours)] = MFNET.names.index(theirs)
    return table[mask.labels]


def _scene_seed(options: SimulateOptions, index: int) -> int:
    """A seed per world; splits and seeds never share one."""
    words = [options.seed, zlib.crc32(options.split.encode()), index]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def _times(scene_seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng([scene_seed, 7])
    return np.cumsum(rng.uniform(*FRAME_SPACING_S, count))


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise DatasetError(f'{path}: cannot be written')


class _Coco:
    """Collects images and annotations."""

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, file_name: str, truth: Truth, *, scene_seed: int, condition: str) -> None:
        """Add one image with all its objects."""
        height, width = truth.detections.image_size
        image_id = len(self.images) + 1
        self.images.append(
            {
                'id': image_id,
                'file_name': file_name,
                'width': width,
                'height': height,
                'condition': condition,
                'scene_seed': scene_seed,
            }
        )
        rows = zip(
            truth.detections.boxes_xyxy_px.tolist(),
            truth.detections.labels.tolist(),
            truth.visibility.tolist(),
            truth.track_ids.tolist(),
        )
        for box, label, visibility, track in rows:
            self.annotations.append(
                {
                    'id': len(self.annotations) + 1,
                    'image_id': image_id,
                    'category_id': label + 1,
                    **_region(box, visibility, (height, width)),
                    'visibility': round(visibility, 4),
                    'track_id': track,
                }
            )

    def document(self, options: dict[str, Any]) -> dict[str, Any]:
        """The whole COCO file."""
        info = {'description': 'Simulated thermal scenes', 'version': '1.0', 'options': options}
        return {
            'info': info,
            'licenses': [{'id': 1, 'name': 'Apache-2.0'}],
            'images': self.images,
            'annotations': self.annotations,
            'categories': list(CATEGORIES),
        }


def _region(box_xyxy: list[float], visibility: float, size: tuple[int, int]) -> dict[str, Any]:
    """A real box, or an ignore region if the object shows too little."""
    x1, y1, x2, y2 = box_xyxy
    width, height = x2 - x1, y2 - y1
    region: dict[str, Any] = {'bbox': [x1, y1, width, height], 'area': width * height}
    if visibility >= MIN_VISIBILITY and height >= MIN_HEIGHT_PX:
        outline = [x1, y1, x2, y1, x2, y2, x1, y2]
        return {**region, 'iscrowd': 0, 'segmentation': [outline]}
    rle = {'size': list(size), 'counts': rectangle_rle(box_xyxy, size)}
    return {**region, 'iscrowd': 1, 'ignore': 1, 'segmentation': rle}


def rectangle_rle(box_xyxy: list[float], size: tuple[int, int]) -> list[int]:
    """Uncompressed COCO run lengths of a filled rectangle, column by column.

    Args:
        box_xyxy: corners in pixels; pixels touched by it belong to it.
        size: (height, width) of the image.
    """
    height, width = size
    x1, y1 = (max(0, int(np.floor(v))) for v in box_xyxy[:2])
    x2 = min(width, int(np.ceil(box_xyxy[2])))
    y2 = min(height, int(np.ceil(box_xyxy[3])))
    counts = [x1 * height + y1]
    for _ in range(x2 - x1):
        counts += [y2 - y1, height - (y2 - y1)]
    counts[-1] = height * width - sum(counts[:-1])
    if counts[-1] == 0:
        counts.pop()
    elif height == y2 - y1:  # full columns: merge the runs between which nothing lies
        counts = [x1 * height, (x2 - x1) * height, (width - x2) * height]
        counts = counts if counts[-1] else counts[:-1]
    return counts
