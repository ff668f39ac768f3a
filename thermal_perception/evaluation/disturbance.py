"""What goes wrong between a vehicle and the roadside: a wrong pose, a lost message.

Every frame draws the same direction for whatever size an error has, and whatever model is asked,
so that results differ by the error alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError
from thermal_perception.geometry.transforms import displaced_camera

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from thermal_perception.evaluation.dair import CooperativeFrame


@dataclass(frozen=True)
class Disturbance:
    """Errors of the roadside pose, drawn for each frame, and messages that never come.

    Attributes:
        position_m: standard deviation of its x and of its y in the world.
        heading_deg: standard deviation of its heading, about the camera's own place.
        loss: share of the messages that are lost, 0..1.
        seed: of all that is drawn.
    """

    position_m: float = 0.0
    heading_deg: float = 0.0
    loss: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if self.position_m < 0 or self.heading_deg < 0 or not 0 <= self.loss <= 1:
            raise MetricError(f'disturbance: found {self}, expected sizes from 0 and a loss 0..1')

    def T_camera_world(self, frame: CooperativeFrame) -> NDArray[np.float64]:
        """Return (4, 4) world to the roadside camera, as the vehicle is wrongly told."""
        right, forward, turned = self._generator(frame, 'pose').standard_normal(3)
        return displaced_camera(
            frame.T_camera_world,
            x_m=self.position_m * right,
            y_m=self.position_m * forward,
            yaw_rad=np.deg2rad(self.heading_deg * turned),
        )

    def loses(self, frame: CooperativeFrame) -> bool:
        """Tell whether the message of a frame is lost."""
        return bool(self._generator(frame, 'loss').random() < self.loss)

    def _generator(self, frame: CooperativeFrame, what: str) -> Generator:
        return np.random.default_rng([self.seed, *what.encode(), *frame.name.encode()])


UNDISTURBED = Disturbance()
