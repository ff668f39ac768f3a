"""What happens without the colour camera: the demo cuts it off for a while."""

from __future__ import annotations

from typing import Protocol

_FROM, _TO = 0.5, 0.75


class Switch(Protocol):
    """Silences a camera or lets it send again."""

    def __call__(self, *, drop: bool) -> None:
        """Switch it."""


class RgbGap:
    """Cuts the colour camera off for the third quarter of a demo."""

    def __init__(self, switch: Switch, duration_s: float) -> None:
        """Leave the camera on; `duration_s` is that of the demo, seconds."""
        self._switch, self._duration_s = switch, duration_s
        self._dropped = False

    def at(self, elapsed_s: float) -> str:
        """Switch the camera if it is time, and return what there is to say about it."""
        wanted = _FROM <= elapsed_s / self._duration_s < _TO
        if wanted != self._dropped:
            self._switch(drop=wanted)
            self._dropped = wanted
        return f'colour camera cut off until {_TO * self._duration_s:.0f} s' if wanted else ''
