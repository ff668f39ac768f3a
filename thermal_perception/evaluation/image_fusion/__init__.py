"""Quality of fused images, all in float on 8-bit grey levels (the V channel of colour images).

`FusionScorer` collects the figures of many images; the modules hold one family each: the fused
image alone (`contrast`), shared information (`information`), visual fidelity (`fidelity`), edges
(`edges`) and structure (`structure`).
"""

from thermal_perception.evaluation.image_fusion.grey import brightness, quantise
from thermal_perception.evaluation.image_fusion.scorer import (
    FIGURES,
    FusionMetrics,
    FusionQuality,
    FusionScorer,
    measure,
)

__all__ = [
    'brightness',
    'FIGURES',
    'FusionMetrics',
    'FusionQuality',
    'FusionScorer',
    'measure',
    'quantise',
]
