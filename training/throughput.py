"""Where the seconds of an epoch go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Throughput:
    """Sums over the steps of an epoch.

    Attributes:
        total_s: seconds in all.
        data_s: seconds of waiting for data.
        model_s: seconds of forward and backward.
        images: samples trained on, by all processes.
    """

    total_s: float = 0.0
    data_s: float = 0.0
    model_s: float = 0.0
    images: int = 0

    def add(self, *, total_s: float, data_s: float, model_s: float, images: int) -> None:
        """Count a step."""
        self.total_s += total_s
        self.data_s += data_s
        self.model_s += model_s
        self.images += images

    def to_json(self) -> dict[str, float]:
        """Return images per second and shares of the time."""
        return {
            'images_per_s': self.images / self.total_s,
            'data_share': self.data_s / self.total_s,
            'model_share': self.model_s / self.total_s,
        }

    def __str__(self) -> str:
        """Say it in one line."""
        values = self.to_json()
        return (
            f'{values["images_per_s"]:.1f} images/s, {values["model_share"]:.0%} of the time in '
            f'forward and backward, {values["data_share"]:.0%} waiting for data'
        )
