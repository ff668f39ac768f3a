"""From frames to model input: thermal transforms, resizing, normalising, and the way back."""

from thermal_perception.preprocess.image import (
    Prepared,
    Preprocess,
    PreprocessConfig,
    ThermalTransformConfig,
)
from thermal_perception.preprocess.on_device import TakesRaw
from thermal_perception.preprocess.pair import PairPreprocess, PreparedPair
from thermal_perception.preprocess.raw import RawImage, RawPair, RawPairPreprocess, RawPreprocess
from thermal_perception.preprocess.thermal import (
    dataset_window_limits,
    default_transform_name,
    make_thermal_transform,
    THERMAL_TRANSFORMS,
    ThermalTransform,
)
from thermal_perception.preprocess.views import PreparedView, ViewConfig, ViewPreprocess

__all__ = [
    'PairPreprocess',
    'PreparedPair',
    'PreparedView',
    'Prepared',
    'Preprocess',
    'PreprocessConfig',
    'RawImage',
    'RawPair',
    'RawPairPreprocess',
    'RawPreprocess',
    'THERMAL_TRANSFORMS',
    'TakesRaw',
    'ThermalTransform',
    'ThermalTransformConfig',
    'ViewConfig',
    'ViewPreprocess',
    'dataset_window_limits',
    'default_transform_name',
    'make_thermal_transform',
]
