"""How model and results are, as their diagnostics tell."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.nodes.base.diagnostics import Finding, Health, latency_values, Level
from thermal_perception.nodes.base.network_health import network_findings, network_values
from thermal_perception.nodes.perception.shared_perceiver import SharedPerceiver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.nodes.perception.pipeline import Pipeline


def perception_health(
    pipeline: Pipeline | None,
    *,
    state: str,
    complain_of_replaced: bool,
    findings: Sequence[Finding],
) -> Health:
    """Report model and results.

    Args:
        pipeline: the detector; None while no model is loaded.
        state: life cycle state, also the message while nothing is wrong.
        complain_of_replaced: True where every image should be answered.
        findings: what the node itself found.
    """
    found = list(findings)
    if pipeline is None:
        return Health('perception', state, tuple(found), {'state': state})
    found += network_findings(pipeline.perceiver, pipeline.events)
    replaced = pipeline.events.recent['replaced']
    if complain_of_replaced and replaced:
        found.append(Finding(Level.WARN, f'queue full: {replaced} images given up'))
    return Health('perception', state, tuple(found), _perception_values(pipeline, state))


def _perception_values(pipeline: Pipeline, state: str) -> dict[str, Any]:
    perceiver, totals = pipeline.perceiver, pipeline.events.totals
    shared = perceiver.report if isinstance(perceiver, SharedPerceiver) else {}
    return {
        'state': state,
        'model': perceiver.info.model,
        'checkpoint': perceiver.info.path,
        'fingerprint': perceiver.info.fingerprint,
        **network_values(perceiver, pipeline.events),
        **shared,
        'score threshold': pipeline.threshold,
        'output rate [Hz]': pipeline.output_rate.hz,
        'processed': totals.get('processed', 0),
        'replaced': pipeline.replaced,
        'discarded': pipeline.discarded,
        'waiting': pipeline.waiting,
        **latency_values(pipeline.stages.summary),
    }
