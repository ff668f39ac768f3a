"""E2E-MFD: thermal and colour image in, one fused image and detections out."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.backbones import make_backbone
from thermal_perception.models.e2e_mfd.brightness import brightness
from thermal_perception.models.e2e_mfd.head import DiffusionHead
from thermal_perception.models.e2e_mfd.join import add_up, put_side_by_side
from thermal_perception.models.e2e_mfd.orppt import FusedOutput, Orppt
from thermal_perception.models.e2e_mfd.own_norms import OwnNorms
from thermal_perception.models.e2e_mfd.sampling import sample
from thermal_perception.models.fpn import FeaturePyramid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermal_perception.models.e2e_mfd.config import E2eMfdConfig
    from thermal_perception.models.e2e_mfd.diffusion import NoisedProposals
    from thermal_perception.models.e2e_mfd.head import StageOutput
    from thermal_perception.models.e2e_mfd.sampling import SampledBoxes

_STRIDES = (4, 8, 16, 32)


class E2eMfdOutput(NamedTuple):
    """What one forward pass gives; parts that were not asked for are None.

    Attributes:
        fusion: the fused brightness and its weights.
        stages: in training, the predictions of every stage of the head.
        detections: else, what was sampled from noise.
    """

    fusion: FusedOutput | None
    stages: tuple[StageOutput, ...] | None
    detections: SampledBoxes | None


class E2eMfd(nn.Module):
    """The network; see `E2eMfdConfig`.

    One backbone with one set of weights sees both images. What it finds is added up, level by
    level, so that either camera may be missing. The pyramid behind it is linear: it works on the
    sum, which halves its work and differs from a sum of pyramids by a constant only.

    Source: "E2E-MFD: Towards End-to-End Synchronous Multimodal Fusion Detection",
    arXiv 2403.09323.
    """

    def __init__(self, config: E2eMfdConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        self.backbone = make_backbone(
            config.backbone,
            train_norm=config.train_norm,
            freeze_early=config.freeze_early,
            strides=_STRIDES,
        )
        self.rgb_norms = OwnNorms(self.backbone) if config.own_norms else None
        self._join, cameras = (put_side_by_side, 2) if config.own_laterals else (add_up, 1)
        channels = {stride: cameras * count for stride, count in self.backbone.channels.items()}
        self.pyramid = FeaturePyramid(channels, config.pyramid_width)
        if config.own_laterals:
            # Who has learned to see with one camera keeps it when it is given the other.
            for stride, count in self.backbone.channels.items():
                weight = self.pyramid.lateral[str(stride)].get_parameter('weight')
                nn.init.zeros_(weight[:, count:])
        self.orppt = Orppt(config.fusion, config.pyramid_width)
        self.head = DiffusionHead(config.detection, config.pyramid_width, config.num_classes)

    def forward(
        self,
        thermal: Tensor | None,
        rgb: Tensor | None,
        padding: Tensor | None = None,
        *,
        present: Tensor | None = None,
        proposals: NoisedProposals | None = None,
        fuse: bool = True,
        detect: bool = True,
    ) -> E2eMfdOutput:
        """Fuse and detect.

        Args:
            thermal: (B, 1, H, W) float32 in 0..1; None if the camera is missing.
            rgb: (B, 3, H, W) float32 in 0..1, R, G, B; None if the camera is missing.
            padding: (B, H, W) bool, True where padded, or None.
            present: (B, 2) bool, which of the two cameras each image has; None: all there are.
            proposals: noisy boxes to refine, in training; None samples from noise.
            fuse: make the fused image; with one camera it is that camera's brightness.
            detect: find objects.

        Raises:
            ValueError: if both cameras are missing.
        """
        pyramid = self.pyramid(self.features(thermal, rgb, padding, present=present))
        fusion = self._fuse(thermal, rgb, pyramid, padding) if fuse else None
        stages = detections = None
        if detect:
            leader = thermal if thermal is not None else rgb
            assert leader is not None  # `features` saw one
            sizes = image_sizes(leader, padding)
            if proposals is None:
                detections = sample(self.head, pyramid, sizes)
            else:
                stages = self.head(pyramid, proposals.boxes, proposals.t, sizes)
        return E2eMfdOutput(fusion, stages, detections)

    def features(
        self,
        thermal: Tensor | None,
        rgb: Tensor | None,
        padding: Tensor | None = None,
        *,
        present: Tensor | None = None,
    ) -> dict[int, Tensor]:
        """Return the backbone's maps of both images joined, by stride: (B, C or 2 C, H/s, W/s).

        See `forward` for the arguments.
        """
        if thermal is None and rgb is None:
            raise ValueError('E2eMfd: found no image, expected thermal, rgb or both')
        return self._join(*self._maps(thermal, rgb, padding), present)

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """Yield what both tasks train: backbone and pyramid."""
        for module in (self.backbone, self.rgb_norms, self.pyramid):
            if module is not None:
                yield from (p for p in module.parameters() if p.requires_grad)

    def _maps(
        self, thermal: Tensor | None, rgb: Tensor | None, padding: Tensor | None
    ) -> tuple[dict[int, Tensor] | None, dict[int, Tensor] | None]:
        """Return the backbone's maps of the (B, 1 or 3, H, W) images there are.

        One after the other on a CPU, which is faster when the maps of one image fit into its
        caches; as one batch on a GPU, which has room, if nothing tells the cameras apart.
        """
        if thermal is not None and rgb is not None and thermal.is_cuda and not self.rgb_norms:
            both = torch.cat((thermal.expand_as(rgb), rgb))
            twice = None if padding is None else padding.repeat(2, 1, 1)
            together = self.backbone(self.backbone.normalise(both, twice))
            parts = {stride: x.chunk(2) for stride, x in together.items()}
            return {s: x[0] for s, x in parts.items()}, {s: x[1] for s, x in parts.items()}
        return (
            None if thermal is None else self.backbone(self.backbone.normalise(thermal, padding)),
            None if rgb is None else self._rgb_maps(self.backbone.normalise(rgb, padding)),
        )

    def _rgb_maps(self, x: Tensor) -> dict[int, Tensor]:
        own: OwnNorms | None = self.rgb_norms
        maps: dict[int, Tensor] = own(self.backbone, x) if own else self.backbone(x)
        return maps

    def _fuse(
        self,
        thermal: Tensor | None,
        rgb: Tensor | None,
        pyramid: dict[int, Tensor],
        padding: Tensor | None,
    ) -> FusedOutput:
        if thermal is not None and rgb is not None:
            fused: FusedOutput = self.orppt(thermal, rgb, pyramid, padding)
            return fused
        if thermal is not None:
            return _alone(thermal, camera=0)
        assert rgb is not None
        return _alone(brightness(rgb), camera=1)


def image_sizes(images: Tensor, padding: Tensor | None) -> Tensor:
    """Return (B, 2) float32 height and width without padding of (B, C, H, W) images."""
    if padding is None:
        # Filled on the device: a CUDA graph cannot hold a copy from the host's memory.
        height, width = (
            images.new_full((len(images),), side, dtype=torch.float32)
            for side in images.shape[-2:]
        )
        return torch.stack((height, width), dim=1)
    heights, widths = (~padding[:, :, 0]).sum(1), (~padding[:, 0]).sum(1)
    return torch.stack((heights, widths), dim=1).float()


def _alone(image: Tensor, *, camera: int) -> FusedOutput:
    """Return the brightness of the one camera that is there, its weight being one."""
    weights = image.new_zeros(len(image), 2, *image.shape[-2:])
    weights[:, camera] = 1
    return FusedOutput(image, weights)
