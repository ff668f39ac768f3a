"""Images that belong together, on their way from the cameras' threads to the worker's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.nodes.cameras.camera_input import Arrival
    from thermal_perception.types import FrameSet


@dataclass(frozen=True, eq=False)
class Moment:
    """The image messages of one moment.

    Attributes:
        thermal: leads where there is one.
        rgb: image of the colour camera; None where it is missing or not used.
        decided_s: `time.perf_counter()` when it was known that these belong together.
    """

    thermal: Arrival | None
    rgb: Arrival | None
    decided_s: float

    @property
    def leader(self) -> Arrival:
        """The image whose stamp the result carries."""
        leader = self.rgb if self.thermal is None else self.thermal
        assert leader is not None  # an empty moment is never made
        return leader


class Reading(NamedTuple):
    """A moment decoded.

    Attributes:
        frames: what the model is to look at.
        stages_s: what decoding took, seconds by stage.
    """

    frames: FrameSet
    stages_s: Mapping[str, float]
