"""Message-shaped objects to frames. Messages come through protocols: no ROS is imported here."""

from thermal_perception.decode.compressed import decode_compressed
from thermal_perception.decode.image import decode_image, MAX_PIXELS
from thermal_perception.decode.messages import (
    CompressedImageLike,
    HeaderLike,
    ImageLike,
    stamp_ns_of,
)
from thermal_perception.decode.radiometry import (
    frame_in_kelvin,
    kelvin_table,
    object_kelvin,
    PlanckConstants,
    ViewingConditions,
)
from thermal_perception.decode.serialized import read_compressed_image, read_image
from thermal_perception.decode.units import THERMAL_UNITS, thermal_units, ThermalUnits

__all__ = [
    'MAX_PIXELS',
    'THERMAL_UNITS',
    'CompressedImageLike',
    'HeaderLike',
    'ImageLike',
    'PlanckConstants',
    'ThermalUnits',
    'ViewingConditions',
    'decode_compressed',
    'decode_image',
    'frame_in_kelvin',
    'kelvin_table',
    'object_kelvin',
    'read_compressed_image',
    'read_image',
    'stamp_ns_of',
    'thermal_units',
]
