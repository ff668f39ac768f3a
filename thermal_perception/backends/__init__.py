"""Ways to run a network: eager PyTorch on CPU or GPU, or compiled by OpenVINO for the CPU."""

from thermal_perception.backends.artefact import Origin
from thermal_perception.backends.choice import (
    Backend,
    backend_text,
    Choice,
    choose_backend,
    make_backend,
)
from thermal_perception.backends.openvino_backend import OpenVinoBackend
from thermal_perception.backends.torch_backend import choose_device, to_cpu, TorchBackend

__all__ = [
    'Backend',
    'Choice',
    'OpenVinoBackend',
    'Origin',
    'TorchBackend',
    'backend_text',
    'choose_backend',
    'choose_device',
    'make_backend',
    'to_cpu',
]
