"""TensorRT: what ONNX Runtime is asked for; no engine can be built without a GPU."""

from __future__ import annotations

from nets import Doubles
import numpy as np
import pytest
import torch

from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.tensorrt_backend import TensorRt
from thermal_perception.backends.tracing import Signature, Traced
from thermal_perception.errors import BackendError

onnxruntime = pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
ALL = ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    """A file with a network that doubles."""
    pytest.importorskip('onnxscript', reason='needs ONNX Script')
    path = tmp_path_factory.mktemp('graph') / 'graph.onnx'
    signature = Signature.of((torch.ones(1, 1, 4, 6), None), {'part': False})
    FORMATS['tensorrt'].write(Traced(Doubles(), lambda output: output, signature), path)
    return path


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A machine with a GPU that ONNX Runtime can use in every way, and an empty cache."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (8, 7))
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: ALL)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def sessions(monkeypatch):
    """Sessions on the CPU that say they have all providers; what each was asked for."""
    asked, real = [], onnxruntime.InferenceSession

    class Session(real):
        def __init__(self, path, options, providers):
            asked.append(providers)
            super().__init__(path, options, providers=['CPUExecutionProvider'])

        def get_providers(self):
            return ALL

    monkeypatch.setattr(onnxruntime, 'InferenceSession', Session)
    return asked


@pytest.mark.usefixtures('gpu')
@pytest.mark.parametrize(
    ('asked', 'found', 'flags'),
    [
        ('auto', 'bf16', ('False', 'True')),
        ('fp16', 'fp16', ('True', 'False')),
        ('fp32', 'fp32', ('False', 'False')),
    ],
)
def test_engines_have_the_precision_and_lie_in_the_users_cache(
    graph, sessions, tmp_path, asked, found, flags
):
    runtime = TensorRt('cuda:1', precision=asked)
    assert (runtime.name, runtime.device, runtime.precision) == ('tensorrt', 'cuda:1', found)
    image = np.ones((1, 1, 4, 6), np.float32)
    np.testing.assert_allclose(runtime.compile(graph).run([image])[0], 2 * image)
    ((tensorrt, options), (cuda, _), cpu) = sessions[0]
    assert [tensorrt, cuda, cpu] == ALL
    assert options['device_id'] == '1'
    assert (options['trt_fp16_enable'], options['trt_bf16_enable']) == flags
    folder = tmp_path / 'cache/thermal_perception/tensorrt'
    assert options['trt_engine_cache_path'] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures('gpu')
def test_onnx_runtime_without_tensorrt_is_told_with_what_it_has(monkeypatch):
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: ALL[2:])
    with pytest.raises(BackendError, match='with CPUExecutionProvider, expected TensorrtExec'):
        TensorRt()


@pytest.mark.usefixtures('gpu')
def test_unknown_precisions_are_refused():
    with pytest.raises(BackendError, match="precision: found 'int4', expected one of auto, fp32"):
        TensorRt(precision='int4')


@pytest.mark.usefixtures('gpu', 'sessions')
def test_tensorrt_that_does_not_start_is_a_reason(monkeypatch, graph):
    monkeypatch.setattr(onnxruntime.InferenceSession, 'get_providers', lambda self: ALL[1:])
    with pytest.raises(BackendError, match='TensorrtExecutionProvider does not start'):
        TensorRt('cuda').compile(graph)


def test_processors_and_missing_gpus_are_refused(monkeypatch):
    with pytest.raises(BackendError, match='backend tensorrt: found device cpu, expected auto'):
        TensorRt('cpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(BackendError, match='sees no CUDA device') as caught:
        TensorRt()
    assert caught.value.recoverable
