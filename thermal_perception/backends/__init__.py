"""Ways to run a network: in eager PyTorch, as a CUDA graph, or compiled by others."""

from thermal_perception.backends.artefact import Origin
from thermal_perception.backends.choice import (
    Backend,
    backend_text,
    BACKENDS,
    Choice,
    choose_backend,
    cpu_threads,
    make_backend,
    PYTORCH_BACKENDS,
)
from thermal_perception.backends.cuda_graph_backend import CudaGraphBackend
from thermal_perception.backends.onnxruntime_backend import OnnxRuntimeBackend
from thermal_perception.backends.openvino_backend import OpenVinoBackend
from thermal_perception.backends.tensorrt_backend import TensorRtBackend
from thermal_perception.backends.torch_backend import choose_device, to_cpu, TorchBackend
from thermal_perception.backends.torch_compile_backend import TorchCompileBackend

__all__ = [
    'BACKENDS',
    'Backend',
    'Choice',
    'CudaGraphBackend',
    'OnnxRuntimeBackend',
    'OpenVinoBackend',
    'Origin',
    'PYTORCH_BACKENDS',
    'TensorRtBackend',
    'TorchBackend',
    'TorchCompileBackend',
    'backend_text',
    'choose_backend',
    'choose_device',
    'cpu_threads',
    'make_backend',
    'to_cpu',
]
