"""`thermal-perception bag-from-images`: folders of images become a rosbag2 bag."""

from __future__ import annotations

from dataclasses import dataclass
import time
from typing import Literal, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.dataset import read_objects
from thermal_perception.evaluation.from_files.partners import find_partners
from thermal_perception.evaluation.image_bag import ImageBagWriter, Intrinsics
from thermal_perception.evaluation.image_files import (
    colour_frame,
    list_images,
    read_colour_image,
    read_thermal_image,
    thermal_frame,
)

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class BagOptions:
    """What `bag-from-images` was asked for; the fields are its options.

    Attributes:
        rgb: folder of colour images, one for each thermal image by its name without the suffix,
            taken at the same moments; None for a thermal camera alone.
        start_s: stamp of the first image, seconds since the epoch; None for now. Image files
            carry no time, so the stamps are made up: evenly spaced at `rate_hz`.
    """

    folder: Path
    output: Path
    rate_hz: float = 10.0
    topic: str = '/thermal/image_raw'
    frame_id: str = 'thermal_camera_optical'
    annotations: Path | None = None
    intrinsics: Intrinsics | None = None
    storage: Literal['mcap', 'sqlite3'] = 'mcap'
    start_s: float | None = None
    rgb: Path | None = None
    rgb_topic: str = '/rgb/image_raw'
    rgb_frame_id: str = 'rgb_camera_optical'

    def __post_init__(self) -> None:
        """Refuse options that cannot make a bag."""
        if not 0 < self.rate_hz <= 1000:
            raise ConfigError(f'--rate {self.rate_hz}: expected more than 0, at most 1000 Hz')
        for option, topic in (('--topic', self.topic), ('--rgb-topic', self.rgb_topic)):
            if not topic.strip('/') or topic.endswith('/'):
                raise ConfigError(f'{option} {topic}: expected a name, as /thermal/image_raw')
        if self.start_s is not None and self.start_s <= 0:
            raise ConfigError(f'--start {self.start_s}: expected seconds since 1970, above 0')
        if self.output.exists():
            raise ConfigError(f'--output {self.output}: exists already, remove it first')


def bag_from_images(options: BagOptions) -> None:
    """Write the bag, images in the order of their names, and say what is in it.

    Raises:
        DatasetError: if the folder holds no image, a file is damaged, a colour image is missing,
            the annotations name none of the images, or the bag cannot be written.
    """
    files = list_images(options.folder)
    colours = _colours(options.rgb, options.folder) if options.rgb else {}
    objects = read_objects(options.annotations, files) if options.annotations else {}
    start_ns = time.time_ns() if options.start_s is None else round(options.start_s * 1e9)
    bag = ImageBagWriter(
        options.output,
        topic=f'/{options.topic.lstrip("/")}',
        storage=options.storage,
        intrinsics=options.intrinsics,
    )
    with bag, console.progress_bar('writing', len(files)) as progress:
        for number, path in enumerate(files):
            stamp_ns = start_ns + round(number * 1e9 / options.rate_hz)
            image = read_thermal_image(path)
            frame = thermal_frame(image, stamp_ns=stamp_ns, frame_id=options.frame_id)
            bag.write(frame, objects.get(path.name))
            if colours:
                rgb = colour_frame(
                    read_colour_image(colours[path.stem]),
                    stamp_ns=stamp_ns,
                    frame_id=options.rgb_frame_id,
                )
                bag.write_image(rgb, f'/{options.rgb_topic.lstrip("/")}')
            progress.advance(progress.task_ids[0])
    labelled = f', {len(objects)} with ground truth' if options.annotations else ''
    kind = 'pairs' if colours else 'images'
    console.out.print(f'{options.output}: {len(files)} {kind} at {options.rate_hz:g} Hz{labelled}')


def _colours(rgb: Path, thermal: Path) -> dict[str, Path]:
    """Return the colour image of each thermal one, by its name without the suffix."""
    rows = find_partners({'rgb': rgb}, ('thermal', thermal)).rows
    return {row['thermal'].stem: row['rgb'] for row in rows}
