"""All figures of one fused image, and their means over many."""

from __future__ import annotations

from dataclasses import dataclass, fields
import math
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.attributes import attribute_values, image_attributes
from thermal_perception.evaluation.bootstrap import weighted_mean
from thermal_perception.evaluation.figures import FigureTable
from thermal_perception.evaluation.image_fusion import (
    contrast,
    edges,
    fidelity,
    information,
    structure,
)
from thermal_perception.evaluation.image_fusion.grey import grey_levels, require_same_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class FusionQuality:
    """Figures of a fused image (or their means); NaN where one is undefined.

    Attributes:
        EN: entropy, bits, 0..8.
        SD: standard deviation, grey levels.
        SF: spatial frequency, grey levels.
        AG: average gradient, grey levels.
        SCD: sum of the correlations of differences, -2..2.
        MI: mutual information with both sources, nats, summed.
        MI_bits: the same in bits.
        VIF: visual information fidelity to both sources, summed; undefined if one is constant.
        Qabf: share of the sources' edges that is kept, 0..1; undefined without any edge.
        Qabf_inner: the same without the border pixels.
        halo: slopes that neither source has, grey levels per pixel; ours.
        SSIM: structural similarity, mean over the sources.
        MI_paper: what E2E-MFD publishes as MI, summed (a joint entropy).
        VIF_paper: what E2E-MFD publishes as VIF, summed (computed in bytes).
    """

    EN: float
    SD: float
    SF: float
    AG: float
    SCD: float
    MI: float
    MI_bits: float
    VIF: float
    Qabf: float
    Qabf_inner: float
    halo: float
    SSIM: float
    MI_paper: float
    VIF_paper: float


FIGURES = tuple(field.name for field in fields(FusionQuality))


@dataclass(frozen=True)
class FusionMetrics:
    """Means over images.

    Attributes:
        mean: each figure over the images that have it.
        images: number of images.
        undefined: figure to number of images without it; only those that occur.
    """

    mean: FusionQuality
    images: int
    undefined: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the figures by name (None if unknown), images and undefined."""
        known = {
            name: None if math.isnan(value := getattr(self.mean, name)) else value
            for name in FIGURES
        }
        return {**known, 'images': self.images, 'undefined': dict(self.undefined)}


def measure(fused: NDArray[Any], *, thermal: NDArray[Any], visible: NDArray[Any]) -> FusionQuality:
    """Measure a fused image (H, W) against its sources (H, W), all in grey levels 0..255.

    Colour images go through `brightness`, float output of a network through `quantise` first.

    Raises:
        MetricError: if an image is not grey, finite and within 0..255, the sizes differ, or a side
            has fewer than 41 pixels.
    """
    u = grey_levels(fused, name='fused image')
    sources = (
        grey_levels(thermal, name='thermal image'),
        grey_levels(visible, name='visible image'),
    )
    for source, name in zip(sources, ('thermal image', 'visible image'), strict=True):
        require_same_size(u, source, names=('fused image', name))
    shared = sum(information.mutual_information(s, u) for s in sources)
    kept, kept_inner = edges.qabf(*sources, u)
    return FusionQuality(
        EN=contrast.entropy(u),
        SD=contrast.standard_deviation(u),
        SF=contrast.spatial_frequency(u),
        AG=contrast.average_gradient(u),
        SCD=structure.sum_of_correlated_differences(*sources, u),
        MI=shared,
        MI_bits=shared / math.log(2),
        VIF=sum(fidelity.visual_information_fidelity(s, u) for s in sources),
        Qabf=kept,
        Qabf_inner=kept_inner,
        halo=edges.halo(*sources, u),
        SSIM=sum(structure.ssim(s, u) for s in sources) / 2,
        MI_paper=sum(information.published_mutual_information(s, u) for s in sources),
        VIF_paper=sum(fidelity.published_visual_information_fidelity(s, u) for s in sources),
    )


class FusionScorer:
    """Collects the figures of many images; any order, any number of processes."""

    def __init__(self) -> None:
        """Start without images."""
        self._quality: dict[str, FusionQuality] = {}

    def add(
        self, name: str, fused: NDArray[Any], *, thermal: NDArray[Any], visible: NDArray[Any]
    ) -> FusionQuality:
        """Measure one image; see `measure`.

        Raises:
            MetricError: if it was added before, or cannot be measured.
        """
        if name in self._quality:
            raise MetricError(f'{name}: added twice')
        try:
            quality = measure(fused, thermal=thermal, visible=visible)
        except MetricError as error:
            raise MetricError(f'{name}: {error}') from error
        self._quality[name] = quality
        return quality

    def merge(self, other: FusionScorer) -> None:
        """Take the images of another scorer.

        Raises:
            MetricError: if both have the same image.
        """
        if twice := sorted(self._quality.keys() & other._quality.keys()):
            raise MetricError(f'{twice[0]}: added twice')
        self._quality.update(other._quality)

    def names(self) -> list[str]:
        """Return the images in the order of `values`: sorted by name."""
        return sorted(self._quality)

    def values(self) -> NDArray[np.float64]:
        """Return the figures (I, K) of every image in the order of `FIGURES`, for a bootstrap."""
        rows = [[getattr(self._quality[n], f) for f in FIGURES] for n in self.names()]
        return np.array(rows, np.float64).reshape(-1, len(FIGURES))

    def score(self) -> FusionMetrics:
        """Average over all images."""
        return _average(self.values())

    def table(self) -> FigureTable:
        """Return the figures for parts of the images and for a bootstrap."""
        values = self.values()
        return FigureTable(
            self.names(),
            [('all', figure) for figure in FIGURES],
            lambda weights: weighted_mean(values, weights),
            np.isfinite(values).astype(np.int64),
        )

    def breakdown(self) -> dict[tuple[str, str], FusionMetrics]:
        """Average over the images of each light that the names tell."""
        names, values = self.names(), self.values()
        attributes = {name: image_attributes(name) for name in names}
        return {
            (key, value): _average(
                values[np.array([attributes[n].get(key) == value for n in names], bool)]
            )
            for key, value in attribute_values(attributes)
        }


def _average(values: NDArray[np.float64]) -> FusionMetrics:
    missing = np.isnan(values).sum(axis=0)
    undefined = {name: int(n) for name, n in zip(FIGURES, missing, strict=True) if n}
    mean = FusionQuality(*weighted_mean(values).tolist())
    return FusionMetrics(mean, len(values), undefined)
