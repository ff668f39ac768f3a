"""How model and results are, as their diagnostics tell."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.nodes.base.diagnostics import (
    counts_text,
    Finding,
    Health,
    latency_values,
    Level,
)

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
    failed = {k: v for k, v in pipeline.events.recent.items() if k.startswith('failed')}
    if failed:
        found.append(Finding(Level.ERROR, f'images not processed: {counts_text(failed)}'))
    if pipeline.perceiver.degraded:
        found.append(Finding(Level.WARN, f'degraded: {pipeline.perceiver.degraded}'))
    replaced = pipeline.events.recent['replaced']
    if complain_of_replaced and replaced:
        found.append(Finding(Level.WARN, f'queue full: {replaced} images given up'))
    return Health('perception', state, tuple(found), _perception_values(pipeline, state))


def _perception_values(pipeline: Pipeline, state: str) -> dict[str, Any]:
    perceiver, totals = pipeline.perceiver, pipeline.events.totals
    return {
        'state': state,
        'model': perceiver.info.model,
        'checkpoint': perceiver.info.path,
        'fingerprint': perceiver.info.fingerprint,
        'device': perceiver.device,
        'backend': perceiver.backend,
        'backend notes': '; '.join(perceiver.backend_notes) or 'none',
        'degraded': perceiver.degraded or 'no',
        'score threshold': pipeline.threshold,
        'output rate [Hz]': pipeline.output_rate.hz,
        'processed': totals.get('processed', 0),
        'replaced': pipeline.replaced,
        'discarded': pipeline.discarded,
        'waiting': pipeline.waiting,
        **{cause: count for cause, count in totals.items() if cause.startswith('failed')},
        **latency_values(pipeline.stages.summary),
    }
