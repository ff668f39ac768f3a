"""A radio link in numbers: air time, delay, loss and order of messages. No ROS, no clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thermal_perception.errors import ConfigError


@dataclass(frozen=True)
class LinkConfig:
    """What a link does to its messages.

    Attributes:
        delay_s: from the end of sending to arrival.
        jitter_s: up to so much is added to the delay, evenly drawn; more than the distance of two
            messages changes their order.
        loss: probability that a message is sent and never arrives.
        held: probability that a message comes `held_s` later, behind others.
        held_s: see `held`.
        bytes_per_s: how fast messages leave; 0 at once.
        queue_bytes: what may wait to leave; a message that would be too much is dropped.
        seed: of all that is drawn.
    """

    delay_s: float = 0.02
    jitter_s: float = 0.0
    loss: float = 0.0
    held: float = 0.0
    held_s: float = 0.15
    bytes_per_s: float = 0.0
    queue_bytes: int = 1_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no link does."""
        for name in ('loss', 'held'):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f'{name}: found {getattr(self, name)}, expected 0 to 1')
        for name in ('delay_s', 'jitter_s', 'held_s', 'bytes_per_s', 'queue_bytes'):
            if not 0 <= getattr(self, name) < np.inf:
                raise ConfigError(f'{name}: found {getattr(self, name)}, expected at least 0')


class Link:
    """Says of every message when it arrives, or why it does not.

    One message is sent at a time. What is drawn for a message depends on the seed and on how many
    there were before, not on time or on what was lost.
    """

    def __init__(self, config: LinkConfig) -> None:
        """Nothing is on the way yet."""
        self.config = config
        self._rng = np.random.default_rng(config.seed)
        self._free_s = -np.inf  # when the last message has left

    def send(self, size: int, now_s: float) -> float | str:
        """Take a message of `size` bytes at `now_s`, which never goes back.

        Returns:
            When it arrives, on the same clock; or the cause of its end: `queue full` or `lost`.
        """
        config = self.config
        lost, held, jitter = self._rng.random(3)
        start_s = max(now_s, self._free_s)
        if config.bytes_per_s:
            waiting = (start_s - now_s) * config.bytes_per_s
            if waiting + size > config.queue_bytes:
                return 'queue full'
            self._free_s = start_s + size / config.bytes_per_s
            start_s = self._free_s
        if lost < config.loss:
            return 'lost'
        late_s = config.held_s if held < config.held else 0.0
        return start_s + config.delay_s + jitter * config.jitter_s + late_s
