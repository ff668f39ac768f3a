"""Backends that prepare networks: what is prepared when, and what runs the rest."""

from __future__ import annotations

from nets import Doubles
import pytest
import torch
from torch.testing import assert_close

from thermal_perception.backends import prepared
from thermal_perception.backends.prepared import PreparedBackend


def image(value):
    return torch.full((1, 1, 4, 6), float(value))


class Quick(PreparedBackend):
    """What it prepares answers -1; raises `broken` where it is set."""

    name, title = 'quick', 'Quick'
    broken = None

    def __init__(self):
        """Begin without anything prepared."""
        super().__init__(Doubles(), device='cpu', precision='fp32')
        self.signatures = []

    def _prepare(self, signature):
        self.signatures.append(signature)
        if self.broken == 'preparing':
            raise RuntimeError('too deep\nat line 7')
        return self._run

    def _run(self, *inputs):
        if self.broken == 'running':
            raise RuntimeError('lost its way')
        return -1


def test_backend_tells_what_it_is():
    quick = Quick()
    assert (quick.name, quick.precision, quick.device) == ('quick', 'fp32', 'cpu')
    assert (quick.problem, quick.notes, quick.live) == ('', (), False)


def test_every_signature_is_prepared_once():
    quick = Quick()
    padding = torch.zeros(1, 4, 6, dtype=torch.bool)
    calls = [(image(1), None), (image(1), None, padding), (torch.ones(1, 1, 2, 6), None)]
    for inputs in [*calls, *calls]:
        assert quick(*inputs) == -1
    assert quick(image(1), None, part=False) == -1
    assert len(quick.signatures) == 4


def test_live_backend_prepares_nothing_any_more_and_says_what_came_late(caplog):
    quick = Quick()
    quick(image(1), None)
    quick.live = True
    assert quick(image(1), None) == -1
    for _ in range(2):
        assert_close(quick(image(1), image(2)).doubled, image(6))
    assert_close(quick(None, image(2)).doubled, image(4))
    assert len(quick.signatures) == 1
    (note,) = quick.notes
    assert note.endswith('runs what was not warmed up: inputs of 1x1x4x6 and 1x1x4x6')
    assert caplog.text.count('not warmed up') == 1
    assert quick.problem == ''


@pytest.mark.parametrize(
    ('broken', 'text'), [('preparing', 'too deep'), ('running', 'lost its way')]
)
def test_what_fails_is_answered_by_pytorch_from_then_on(broken, text):
    quick = Quick()
    quick.broken = broken
    assert_close(quick(image(1), None).doubled, image(2))
    assert quick.problem == f'Quick cannot run the network: {text}'
    quick.broken = None
    assert_close(quick(image(1), None).doubled, image(2))
    assert quick(None, image(1)) == -1
    assert len(quick.signatures) == 2


def test_what_was_not_used_for_long_is_let_go(monkeypatch):
    monkeypatch.setattr(prepared, '_MOST', 2)
    quick = Quick()
    one, other, both = (image(1), None), (None, image(1)), (image(1), image(1))
    for inputs in (one, other, one, both):
        quick(*inputs)
    quick.live = True
    assert quick(*one) == -1
    assert_close(quick(*other).doubled, image(2))
