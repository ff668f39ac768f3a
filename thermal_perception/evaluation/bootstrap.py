"""How sure a score is: percentile bootstrap over images, alone and paired.

The units (images, or scenes of several images that look alike) are drawn again with replacement,
as many as there are; the spread of the score over such sets is its uncertainty (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16). Two runs on the same
images are compared on the same draws, so that what makes an image hard for both cancels out.
Images that resemble others in the set (neighbouring frames) make the intervals too narrow, unless
they share a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Part of the resampled scores that an interval holds."""


@dataclass(frozen=True)
class Interval:
    """The middle of the resampled scores.

    Attributes:
        low: 2.5% of the resampled scores are below.
        high: 2.5% are above.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Second score minus first, over the same images.

    Attributes:
        estimate: on all images as they are.
        interval: of the resampled differences.
        p_value: two-sided, how often resampling brings the difference to zero or past it.
    """

    estimate: float
    interval: Interval
    p_value: float

    @property
    def real(self) -> bool:
        """Whether chance alone would show it in fewer than 5% of all comparisons."""
        return self.p_value < 1 - CONFIDENCE


def resample_weights(
    units: int | Sequence[Hashable], resamples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Draw units with replacement and yield how often each image counts, (I,).

    Args:
        units: number of images that are drawn one by one, or the unit that each image belongs to.
        resamples: number of draws.
        seed: the same seed and units give the same draws.

    Raises:
        MetricError: if there is no image.
    """
    of_image = np.arange(units) if isinstance(units, int) else _numbered(units)
    if not of_image.size:
        raise MetricError('bootstrap: found no image, expected at least one')
    count = int(of_image.max()) + 1
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(rng.integers(count, size=count), minlength=count)[of_image]


def bootstrap(
    score: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    units: int | Sequence[Hashable],
    *,
    resamples: int,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Score resampled sets.

    Args:
        score: gives K figures for the weights (I,) of the images; NaN where one is unknown.
        units: see `resample_weights`.
        resamples: number R of sets.
        seed: of the draws.

    Returns:
        (R, K) figures.
    """
    return np.array([score(w) for w in resample_weights(units, resamples, seed)])


def interval(samples: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval | None:
    """Return the interval of resampled scores (R,), NaN left out; None if nothing is left."""
    known = samples[np.isfinite(samples)]
    if not known.size:
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(float(low), float(high))


def difference(estimate: float, samples: NDArray[np.float64]) -> Difference | None:
    """Judge a difference by its resampled values (R,); None if it is never known.

    The p-value is twice the smaller part of the values on one side of zero, zero included, with
    one added to both counts, so that it is never 0 (Davison and Hinkley, 1997, section 4.2).
    """
    known = samples[np.isfinite(samples)]
    bounds = interval(known)
    if bounds is None or not np.isfinite(estimate):
        return None
    rarer = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Difference(estimate, bounds, min(1.0, 2 * (1 + rarer) / (1 + known.size)))


def weighted_mean(
    values: NDArray[np.float64], weights: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Average figures of images (I, K) by weight (I,); NaN counts as not measured.

    Returns:
        (K,) averages, NaN where no image has the figure.
    """
    weights = np.ones(len(values), np.int64) if weights is None else weights
    known = np.isfinite(values)
    total = weights @ known
    sums = weights @ np.where(known, values, 0)
    return np.divide(sums, total, out=np.full(values.shape[1], np.nan), where=total > 0)


def compare_per_image(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    units: Sequence[Hashable] | None = None,
    resamples: int,
    seed: int = 0,
) -> Difference | None:
    """Compare the averages of a figure that exists per image, as VIF or SSIM do.

    Args:
        first: (I,) figures of the first run.
        second: (I,) figures of the second run on the same images in the same order.
        units: the unit of each image; None draws images.
        resamples: number of resampled sets.
        seed: of the draws.

    Raises:
        MetricError: if the runs do not have the same number of images.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise MetricError(
            f'comparison: found {first.shape} and {second.shape} figures, expected one per image'
        )
    gains = (second - first)[:, None]
    samples = bootstrap(
        lambda weights: weighted_mean(gains, weights),
        len(gains) if units is None else units,
        resamples=resamples,
        seed=seed,
    )
    return difference(float(weighted_mean(gains)[0]), samples[:, 0])


def _numbered(units: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers = {unit: n for n, unit in enumerate(dict.fromkeys(units))}
    return np.array([numbers[unit] for unit in units], np.int64)
