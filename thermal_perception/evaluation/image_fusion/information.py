"""Information that the fused image shares with its sources, from histograms of 256 grey levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LN_LN_2 = float(np.log(np.log(2)))


def histogram(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares of the 256 grey levels, rounded half up."""
    return np.bincount(_levels(image), minlength=256) / image.size


def joint_histogram(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares (256, 256) of the pairs of grey levels at the same pixel."""
    counts = np.bincount(_levels(a) * 256 + _levels(b), minlength=256 * 256)
    return counts.reshape(256, 256) / a.size


def entropy_nats(shares: NDArray[np.float64]) -> float:
    """Return -sum p ln p of shares of any shape."""
    known = shares[shares > 0]
    return max(0.0, -float(known @ np.log(known)))


def mutual_information(source: NDArray[np.float64], fused: NDArray[np.float64]) -> float:
    """Return the mutual information of two images (H, W) in nats, 0 to ln 256.

    Source: Qu, Zhang and Yan, Information Measure for Performance of Image Fusion, Electronics
    Letters 38(7), 2002. MI of a fused image is the sum over its sources.
    """
    joint = joint_histogram(source, fused)
    separate = entropy_nats(joint.sum(axis=1)) + entropy_nats(joint.sum(axis=0))
    return max(0.0, separate - entropy_nats(joint))


def published_mutual_information(source: NDArray[np.float64], fused: NDArray[np.float64]) -> float:
    """Return what E2E-MFD (and MetaFusion) publish as mutual information; it is none.

    A misplaced bracket makes it -sum p ln(p / ln 2) over the joint histogram: the joint entropy
    plus ln ln 2. It is larger the less the images share. For comparison with those tables only.
    """
    return entropy_nats(joint_histogram(source, fused)) + _LN_LN_2


def _levels(image: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(image + 0.5).astype(np.int64).ravel()
