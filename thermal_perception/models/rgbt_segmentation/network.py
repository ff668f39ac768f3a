"""RGB-T segmentation: thermal and colour image in, the class of every pixel out."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.padding import padding_at, reduce
from thermal_perception.models.rgbt_segmentation.decoder import Decoder
from thermal_perception.models.rgbt_segmentation.encoders import Encoders, STRIDES
from thermal_perception.models.rgbt_segmentation.frequency_fusion import FrequencyFusion
from thermal_perception.models.rgbt_segmentation.fused import Addition
from thermal_perception.models.rgbt_segmentation.semantic_fusion import SemanticFusion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.models.rgbt_segmentation.config import RgbtSegmentationConfig
    from thermal_perception.models.rgbt_segmentation.encoders import Camera

_CAMERAS: tuple[Camera, Camera] = ('thermal', 'rgb')  # the order of `present`
_FINE = (4, 8)
_SMALLEST = 64  # px; below, the coarsest map is a single cell


class RgbtSegmentationOutput(NamedTuple):
    """What one forward pass gives.

    Attributes:
        logits: (B, K, H, W) at the size of the images, or of the cells if that was asked for.
        auxiliary: (B, K, H, W) of a side branch; None unless training.
        deep: (B, K, H, W) of each level of the pyramid, finest first; empty unless training.
        readings: (B, stages) numbers in 0..1 by name, fine stages first: of the fine stages
            `rgb_confidence` and `low_share` (of the low band of thermal), of the coarse ones
            `rgb_gate` and `thermal_gate`. Switched off modules give none.
    """

    logits: Tensor
    auxiliary: Tensor | None
    deep: tuple[Tensor, ...]
    readings: dict[str, Tensor]


class RgbtSegmentation(nn.Module):
    """The network; see `RgbtSegmentationConfig`.

    Source: "Frequency-Guided Fusion For RGB-Thermal Semantic Segmentation", arXiv 2605.26273.
    """

    def __init__(self, config: RgbtSegmentationConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        self.backbone = Encoders(config)
        channels = self.backbone.channels
        self.fusion = nn.ModuleDict()
        if config.cameras == 'both':
            self.fusion.update({str(s): _fusion(s, c, config) for s, c in channels.items()})
        self.decoder = Decoder(
            channels,
            config.decoder_width or channels[STRIDES[0]],
            config.num_classes,
            dropout=config.dropout,
        )

    def forward(
        self,
        thermal: Tensor | None,
        rgb: Tensor | None,
        padding: Tensor | None = None,
        *,
        present: Tensor | None = None,
        enlarge: bool = True,
    ) -> RgbtSegmentationOutput:
        """Classify every pixel of registered images.

        A camera that is missing is seen as its mean, as in training with modality dropout. A
        network of one camera takes no notice of the other.

        Args:
            thermal: (B, 1, H, W) float32 in 0..1; None if missing. H and W are multiples of
                `reduction`, and at least 64 after it.
            rgb: (B, 3, H, W) float32 in 0..1, R, G, B; None if missing.
            padding: (B, H, W) bool, True where padded, or None. Where images end at a multiple of
                32 x `reduction`, what is padded changes nothing; elsewhere it shows in their last
                cells.
            present: (B, 2) bool, which of the cameras thermal and RGB each image has; None: all
                there are.
            enlarge: bring the logits to the size of the images; if not, there is one per cell of
                `cell_side` pixels. Training always enlarges.

        Raises:
            ValueError: if no image is there, the two differ in size, or are too small.
            PreprocessError: if they are no multiple of `reduction` in size.
        """
        images = self._images({'thermal': thermal, 'rgb': rgb})
        size = next(image.shape[-2:] for image in images.values() if image is not None)
        cells = padding_at(padding, [length // cell_side(self.config) for length in size])
        features = {
            camera: self.backbone.of(camera)(x, cells)
            for camera, x in self._normalised(images, padding, present).items()
        }
        maps, readings = self._fused(features, cells)
        decoded = self.decoder(maps, size, padding, enlarge=enlarge)
        return RgbtSegmentationOutput(decoded.logits, decoded.auxiliary, decoded.deep, readings)

    def _images(self, images: dict[Camera, Tensor | None]) -> dict[Camera, Tensor | None]:
        """Return the images of the cameras that the network has, after checking them."""
        mine = {camera: image for camera, image in images.items() if camera in self.backbone}
        # Tracing sees sizes as tensors, which would all differ.
        shapes = {tuple(map(int, i.shape[-2:])) for i in mine.values() if i is not None}
        if not shapes:
            raise ValueError(f'RgbtSegmentation: found no image, expected {" or ".join(mine)}')
        smallest = smallest_side(self.config)
        if len(shapes) > 1 or min(min(shapes)) < smallest:
            raise ValueError(
                f'RgbtSegmentation: found (height, width) {sorted(shapes)}, expected one size of '
                f'{smallest}x{smallest} or more'
            )
        return mine

    def _normalised(
        self,
        images: Mapping[Camera, Tensor | None],
        padding: Tensor | None,
        present: Tensor | None,
    ) -> dict[Camera, Tensor]:
        """Normalise; padded cells and missing cameras become zero, which is the mean."""
        factor = self.config.reduction
        like = next(image for image in images.values() if image is not None)
        height, width = (length // factor for length in like.shape[-2:])
        inputs: dict[Camera, Tensor] = {}
        for camera, image in images.items():
            encoder = self.backbone.of(camera)
            if image is None:
                inputs[camera] = like.new_zeros(len(like), encoder.in_channels, height, width)
                continue
            x = encoder.normalise(reduce(image, factor, padding), padding)
            if present is not None:
                there = present[:, _CAMERAS.index(camera), None, None, None]
                x = x.masked_fill(~there, 0.0)
            inputs[camera] = x
        return inputs

    def _fused(
        self, features: Mapping[Camera, Mapping[int, Tensor]], padding: Tensor | None
    ) -> tuple[Mapping[int, Tensor], dict[str, Tensor]]:
        """Fuse stage by stage; a single camera's maps are returned as they are."""
        if len(features) == 1:
            return next(iter(features.values())), {}
        maps: dict[int, Tensor] = {}
        readings: defaultdict[str, list[Tensor]] = defaultdict(list)
        for stride in STRIDES:
            rgb, thermal = features['rgb'][stride], features['thermal'][stride]
            fused = self.fusion[str(stride)](rgb=rgb, thermal=thermal, padding=padding)
            maps[stride] = fused.features
            for name, value in fused.readings.items():
                readings[name].append(value)
        return maps, {name: torch.stack(values, 1) for name, values in readings.items()}


def smallest_side(config: RgbtSegmentationConfig) -> int:
    """Return the pixels that height and width of images must have at least."""
    return _SMALLEST * config.reduction


def cell_side(config: RgbtSegmentationConfig) -> int:
    """Return the pixels along each side of the finest cell that the network decides on."""
    return STRIDES[0] * config.reduction


def _fusion(stride: int, channels: int, config: RgbtSegmentationConfig) -> nn.Module:
    """Return the module that fuses the stage of a stride."""
    if stride in _FINE and config.fine_fusion == 'frequency':
        return FrequencyFusion(
            channels, confidence_gate=config.confidence_gate, border=config.blur_border
        )
    if stride not in _FINE and config.coarse_fusion == 'semantic':
        return SemanticFusion(channels)
    return Addition()
