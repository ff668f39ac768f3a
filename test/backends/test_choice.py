"""Which backend is made for what."""

from __future__ import annotations

import logging
import sys

import pytest
import torch
from torch import nn

from thermal_perception.backends import choice, choose_backend, make_backend, TorchBackend
from thermal_perception.errors import BackendError


def test_pytorch_is_what_runs_unless_asked_otherwise():
    backend = make_backend(nn.Identity(), 'cpu')
    assert isinstance(backend, TorchBackend)
    assert (backend.name, backend.precision, backend.problem) == ('torch', 'fp32', '')
    assert backend.notes == ()


def test_openvino_is_made_when_asked_for():
    pytest.importorskip('openvino', reason='needs OpenVINO')
    backend = make_backend(nn.Identity(), 'auto', backend='openvino', precision='fp32')
    assert (backend.name, backend.device, backend.precision) == ('openvino', 'cpu', 'fp32')


def test_onnx_runtime_is_made_when_asked_for():
    pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
    backend = make_backend(nn.Identity(), 'cpu', backend='onnxruntime')
    assert (backend.name, backend.device, backend.precision) == ('onnxruntime', 'cpu', 'fp32')


def test_torch_compile_is_made_when_asked_for():
    backend = make_backend(nn.Identity(), 'cpu', backend='torch_compile', precision='fp32')
    assert (backend.name, backend.device, backend.precision) == ('torch_compile', 'cpu', 'fp32')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'backend': 'tvm'}, 'expected one of auto, torch, cuda_graph, torch_compile'),
        ({'backend': 'tensorrt', 'device': 'cpu'}, 'found device cpu, expected auto, cuda'),
        ({'backend': 'openvino', 'device': 'cuda'}, "found device 'cuda', expected auto or cpu"),
        ({'backend': 'cuda_graph', 'device': 'cpu'}, 'found device cpu, expected auto, cuda'),
        ({'backend': 'torch_compile', 'device': 'cpu', 'precision': 'fp16'}, "found 'fp16'"),
        ({'precision': 'bf16'}, "found 'bf16', expected auto or fp32 with the backend torch"),
        ({'precision': 'int8'}, "found 'int8', expected auto or fp32 with the backend torch"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(BackendError, match=message):
        make_backend(nn.Identity(), **options)


@pytest.mark.parametrize(
    ('flags', 'abilities', 'text'),
    [
        ({'amx_bf16': True, 'avx512_f': True}, {'FP32', 'BF16'}, 'has AMX and bf16'),
        ({'avx512_f': True, 'avx2': True}, {'FP32'}, 'has AVX-512 and no bf16'),
        ({'avx512_f': False, 'avx2': True}, {'FP32'}, 'has AVX2 and no bf16'),
        ({}, {'FP32'}, 'has no AVX known of and no bf16'),
    ],
    ids=['AMX', 'AVX-512', 'AVX2', 'another'],
)
def test_auto_is_openvino_on_a_cpu_and_tells_what_the_processor_has(
    monkeypatch, flags, abilities, text
):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: flags, raising=False)
    monkeypatch.setattr(choice, 'openvino_abilities', lambda: abilities)
    found = choose_backend('cpu')
    assert found.backend == 'openvino'
    assert found.reason.endswith(text)


def test_auto_tells_of_a_processor_that_pytorch_says_nothing_about(monkeypatch):
    monkeypatch.delattr(torch.cpu, 'get_capabilities', raising=False)
    monkeypatch.setattr(choice, 'openvino_abilities', lambda: {'BF16'})
    assert choose_backend('cpu').reason.endswith('has no AVX known of and bf16')


def test_auto_is_onnx_runtime_where_openvino_is_missing(monkeypatch):
    pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
    monkeypatch.setitem(sys.modules, 'openvino', None)
    backend = make_backend(nn.Identity(), 'cpu', backend='auto')
    assert backend.name == 'onnxruntime'
    (note,) = backend.notes
    assert note.startswith('auto: it is installed, and OpenVINO is not there: ')
    assert 'openvino, which is not installed' in note


def test_auto_is_pytorch_where_nothing_else_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    backend = make_backend(nn.Identity(), 'cpu', backend='auto')
    assert isinstance(backend, TorchBackend)
    (note,) = backend.notes
    assert 'openvino, which is not installed' in note
    assert 'onnxruntime, which is not installed' in note


@pytest.mark.parametrize('device', ['auto', 'cuda', 'cuda:1'])
def test_auto_is_a_cuda_graph_on_a_gpu_and_tells_why(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    found = choose_backend(device)
    assert found.backend == 'cuda_graph'
    assert 'waits for launches' in found.reason


@pytest.mark.parametrize(
    ('device', 'backend'), [('cuda', 'auto'), ('cuda:1', 'cuda_graph'), ('auto', 'cuda_graph')]
)
def test_missing_gpu_can_be_recovered_from(monkeypatch, device, backend):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(BackendError, match='sees no CUDA device') as caught:
        make_backend(nn.Identity(), device, backend=backend)
    assert caught.value.recoverable


def test_what_auto_took_is_logged_with_its_reason(caplog):
    with caplog.at_level(logging.INFO):
        backend = make_backend(nn.Identity(), 'cpu', backend='auto')
    (note,) = backend.notes
    assert f'backend auto: {backend.name}, because {note.removeprefix("auto: ")}' in caplog.text
