"""Which backend is made for what."""

from __future__ import annotations

import pytest
from torch import nn

from thermal_perception.backends import make_backend, TorchBackend
from thermal_perception.errors import BackendError


def test_pytorch_is_what_runs_unless_asked_otherwise():
    backend = make_backend(nn.Identity(), 'cpu')
    assert isinstance(backend, TorchBackend)
    assert (backend.name, backend.precision, backend.problem) == ('torch', 'fp32', '')


def test_openvino_is_made_when_asked_for():
    pytest.importorskip('openvino', reason='needs OpenVINO')
    backend = make_backend(nn.Identity(), 'auto', backend='openvino', precision='fp32')
    assert (backend.name, backend.device, backend.precision) == ('openvino', 'cpu', 'fp32')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'backend': 'tensorrt'}, "backend: found 'tensorrt', expected torch or openvino"),
        ({'backend': 'openvino', 'device': 'cuda'}, "found device 'cuda', expected auto or cpu"),
        ({'precision': 'bf16'}, "found 'bf16', expected auto or fp32 with the backend torch"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(BackendError, match=message):
        make_backend(nn.Identity(), **options)
