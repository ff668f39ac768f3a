"""How a camera is, as its diagnostics tell."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.nodes.base.diagnostics import counts_text, Finding, Health, Level

if TYPE_CHECKING:
    from thermal_perception.nodes.cameras.frame_source import FrameSource

_STAMP_CAUSES = frozenset({'zero_stamp', 'future', 'duplicate', 'out_of_order'})
DISABLED = 'disabled'
"""Cause under which images are counted while ~/enable is off."""


def input_health(
    source: FrameSource, *, summary: str, silence: Level, timeout_s: float, active: bool
) -> Health:
    """Report one camera.

    Args:
        source: the camera.
        summary: message while nothing is wrong.
        silence: level of a camera that sends nothing.
        timeout_s: how long it must have sent nothing.
        active: False reports values only.
    """
    findings = _input_findings(source, silence, timeout_s) if active else []
    return Health(f'{source.modality} input', summary, tuple(findings), _input_values(source))


def _input_findings(source: FrameSource, silence: Level, timeout_s: float) -> list[Finding]:
    camera, findings = source.camera, []
    if camera.rate.silent_s > timeout_s:
        findings.append(Finding(silence, camera.silence_text))
    recent = camera.drops.recent
    rejected = {k: v for k, v in recent.items() if k not in (*_STAMP_CAUSES, DISABLED)}
    if rejected:
        everything = not source.decoded.recent['decoded']
        level = Level.ERROR if everything else Level.WARN
        which = 'all' if everything else 'some'
        findings.append(Finding(level, f'{which} images rejected: {counts_text(rejected)}'))
    if stamps := {k: v for k, v in recent.items() if k in _STAMP_CAUSES}:
        findings.append(
            Finding(Level.WARN, f'images dropped for their stamp: {counts_text(stamps)}')
        )
    if camera.restarts:
        findings.append(Finding(Level.WARN, 'stamps jumped back, started over'))
    if source.frozen:
        findings.append(Finding(Level.WARN, 'frozen: the images do not change'))
    if text := camera.loss_text:
        findings.append(Finding(Level.WARN, text))
    return findings


def _input_values(source: FrameSource) -> dict[str, Any]:
    camera, frame = source.camera, source.last_frame
    dropped = camera.drops.totals
    values: dict[str, Any] = {
        'topic': camera.topic,
        'publishers': camera.publishers,
        'rate [Hz]': camera.rate.hz,
        'received': camera.received,
        'accepted': camera.received - sum(dropped.values()),
        'lost in transport': camera.lost,
        'frozen': source.frozen,
    }
    if frame is not None:
        values |= {'size': f'{frame.size[1]}x{frame.size[0]}', 'encoding': frame.encoding}
    return values | {f'dropped {cause}': count for cause, count in dropped.items()}
