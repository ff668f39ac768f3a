"""Preprocess, model and postprocess as one call: FrameSet in, Perception out."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
import time
from typing import Any, Literal, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.backends import choose_device, TorchBackend
from thermal_perception.config import from_mapping
from thermal_perception.errors import BackendError, CheckpointError, ConfigError, PreprocessError
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.models.fusion_detr import fusion_strides
from thermal_perception.postprocess import top_detections
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from thermal_perception.resources import share_path
from thermal_perception.types import Frame, FrameSet, FusionWeights, Perception

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thermal_perception.backends import Predictions
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.models.fusion import FusionOutput

DEFAULT_MODEL = 'fusion_detr_lite'


@dataclass(frozen=True)
class ModelInfo:
    """What users may know of the model that runs.

    Attributes:
        model: its name, for example `fusion_detr_lite`.
        class_names: lower-case names in label order.
        fingerprint: 16 hex digits over weights and configuration.
        parameters: number of trained values.
        input_size: (height, width) it was trained for; None if any.
        default_score_threshold: threshold the weights were chosen with.
        strides: strides whose fusion weights are reported; empty without selective fusion.
        path: file of the weights.
        metadata: training data, metrics and licence as the checkpoint states them.
    """

    model: str
    class_names: tuple[str, ...]
    fingerprint: str
    parameters: int
    input_size: tuple[int, int] | None
    default_score_threshold: float
    strides: tuple[int, ...]
    path: Path
    metadata: Mapping[str, Any]


def default_checkpoint(model: str = DEFAULT_MODEL) -> Path:
    """Return the shipped weights of a model.

    Raises:
        CheckpointError: if none are shipped under this name.
    """
    try:
        return share_path('weights', f'{model}.safetensors')
    except ConfigError as error:
        raise CheckpointError(f'no weights are shipped for model {model!r}: {error}') from error


class Perceiver:
    """A loaded model. One call at a time: calls from several threads wait for each other."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = 'auto',
        max_detections: int = 100,
        fallback_to_cpu: bool = True,
    ) -> None:
        """Build the network on the device; see `load` for the arguments."""
        record = checkpoint.info
        where = str(checkpoint.path)
        model_config = from_mapping(FusionDetrConfig, record.config, where=where)
        model = checkpoint.make_model()
        self.info = ModelInfo(
            record.model,
            record.class_names,
            checkpoint.fingerprint,
            sum(p.numel() for p in model.parameters()),
            record.input_size,
            record.score_threshold,
            fusion_strides(model_config),
            checkpoint.path,
            {k: getattr(record, k) for k in ('training', 'metrics', 'licence', 'source_commit')},
        )
        self._activation: Literal['softmax', 'sigmoid'] = (
            'softmax' if model_config.class_loss == 'softmax' else 'sigmoid'
        )
        self._preprocess = Preprocess(
            from_mapping(PreprocessConfig, record.preprocess, where=where)
        )
        self._max_detections = max_detections
        self._suppress_iou = record.suppress_iou
        self._fallback_to_cpu = fallback_to_cpu
        self._degraded = ''
        self._lock = Lock()
        self._backend = self._start(model, device)
        # A lost GPU gives nothing back, so the network is built anew from what was read.
        self._spare = None if self._backend.device == 'cpu' else checkpoint

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: str = 'auto',
        max_detections: int = 100,
        fallback_to_cpu: bool = True,
        num_threads: int | None = None,
    ) -> Perceiver:
        """Load a checkpoint.

        Args:
            path: `.safetensors` file.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            max_detections: boxes per frame at most.
            fallback_to_cpu: go on on the CPU, once, when the device is missing, out of memory or
                lost.
            num_threads: CPU threads of PyTorch, for the whole process; None leaves its choice.

        Raises:
            CheckpointError: if the file is missing, damaged, or not for this package.
            BackendError: if the device is not there and falling back is not allowed.
        """
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        return cls(
            load_checkpoint(path),
            device=device,
            max_detections=max_detections,
            fallback_to_cpu=fallback_to_cpu,
        )

    @property
    def device(self) -> str:
        """Where the network runs now."""
        return self._backend.device

    @property
    def backend(self) -> str:
        """Run-time and precision, for example `torch fp32`."""
        return f'{self._backend.name} {self._backend.precision}'

    @property
    def degraded(self) -> str:
        """Why the network does not run where it was asked to; empty if it does."""
        return self._degraded

    def warm_up(self, size: tuple[int, int]) -> None:
        """Run once on a black 8-bit image of (height, width), so that no live frame waits."""
        frame = Frame(np.zeros(size, np.uint8), 0, 'warm_up', 'thermal', 'mono8', valid_bits=8)
        self(FrameSet(thermal=frame))

    def __call__(self, frames: FrameSet) -> Perception:
        """Detect in one set of frames.

        Returns:
            The best `max_detections` boxes, not thresholded, in pixels of the thermal image.

        Raises:
            PreprocessError: if the frame cannot become model input.
            BackendError: if the device failed and falling back is not allowed or did not help.
        """
        if frames.thermal is None:
            raise PreprocessError(f'{self.info.model}: found no thermal frame, expected one')
        with self._lock:
            return self._perceive(frames.thermal)

    def _perceive(self, frame: Frame) -> Perception:
        started = time.perf_counter()
        prepared = self._preprocess(frame)
        prepared_at = time.perf_counter()
        output = self._run(prepared.image, prepared.padding)
        ran_at = time.perf_counter()
        detections = top_detections(
            output.logits[0],
            output.boxes[0],
            activation=self._activation,
            source_size=prepared.source_size,
            class_names=self.info.class_names,
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            limit=self._max_detections,
            suppress_iou=self._suppress_iou,
        )
        fusion = _fusion_weights(output.fusion, self.info.strides)
        stages = {
            'preprocess': prepared_at - started,
            'model': ran_at - prepared_at,
            'postprocess': time.perf_counter() - ran_at,
        }
        return Perception(detections, fusion, stages)

    def _start(self, model: torch.nn.Module, device: str) -> TorchBackend:
        try:
            return TorchBackend(model, choose_device(device))
        except BackendError as error:
            if not (self._fallback_to_cpu and error.recoverable):
                raise
            self._degraded = f'running on the CPU: {error}'
            return TorchBackend(model, 'cpu')

    def _run(self, image: torch.Tensor, padding: torch.Tensor | None) -> Predictions:
        try:
            return self._backend(image, padding)
        except BackendError as error:
            if not (self._fallback_to_cpu and error.recoverable and self._spare):
                raise
            self._backend, self._spare = TorchBackend(self._spare.make_model(), 'cpu'), None
            self._degraded = f'running on the CPU: {error}'
            return self._backend(image, padding)


def _fusion_weights(fusion: FusionOutput | None, strides: tuple[int, ...]) -> FusionWeights | None:
    if fusion is None:
        return None
    alpha_hat, alpha, prior, logits = (
        t.float().numpy()
        for t in (fusion.alpha_hat[0], fusion.alpha[0], fusion.prior, fusion.logits[0])
    )
    return FusionWeights(
        strides, alpha_hat, alpha, prior, logits, float(fusion.beta_bar[0].norm())
    )
