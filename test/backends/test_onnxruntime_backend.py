"""ONNX Runtime: the network's numbers, what its files hold, devices and precisions."""

from __future__ import annotations

import sys

from nets import Doubles, Output, Part, Places
import pytest
import torch
from torch.testing import assert_close
from tracer_here import TracerHere

from thermal_perception.backends import compiled, OnnxRuntimeBackend
from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.onnxruntime_backend import OnnxRuntime
from thermal_perception.backends.tracing import Signature, Traced
from thermal_perception.errors import BackendError

onnxruntime = pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
onnx = pytest.importorskip('onnx', reason='needs onnx')
pytest.importorskip('onnxscript', reason='needs ONNX Script')


def image(value):
    return torch.full((1, 1, 4, 6), float(value))


@pytest.fixture(autouse=True)
def traced_here(monkeypatch):
    """Trace without another process."""
    monkeypatch.setattr(compiled, 'Tracer', TracerHere)


@pytest.fixture(scope='module')
def doubles():
    """One backend for all that ask for the same graph."""
    return OnnxRuntimeBackend(Doubles(), device='cpu')


def test_output_has_the_values_and_the_kind_of_the_network(doubles):
    output = doubles(image(1), image(2), part=True)
    assert type(output) is Output
    assert type(output.part) is Part
    assert_close(output.doubled, image(6))
    assert_close(output.part.mean, torch.tensor([[6.0]]))
    assert output.part.nothing is None
    assert (doubles.name, doubles.device, doubles.precision) == ('onnxruntime', 'cpu', 'fp32')
    assert doubles.problem == ''


def test_results_are_not_overwritten_by_the_next_call(doubles):
    first = doubles(image(1), image(2), part=True).doubled
    doubles(image(5), image(2), part=True)
    assert_close(first, image(6))


def test_cameras_padding_and_switches_have_graphs_of_their_own(doubles):
    padding = torch.zeros(1, 4, 6, dtype=torch.bool)
    padding[..., 3:] = True
    output = doubles(None, image(2), padding, part=False)
    assert output.part is None
    assert output.doubled[0, 0, 0].tolist() == [4, 4, 4, 0, 0, 0]


def test_images_that_are_channels_last_are_read_as_they_are_meant(doubles):
    values = torch.arange(24.0).view(1, 2, 3, 4)
    found = doubles(values.contiguous(memory_format=torch.channels_last), None, part=False)
    assert_close(found.doubled, 2 * values)


class Padded(torch.nn.Module):
    """Pads its kernel, as networks do for an uneven border."""

    def __init__(self):
        """Start with a kernel of more than 8192 numbers, which ONNX Script leaves as it is."""
        super().__init__()
        self.kernel = torch.nn.Parameter(torch.ones(128, 1, 9, 9))
        self.scale = torch.nn.Parameter(torch.full((128, 1, 1, 1), 2.0))

    def forward(self, x):
        """Convolve every channel by itself."""
        kernel = torch.nn.functional.pad(self.kernel * self.scale, (1, 0, 1, 0))
        return torch.nn.functional.conv2d(x, kernel, padding=5, stride=2, groups=128)


def test_kernels_that_are_padded_are_not_taken_for_images():
    x = torch.rand(1, 128, 8, 8)
    backend = OnnxRuntimeBackend(Padded(), device='cpu')
    assert_close(backend(x), Padded()(x).detach())
    assert backend.problem == ''


def test_file_tells_its_operations_and_no_folder_of_a_machine(tmp_path):
    path, signature = tmp_path / 'graph.onnx', Signature.of((image(1), None), {})
    opset = FORMATS['onnx'].write(Traced(Doubles(), lambda output: output, signature), path)
    graph = onnx.load(path)
    assert opset == f'opset{graph.opset_import[0].version}'
    assert [value.name for value in graph.graph.input] == ['given_0']
    assert b'.py' not in path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ['graph.onnx']  # weights are in it


def test_damaged_file_is_a_reason_and_no_crash(tmp_path):
    (tmp_path / 'graph.onnx').write_bytes(b'<net/>')
    runtime = OnnxRuntime('cpu')
    with pytest.raises(runtime.errors, match='Protobuf parsing failed'):
        runtime.compile(tmp_path / 'graph.onnx')


def test_int8_is_for_a_cpu_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    providers = ['CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: providers)
    with pytest.raises(BackendError, match="device: found 'cuda', expected auto or cpu with the"):
        OnnxRuntime('cuda', precision='int8')
    runtime = OnnxRuntime(precision='int8')
    assert (runtime.device, runtime.precision) == ('cpu', 'int8')


@pytest.mark.parametrize('precision', ['bf16', 'fp16', 'int4'])
def test_other_precisions_are_refused(precision):
    with pytest.raises(
        BackendError, match=f"found '{precision}', expected auto, fp32 or int8 with"
    ):
        OnnxRuntimeBackend(Doubles(), device='cpu', precision=precision)


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU that PyTorch sees."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)


def providers(monkeypatch, *names):
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: list(names))


@pytest.mark.usefixtures('gpu')
def test_gpu_that_onnx_runtime_cannot_use_is_refused_if_asked_for(monkeypatch):
    providers(monkeypatch, 'CPUExecutionProvider')
    assert OnnxRuntime('auto').device == 'cpu'
    with pytest.raises(BackendError, match="found 'cuda:1', .* has no CUDAExecutionProvider; run"):
        OnnxRuntime('cuda:1')


@pytest.mark.usefixtures('gpu')
def test_gpu_is_taken_by_its_number_in_single_precision_indeed(monkeypatch):
    providers(monkeypatch, 'CUDAExecutionProvider', 'CPUExecutionProvider')
    assert OnnxRuntime('auto').device == 'cuda'
    asked = []

    class Session:
        def __init__(self, path, options, providers):
            asked.extend(providers)

        def get_providers(self):
            return ['CPUExecutionProvider']  # as where a library of CUDA is missing

    monkeypatch.setattr(onnxruntime, 'InferenceSession', Session)
    with pytest.raises(BackendError, match='CUDAExecutionProvider does not start'):
        OnnxRuntime('cuda:1').compile('graph.onnx')
    options = {'device_id': '1', 'use_tf32': '0'}
    assert asked == [('CUDAExecutionProvider', options), 'CPUExecutionProvider']


def test_gpu_that_is_not_there_is_told_as_pytorch_tells_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(BackendError, match='sees no CUDA device') as caught:
        OnnxRuntime('cuda')
    assert caught.value.recoverable


def test_threads_are_those_of_pytorch(one_thread_and_seed, monkeypatch):
    asked = []
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        'InferenceSession',
        lambda path, options, **rest: asked.append(options) or real(path, options, **rest),
    )
    OnnxRuntimeBackend(Doubles(), device='cpu')(image(1), None)
    (options,) = asked
    assert options.intra_op_num_threads == 1


def test_onnx_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(BackendError, match='found onnxruntime, which is not installed'):
        OnnxRuntimeBackend(Doubles())


def test_detours_by_double_precision_are_not_in_the_file(tmp_path):
    path, x = tmp_path / 'graph.onnx', torch.rand(1, 2, 4, 6)
    network = Places()
    FORMATS['onnx'].write(Traced(network, tuple, Signature.of((x,), {})), path)
    attributes = [a for node in onnx.load(path).graph.node for a in node.attribute]
    targets = {a.i for a in attributes if a.name == 'to'}
    assert onnx.TensorProto.DOUBLE not in targets
    found = OnnxRuntime('cpu').compile(path).run([x.numpy()])
    for result, expected in zip(found, network(x), strict=True):
        assert_close(torch.from_numpy(result), expected)
