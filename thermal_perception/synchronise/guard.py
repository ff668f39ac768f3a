"""Watch one camera stream: are its stamps sane, and does its picture still change?"""

from __future__ import annotations

from collections import Counter
import math
from typing import Any, Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

StampVerdict = Literal['ok', 'zero_stamp', 'future', 'duplicate', 'out_of_order', 'jump_back']

# About this many values are compared before the whole image is.
_PROBE_VALUES = 1024


class StampGuard:
    """Judges each stamp of one stream; not thread-safe, one stream has one callback.

    Verdicts:
        ok: later than every accepted stamp.
        zero_stamp: zero or negative; the driver did not set it.
        future: further ahead of the clock than `max_future_s`.
        duplicate: equal to the last accepted stamp.
        out_of_order: before the last accepted stamp.
        jump_back: so far back, or so often back, that the stream has restarted (bag loop, clock
            reset). The stamp is accepted and the message is good; what was remembered of the
            stream (pairs, tracks) is not.

    All but `ok` and `jump_back` mean: drop the message.
    """

    def __init__(
        self,
        *,
        max_future_s: float | None = 1.0,
        jump_back_s: float = 1.0,
        restart_after: int = 5,
    ) -> None:
        """Make a guard for one stream.

        Args:
            max_future_s: how far a stamp may lie ahead of the clock; None accepts any.
            jump_back_s: a stamp this far before the last accepted one is a restart.
            restart_after: as many stamps in a row out of order are a restart too, which is how
                a short bag in a loop is noticed.

        Raises:
            ConfigError: if a limit is negative or `restart_after` is below 1.
        """
        if restart_after < 1:
            raise ConfigError(f'stamp guard: found restart_after {restart_after}, expected 1..')
        self._max_future_ns = (
            None if max_future_s is None else _nanoseconds('max_future_s', max_future_s)
        )
        self._jump_back_ns = _nanoseconds('jump_back_s', jump_back_s)
        self._restart_after = restart_after
        self._last_ns: int | None = None
        self._behind = 0
        self._counts: Counter[StampVerdict] = Counter()

    def check(self, stamp_ns: int, now_ns: int | None = None) -> StampVerdict:
        """Judge the next stamp and count the verdict.

        Args:
            stamp_ns: stamp of the message, nanoseconds.
            now_ns: the clock the stamps refer to; None or 0 (a simulated clock that has not
                started) skips the check for future stamps.
        """
        verdict = self._judge(stamp_ns, now_ns)
        self._behind = self._behind + 1 if verdict == 'out_of_order' else 0
        if verdict in ('ok', 'jump_back'):
            self._last_ns = stamp_ns
        self._counts[verdict] += 1
        return verdict

    def reset(self) -> None:
        """Forget the stream, keep the counts."""
        self._last_ns = None
        self._behind = 0

    @property
    def counts(self) -> Mapping[StampVerdict, int]:
        """How often each verdict was given so far."""
        return dict(self._counts)

    def _judge(self, stamp_ns: int, now_ns: int | None) -> StampVerdict:
        if stamp_ns <= 0:
            return 'zero_stamp'
        if now_ns and self._max_future_ns is not None and stamp_ns - now_ns > self._max_future_ns:
            return 'future'
        if self._last_ns is None or stamp_ns > self._last_ns:
            return 'ok'
        if stamp_ns == self._last_ns:
            return 'duplicate'
        if (
            self._last_ns - stamp_ns >= self._jump_back_ns
            or self._behind + 1 >= self._restart_after
        ):
            return 'jump_back'
        return 'out_of_order'


class FreezeDetector:
    """Notices when a camera repeats its last picture: shutter (FFC, NUC) or a hung driver.

    A live sensor's noise changes some pixel of every frame, so equal frames are a freeze. A few
    values are compared first, the whole image only if those are equal: 0.02 ms for live frames.
    """

    def __init__(self, n_frames: int = 5) -> None:
        """Make a detector that calls the stream frozen at the `n_frames`-th equal frame.

        Raises:
            ConfigError: if `n_frames` is below 2.
        """
        if n_frames < 2:
            raise ConfigError(f'freeze detector: found n_frames {n_frames}, expected at least 2')
        self._n_frames = n_frames
        self._last: NDArray[Any] | None = None
        self._probe: NDArray[Any] | None = None
        self._equal = 0

    def update(self, data: NDArray[Any] | bytes | bytearray | memoryview) -> bool:
        """Take the next frame; returns True while the stream is frozen.

        Args:
            data: the decoded image, or the message's bytes. It is kept until the next call and
                must not be written to meanwhile.
        """
        image = data if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
        if image.dtype.kind == 'f':  # compare bits: a NaN does not equal itself
            image = image.view(f'u{image.dtype.itemsize}')
        probe = _probe(image)
        self._equal = self._equal + 1 if self._repeats(image, probe) else 1
        self._last, self._probe = image, probe
        return self.frozen

    def reset(self) -> None:
        """Forget the stream."""
        self._last = self._probe = None
        self._equal = 0

    @property
    def frozen(self) -> bool:
        """True if at least `n_frames` equal frames came in a row."""
        return self._equal >= self._n_frames

    @property
    def equal_frames(self) -> int:
        """Length of the current run of equal frames; 1 for a live stream, 0 before any."""
        return self._equal

    def _repeats(self, image: NDArray[Any], probe: NDArray[Any]) -> bool:
        if self._last is None or self._probe is None or image.dtype != self._last.dtype:
            return False
        return np.array_equal(probe, self._probe) and np.array_equal(image, self._last)


def _nanoseconds(name: str, seconds: float) -> int:
    if not 0.0 <= seconds < math.inf:
        raise ConfigError(f'stamp guard: found {name} {seconds}, expected at least 0')
    return round(seconds * 1e9)


def _probe(image: NDArray[Any]) -> NDArray[Any]:
    """Copy of about `_PROBE_VALUES` values on a regular grid over the first two axes."""
    pixels = image.size if image.ndim < 2 else image.shape[0] * image.shape[1]
    step = max(1, int((pixels / _PROBE_VALUES) ** (1.0 / min(image.ndim, 2))))
    return image[(slice(None, None, step),) * min(image.ndim, 2)].copy()
