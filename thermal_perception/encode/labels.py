"""What the ids and weights of a model mean, as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from vision_msgs.msg import (
    Classification,
    LabelInfo,
    ObjectHypothesis,
    VisionClass,
)

from thermal_perception.class_sets import colours_of
from thermal_perception.encode.header import to_header
from thermal_perception.encode.image import to_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sensor_msgs.msg import Image

    from thermal_perception.types import FusionWeights


def to_label_info(class_names: Sequence[str], threshold: float, *, stamp_ns: int) -> LabelInfo:
    """Map 0-based ids to names; `threshold` is the score below which nothing is published."""
    classes = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(class_names)]
    return LabelInfo(header=to_header(stamp_ns, ''), class_map=classes, threshold=threshold)


def to_palette(class_names: Sequence[str], *, stamp_ns: int) -> Image:
    """Return the colours of the classes as an rgb8 image of one row: the column is the id.

    They are those that the authors of the data set paint label images with, see `colours_of`.
    """
    colours = np.array(colours_of(class_names), np.uint8)[None]
    return to_image(colours, 'rgb8', stamp_ns=stamp_ns, frame_id='')


def to_classification(weights: FusionWeights, *, stamp_ns: int, frame_id: str) -> Classification:
    """Encode the scale weights of one image as named values.

    vision_msgs/Classification is the standard message that has a header and named numbers. Names
    (`class_id`) are `alpha_hat_S` (final weight of stride S, they sum to one), `alpha_S`,
    `prior_S`, `logit_S`, then `entropy` (nats), `dominant_stride` and `beta_norm`.
    """
    tables = (
        ('alpha_hat', weights.alpha_hat),
        ('alpha', weights.alpha),
        ('prior', weights.prior),
        ('logit', weights.logits),
    )
    values = [
        (f'{name}_{stride}', float(value))
        for name, table in tables
        for stride, value in zip(weights.strides, table)
    ]
    values += [
        ('entropy', weights.entropy),
        ('dominant_stride', float(weights.dominant_stride)),
        ('beta_norm', weights.beta_norm),
    ]
    return to_named_values(dict(values), stamp_ns=stamp_ns, frame_id=frame_id)


def to_named_values(
    values: Mapping[str, float], *, stamp_ns: int, frame_id: str
) -> Classification:
    """Encode numbers by name; `class_id` holds the name, `score` the number."""
    results = [ObjectHypothesis(class_id=name, score=value) for name, value in values.items()]
    return Classification(header=to_header(stamp_ns, frame_id), results=results)
