"""Where the vehicle was when an image was taken."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.geometry.transforms import from_xyz_quat, to_xyz_quat

if TYPE_CHECKING:
    from numpy.typing import NDArray

_S = 1_000_000_000


class EgoTrack:
    """The newest poses of the vehicle, and those between them."""

    def __init__(
        self, *, keep_s: float = 10.0, max_gap_s: float = 0.5, max_ahead_s: float = 0.1
    ) -> None:
        """Start without any pose.

        Args:
            keep_s: how long poses are remembered behind the newest.
            max_gap_s: how far apart two poses may be for one between them.
            max_ahead_s: how far beyond the newest pose its motion is carried on.
        """
        self._keep_ns = int(keep_s * _S)
        self._max_gap_ns = int(max_gap_s * _S)
        self._max_ahead_ns = int(max_ahead_s * _S)
        self._poses: list[tuple[int, tuple[float, ...]]] = []  # stamp and x, y, z, qx, qy, qz, qw

    def __len__(self) -> int:
        """Return the number of poses that are remembered."""
        return len(self._poses)

    def add(self, stamp_ns: int, T_world_base: NDArray[np.float64]) -> None:
        """Remember a pose; one well behind the newest means that time was set back."""
        if self._poses and stamp_ns < self._poses[-1][0] - self._max_gap_ns:
            self._poses.clear()
        index = bisect_left(self._poses, (stamp_ns, ()))
        if index < len(self._poses) and self._poses[index][0] == stamp_ns:
            return
        self._poses.insert(index, (stamp_ns, tuple(to_xyz_quat(T_world_base).tolist())))
        oldest = self._poses[-1][0] - self._keep_ns
        del self._poses[: bisect_left(self._poses, (oldest, ()))]

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """Return the (4, 4) `T_world_base` of a moment; None where it is not known."""
        index = bisect_left(self._poses, (stamp_ns, ()))
        if index < len(self._poses) and self._poses[index][0] == stamp_ns:
            return from_xyz_quat(self._poses[index][1])
        if index == 0 or len(self._poses) < 2:
            return None
        if index == len(self._poses):
            if stamp_ns - self._poses[-1][0] > self._max_ahead_ns:
                return None
            index -= 1
        (before_ns, before), (after_ns, after) = self._poses[index - 1 : index + 1]
        if after_ns - before_ns > self._max_gap_ns:
            return None
        share = (stamp_ns - before_ns) / (after_ns - before_ns)
        return _between(np.array(before), np.array(after), share)


def _between(
    before: NDArray[np.float64], after: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Move by a share of the way, straight and turning evenly; above 1 is beyond the second."""
    p, q = before[3:], after[3:]
    dot = float(p @ q)
    if dot < 0:  # the same turn, the short way round
        q, dot = -q, -dot
    angle = np.arccos(min(dot, 1.0))
    if angle < 1e-6:
        turn = p + share * (q - p)
    else:
        turn = (np.sin((1 - share) * angle) * p + np.sin(share * angle) * q) / np.sin(angle)
    place = before[:3] + share * (after[:3] - before[:3])
    return from_xyz_quat(np.concatenate((place, turn / np.linalg.norm(turn))))
