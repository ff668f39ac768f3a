"""What happens without something for a while: the demo takes it away and gives it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class GapPlan:
    """When something is missing.

    Attributes:
        what: a phrase, as `colour camera cut off`.
        from_s: seconds from the first answer.
        to_s: when it comes back.
    """

    what: str
    from_s: float
    to_s: float


class Gap:
    """Takes something away between two times."""

    def __init__(self, switch: Callable[[bool], None], plan: GapPlan) -> None:
        """Leave it there; `switch` gets True to take it away and False to give it back."""
        self._switch, self._plan = switch, plan
        self._missing = False

    def at(self, elapsed_s: float) -> str:
        """Switch if it is time, and return what there is to say about it."""
        plan = self._plan
        wanted = plan.from_s <= elapsed_s < plan.to_s
        if wanted != self._missing:
            self._switch(wanted)
            self._missing = wanted
        return f'{plan.what} until {plan.to_s:.0f} s' if wanted else ''
