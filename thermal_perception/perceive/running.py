"""What a network that runs tells of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.backends import backend_text

if TYPE_CHECKING:
    from thermal_perception.backends import Backend


class Running:
    """Something that runs a network by a backend."""

    _backend: Backend

    @property
    def device(self) -> str:
        """Where the network runs now."""
        return self._backend.device

    @property
    def backend(self) -> str:
        """Run-time and precision, for example `torch fp32`."""
        return backend_text(self._backend)

    @property
    def backend_notes(self) -> tuple[str, ...]:
        """What is worth knowing of how it runs, such as why `auto` chose this run-time."""
        return self._backend.notes

    @property
    def degraded(self) -> str:
        """Why the network does not run as it was asked to; empty if it does."""
        return self._backend.problem
