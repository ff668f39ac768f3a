"""Run a network in TensorRT, by way of ONNX Runtime, on an NVIDIA GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

from thermal_perception.backends.compiled import CompiledBackend
from thermal_perception.backends.onnxruntime_backend import OnnxRuntime
from thermal_perception.backends.precision import choose_precision
from thermal_perception.backends.torch_backend import choose_device
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from thermal_perception.backends.artefact import Origin

_TENSORRT = 'TensorrtExecutionProvider'


class TensorRt(OnnxRuntime):
    """TensorRT on one GPU; see `Runtime`.

    ONNX Runtime hands it what it can run, and runs the rest on the same GPU itself. An engine is
    built for the GPU at hand, which takes minutes, and kept in the user's cache: it is code, so
    none is ever taken from a folder that people share.
    """

    name = 'tensorrt'
    title = 'TensorRT'
    graph_format = 'tensorrt'

    def __init__(self, device: str = 'auto', *, precision: str = 'auto') -> None:
        """Check a device and a precision; `auto` is `cuda`, and bf16 where it is multiplied.

        Raises:
            BackendError: if ONNX Runtime is not installed or cannot use TensorRT, or there is no
                such GPU or precision.
        """
        if device == 'cpu':
            raise BackendError('backend tensorrt: found device cpu, expected auto, cuda, cuda:N')
        super().__init__(choose_device('cuda' if device == 'auto' else device))
        self.precision = choose_precision(precision, self.device)

    def _providers(self) -> list[Any]:
        cache = _cache_folder()
        options = {
            'device_id': self._number,
            'trt_fp16_enable': str(self.precision == 'fp16'),
            'trt_bf16_enable': str(self.precision == 'bf16'),
            'trt_layer_norm_fp32_fallback': 'True',
            'trt_engine_cache_enable': 'True',
            'trt_engine_cache_path': str(cache),
            'trt_timing_cache_enable': 'True',
            'trt_timing_cache_path': str(cache),
        }
        return [(_TENSORRT, options), *super()._providers()]

    def _checked(self, device: str) -> str:
        version, known = self._onnxruntime.__version__, self._onnxruntime.get_available_providers()
        if _TENSORRT in known:
            return device
        raise BackendError(
            f'backend tensorrt: found ONNX Runtime {version} with {", ".join(known)}, expected '
            f'{_TENSORRT}; run `pip install onnxruntime-gpu tensorrt`, or choose cuda_graph'
        )


class TensorRtBackend(CompiledBackend):
    """A network in TensorRT; `precision` is `bf16`, `fp16` or `fp32`."""

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        origin: Origin | None = None,
    ) -> None:
        """Take over a network; see `CompiledBackend` and `TensorRt`.

        Raises:
            BackendError: as `TensorRt`.
        """
        super().__init__(TensorRt(device, precision=precision), model, select, origin=origin)


def _cache_folder() -> Path:
    """Return the folder of engines, which nobody else may write to."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    folder = Path(base) / 'thermal_perception' / 'tensorrt'
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
