"""The vehicle's side of the link: which messages are believed, and which one is used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import V2xError
from thermal_perception.v2x.message import LIMITS, Limits, unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.types import InfrastructureFeatures
    from thermal_perception.v2x.message import EncodedMessage
    from thermal_perception.v2x.signature import TrustedKeys

_S = 1_000_000_000


@dataclass(frozen=True)
class ReceiverConfig:
    """What is believed.

    Attributes:
        fingerprint: of the vehicle's own model.
        shapes: (C, h, w) of the features per compression level (c, s); a level that is not there
            is unknown to the model.
        padded_size: (height, width) of the images that the model takes, pixels.
        world_frame: name of the frame in which the vehicle knows its pose.
        max_age_s: how much older than the vehicle's image features may be.
        fade_from_s: age from which features count less, down to nothing at `max_age_s`; the same
            as that lets all count fully.
        max_future_s: how far ahead of the clock, or of the vehicle's image, a stamp may be.
        max_distance_m: of the camera from the vehicle.
        min_coverage: share, 0..1, of the voxels that the camera must see.
        max_senders: remembered at the same time; the one not heard for longest makes room.
        limits: sizes of messages.
    """

    fingerprint: str
    shapes: dict[tuple[int, int], tuple[int, int, int]]
    padded_size: tuple[int, int]
    world_frame: str
    max_age_s: float = 0.2
    fade_from_s: float = 0.2
    max_future_s: float = 0.1
    max_distance_m: float = 150.0
    min_coverage: float = 0.01
    max_senders: int = 16
    limits: Limits = LIMITS


class Chosen(NamedTuple):
    """Features to be used with one image of the vehicle.

    Attributes:
        features: as received.
        T_camera_lidar: (4, 4) float64 at the time of the vehicle's image.
        age_s: how much older than that image they are; below zero if newer.
        weight: 0..1, how much they count.
        coverage: share of the voxels that the camera sees.
    """

    features: InfrastructureFeatures
    T_camera_lidar: NDArray[np.float64]
    age_s: float
    weight: float
    coverage: float


class Receiver:
    """Remembers the newest believed features of each sender.

    Attributes:
        counts: messages by what became of them: `accepted`, or the cause of a refusal. What was
            accepted is counted again, once, as `not_selected`, `too_old`, `implausible_pose` or
            `sees_nothing` if that is why it was not used.
    """

    def __init__(
        self,
        config: ReceiverConfig,
        voxels_m: NDArray[np.float64],
        keys: TrustedKeys | None = None,
    ) -> None:
        """Start without any message.

        Args:
            config: what is believed.
            voxels_m: (N, 3) centres by which coverage is measured, lidar frame; some are enough.
            keys: with them, only their senders are heard.
        """
        self.config = config
        self.counts: Counter[str] = Counter()
        self._voxels = voxels_m
        self._keys = keys
        self._newest: dict[str, InfrastructureFeatures] = {}  # in the order they were heard
        self._blamed: dict[str, int] = {}  # sequence per sender that was counted as not used

    def receive(self, message: EncodedMessage, *, now_ns: int) -> InfrastructureFeatures:
        """Take a message in.

        Args:
            message: as received.
            now_ns: of the clock that stamps are made by.

        Raises:
            V2xError: if it is refused; it is counted under its cause.
        """
        try:
            features = unpack(message, limits=self.config.limits, keys=self._keys)
            self._check(features, now_ns)
        except V2xError as error:
            self.counts[error.cause] += 1
            raise
        self._newest.pop(features.sender_id, None)
        self._newest[features.sender_id] = features
        while len(self._newest) > self.config.max_senders:
            forgotten = next(iter(self._newest))
            self._newest.pop(forgotten)
            self._blamed.pop(forgotten, None)
        self.counts['accepted'] += 1
        return features

    def forget(self) -> None:
        """Forget all senders: time was set back, and old stamps are new again."""
        self._newest.clear()
        self._blamed.clear()

    def choose(self, stamp_ns: int, T_world_lidar: NDArray[np.float64]) -> Chosen | None:
        """Return the features that cover most of the voxels, of those fresh and plausible.

        Args:
            stamp_ns: of the vehicle's image.
            T_world_lidar: (4, 4) pose of the voxel grid at that time.
        """
        candidates = []
        for features in self._newest.values():
            candidate = self._candidate(features, stamp_ns, T_world_lidar)
            if isinstance(candidate, Chosen):
                candidates.append(candidate)
            else:
                self._blame(features, candidate)
        best = max(candidates, key=lambda c: c.coverage, default=None)
        for candidate in candidates:
            if candidate is not best:
                self._blame(candidate.features, 'not_selected')
        return best

    def _check(self, features: InfrastructureFeatures, now_ns: int) -> None:
        config = self.config
        if features.fingerprint != config.fingerprint:
            raise _refused(
                'wrong_model', f'model {features.fingerprint[:40]!r}', config.fingerprint
            )
        if features.world_frame != config.world_frame:
            raise _refused('wrong_world', f'world {features.world_frame!r}', config.world_frame)
        shape = config.shapes.get(features.level)
        if shape is None:
            known = ', '.join(map(str, config.shapes))
            raise _refused('unknown_level', f'level {features.level}', f'one of {known}')
        if features.features.shape != shape:
            raise _refused('bad_shape', f'features {features.features.shape}', shape)
        if features.padded_size != config.padded_size:
            raise _refused('bad_shape', f'images of {features.padded_size}', config.padded_size)
        content = [round(n * features.resize_factor) for n in features.image_size]
        if not all(1 <= n <= most for n, most in zip(content, config.padded_size)):
            raise _refused(
                'bad_shape', f'an image resized to {content}', f'at most {config.padded_size}'
            )
        if features.stamp_ns <= 0 or features.stamp_ns > now_ns + config.max_future_s * _S:
            ahead = (features.stamp_ns - now_ns) / _S
            raise _refused(
                'bad_stamp', f'a stamp {ahead:.3f} s ahead', f'at most {config.max_future_s} s'
            )
        last = self._newest.get(features.sender_id)
        # A sender that was restarted counts from the beginning, but its clock goes on.
        if last is not None and features.stamp_ns <= last.stamp_ns:
            raise _refused(
                'replayed',
                f'sequence {features.sequence} stamped no later than the last',
                f'later than {last.stamp_ns} ns',
            )
        if features.stamp_ns < now_ns - config.max_age_s * _S:
            age = (now_ns - features.stamp_ns) / _S
            raise _refused('too_old', f'an age of {age:.3f} s', f'at most {config.max_age_s} s')

    def _candidate(
        self,
        features: InfrastructureFeatures,
        stamp_ns: int,
        T_world_lidar: NDArray[np.float64],
    ) -> Chosen | str:
        """Return the features as they would be used, or the cause why they cannot be."""
        config = self.config
        age_s = (stamp_ns - features.stamp_ns) / _S
        if age_s > config.max_age_s or age_s < -config.max_age_s:
            return 'too_old'
        T = features.T_camera_world @ T_world_lidar
        camera_in_lidar = -T[:3, :3].T @ T[:3, 3]
        if np.linalg.norm(camera_in_lidar) > config.max_distance_m:
            return 'implausible_pose'
        coverage = _coverage(features, T, self._voxels)
        if coverage < config.min_coverage:
            return 'sees_nothing'
        return Chosen(features, T, age_s, self._weight(age_s), coverage)

    def _weight(self, age_s: float) -> float:
        fades_s = self.config.max_age_s - self.config.fade_from_s
        if age_s <= self.config.fade_from_s or fades_s <= 0:
            return 1.0
        return max(0.0, (self.config.max_age_s - age_s) / fades_s)

    def _blame(self, features: InfrastructureFeatures, cause: str) -> None:
        """Count a message that was not used, once."""
        if self._blamed.get(features.sender_id) != features.stamp_ns:
            self._blamed[features.sender_id] = features.stamp_ns
            self.counts[cause] += 1


def _coverage(
    features: InfrastructureFeatures,
    T_camera_lidar: NDArray[np.float64],
    voxels_m: NDArray[np.float64],
) -> float:
    """Return the share of the voxels whose centre is in the image."""
    points = voxels_m @ T_camera_lidar[:3, :3].T + T_camera_lidar[:3, 3]
    points = points[points[:, 2] > 0.1]
    pixels = (points @ features.K.T)[:, :2] / points[:, 2:]
    height, width = features.image_size
    inside = (pixels >= 0) & (pixels < (width, height))
    return float(inside.all(1).sum()) / max(1, len(voxels_m))


def _refused(cause: str, found: str, expected: object) -> V2xError:
    return V2xError(f'feature message: found {found}, expected {expected}', cause=cause)
