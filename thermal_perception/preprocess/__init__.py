"""From frames to model input: thermal transforms, resizing, normalising, and the way back."""

from thermal_perception.preprocess.thermal import (
    THERMAL_TRANSFORMS,
    ThermalTransform,
    dataset_window_limits,
    default_transform_name,
    make_thermal_transform,
)

__all__ = [
    'THERMAL_TRANSFORMS',
    'ThermalTransform',
    'dataset_window_limits',
    'default_transform_name',
    'make_thermal_transform',
]
