"""A node with a model of two cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from thermal_perception.errors import CheckpointError
from thermal_perception.nodes.cameras.pair_input import PairInput
from thermal_perception.nodes.parameters.pair import PairParameters
from thermal_perception.nodes.perception.perception_node import PerceptionNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermal_perception.nodes.cameras.moment import Moment
    from thermal_perception.nodes.perception.perceivers import PerceiverLike
    from thermal_perception.types import Output

P = TypeVar('P', bound=PairParameters)


class PairNode(PerceptionNode[P]):
    """Perceives moments of a thermal and a colour camera; see `PerceptionNode`.

    Attributes:
        output: what its model must be able to give.
    """

    output: Output = 'detections'

    def make_inputs(
        self, put: Callable[[Moment], None], forget: Callable[[], None]
    ) -> PairInput[P]:
        """Prepare both cameras."""
        return PairInput(self, put, forget)

    def check_model(self, perceiver: PerceiverLike) -> None:
        """Refuse a model of one camera, or one that gives something else."""
        path = perceiver.info.path
        if not {'thermal', 'rgb'}.issubset(perceiver.cameras):
            raise CheckpointError(
                f'{path}: found a model of {" and ".join(perceiver.cameras)} images, expected '
                'one of thermal and rgb images'
            )
        if self.output not in perceiver.outputs:
            raise CheckpointError(
                f'{path}: found a model that gives {" and ".join(sorted(perceiver.outputs))}, '
                f'expected one that gives {self.output}'
            )
