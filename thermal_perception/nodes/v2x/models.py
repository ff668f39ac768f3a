"""How the nodes of EMIFF get at their half of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thermal_perception.geometry import Camera
    from thermal_perception.nodes.parameters.v2x import V2xParameters
    from thermal_perception.perceive.cooperative import (
        OwnView,
        ReceivedView,
        RoadsidePerceiver,
        VehiclePerceiver,
    )
    from thermal_perception.v2x import Chosen


def load_roadside(values: V2xParameters) -> RoadsidePerceiver:
    """Load the roadside part, warm: no live image waits for a compiler.

    Raises:
        CheckpointError: if the weights are missing, damaged or of another model.
        BackendError: if the device is not there, or the backend not installed.
    """
    # Importing torch takes seconds: wrong parameters are reported before it.
    from thermal_perception.perceive.cooperative import RoadsidePerceiver

    roadside = RoadsidePerceiver.load(_path(values), live=True, **_where(values))
    roadside.warm_up()
    return roadside


def load_vehicle(values: V2xParameters) -> VehiclePerceiver:
    """Load the vehicle part, warm; raises as `load_roadside`."""
    from thermal_perception.perceive.cooperative import VehiclePerceiver

    vehicle = VehiclePerceiver.load(_path(values), live=True, **_where(values))
    vehicle.warm_up()
    return vehicle


def own_view(
    image: NDArray[np.uint8], camera: Camera, T_camera_lidar: NDArray[np.float64]
) -> OwnView:
    """Return an image of the vehicle as the model takes it."""
    from thermal_perception.perceive.cooperative import OwnView

    return OwnView(image, camera, T_camera_lidar)


def received_view(chosen: Chosen) -> ReceivedView:
    """Return chosen features as the model takes them."""
    from thermal_perception.perceive.cooperative import ReceivedView

    features = chosen.features
    return ReceivedView(
        features=features.features,
        level=features.level,
        K=features.K,
        image_size=features.image_size,
        resize_factor=features.resize_factor,
        padded_size=features.padded_size,
        T_camera_lidar=chosen.T_camera_lidar,
        weight=chosen.weight,
    )


def _where(values: V2xParameters) -> dict[str, Any]:
    """Return what runs the network."""
    return {
        'device': values.device,
        'backend': values.backend,
        'precision': values.precision,
        'artefact': Path(values.artefact).expanduser() if values.artefact else None,
    }


def _path(values: V2xParameters) -> Path:
    from thermal_perception.resources import shipped_weights

    if values.checkpoint:
        return Path(values.checkpoint).expanduser()
    return shipped_weights(values.model)
