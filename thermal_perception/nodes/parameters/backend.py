"""Parameters of every node with a network: what runs it."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.managed import ManagedParameters
from thermal_perception.nodes.parameters.parameter_set import parameter


@dataclass(frozen=True)
class BackendParameters(ManagedParameters):
    """Device, run-time, precision and graphs."""

    device: str = parameter('auto', 'Where the network runs: auto, cpu, cuda or cuda:N.')
    backend: str = parameter(
        'torch',
        'What runs the network: torch; cuda_graph, which records it on a GPU and starts it at '
        'once; openvino, which compiles it for the CPU: faster, but a '
        'start takes some seconds more; onnxruntime, which does so for processors that openvino '
        'does not know, and for a GPU; tensorrt, which builds an engine for a GPU in '
        'minutes; torch_compile, which compiles it by PyTorch itself, for '
        'both, and needs a C++ compiler; auto takes cuda_graph on a GPU; on a CPU '
        'openvino, else onnxruntime, where they are installed; and says why.',
        choices=(
            'auto',
            'torch',
            'cuda_graph',
            'torch_compile',
            'openvino',
            'onnxruntime',
            'tensorrt',
        ),
    )
    precision: str = parameter(
        'auto',
        'Of the inner values of the network: fp32, bf16, fp16 (on a GPU), or auto: bf16 where '
        'backend and device have it; int8 for openvino and onnxruntime on a CPU, which needs the '
        'folder that `thermal-perception export --precision int8` wrote.',
        choices=('auto', 'fp32', 'bf16', 'fp16', 'int8'),
    )
    artefact: str = parameter(
        '',
        'Folder that `thermal-perception export` wrote for these weights, which spares openvino, '
        'onnxruntime and tensorrt the making of graphs; empty looks beside the weights.',
    )
