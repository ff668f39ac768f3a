"""A small 3D world and its thermal and colour cameras (numpy and OpenCV, no GPU).

    scene = Scene('road', 'night', seed=7)
    rig = default_rig('road')
    frame = render(scene, 1.5, rig.thermal, bits=16)
    frame.image, frame.truth.detections, frame.truth.boxes_3d, scene.odometry(1.5)

The same arguments always give the same bytes.
"""

from thermal_perception.simulation.actors import CLASS_NAMES
from thermal_perception.simulation.camera import (
    Agc,
    CameraSpec,
    default_rig,
    mount,
    pinhole,
    Preset,
    PRESETS,
    RgbSensor,
    Rig,
    ThermalSensor,
)
from thermal_perception.simulation.conditions import Condition, CONDITIONS
from thermal_perception.simulation.renderer import ground_truth, render, SimulatedFrame
from thermal_perception.simulation.scene import Odometry, Scene
from thermal_perception.simulation.terrain import SEMANTIC_NAMES
from thermal_perception.simulation.truth import Truth

__all__ = [
    'CLASS_NAMES',
    'CONDITIONS',
    'PRESETS',
    'SEMANTIC_NAMES',
    'Agc',
    'CameraSpec',
    'Condition',
    'Odometry',
    'Preset',
    'RgbSensor',
    'Rig',
    'Scene',
    'SimulatedFrame',
    'ThermalSensor',
    'Truth',
    'default_rig',
    'ground_truth',
    'mount',
    'pinhole',
    'render',
]
