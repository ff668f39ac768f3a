"""EMIFF in its two parts: what runs at the roadside and what runs in the vehicle."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.backbones import make_backbone
from thermal_perception.models.emiff.camera_mask import camera_vector, CameraMask
from thermal_perception.models.emiff.compression import (
    compressors,
    decompressors,
    ScaleRebuild,
    SCALES,
)
from thermal_perception.models.emiff.cross_attention import Correction, scale_weights, weighed
from thermal_perception.models.emiff.head import AnchorHead, HeadOutput
from thermal_perception.models.emiff.lifting import Lifting, Lookup, View
from thermal_perception.models.emiff.neck import FlatNeck, VoxelNeck
from thermal_perception.models.emiff.rays import RayWeights
from thermal_perception.models.fpn import FeaturePyramid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.models.emiff.config import CompressionLevel, EmiffConfig

STRIDES = (4, 8, 16, 32)


class Message(NamedTuple):
    """What the roadside sends of B images, and where its camera is.

    Attributes:
        tensors: one (B, width / c, h, w) tensor, not negative, of a compression level; without
            compression the four scales, finest first.
        level: the level; None without compression.
        view: of the infrastructure's camera.
        image_size: (height, width) of its padded images, pixels.
        weight: (B,) 0..1, how much each counts, less than 1 if it is old; None: fully.
    """

    tensors: tuple[Tensor, ...]
    level: CompressionLevel | None
    view: View
    image_size: tuple[int, int]
    weight: Tensor | None = None

    @property
    def map_size(self) -> tuple[int, int]:
        """(height, width) of the finest map that is made of it."""
        height, width = self.tensors[0].shape[-2:]
        factor = 1 if self.level is None else 2**self.level.s
        return height * factor, width * factor


class Aim(NamedTuple):
    """What the calibration of a camera alone decides, of B images.

    Attributes:
        lookup: what each voxel sees.
        mask: (B, width) in (0, 1), what the channels are multiplied by; None if by nothing.
    """

    lookup: Lookup
    mask: Tensor | None


class EmiffOutput(NamedTuple):
    """What one forward pass gives.

    Attributes:
        head: raw outputs of every anchor.
        scale_weights: (B, 4) shares of the infrastructure's scales, finest first; None where
            nothing was selected: no message, or `mca` switched off.
        ego_seen: (B, N) bool, voxels that the vehicle's camera sees; None without its image.
        infra_seen: (B, N) bool, voxels that the infrastructure's camera sees; None without it.
        maps: (B, width, h, w) of each camera that there is, as they were lifted, vehicle first.
        rays: (B, bins, h, w) logits of each of them; empty without `ray_bins`.
    """

    head: HeadOutput
    scale_weights: Tensor | None
    ego_seen: Tensor | None
    infra_seen: Tensor | None
    maps: tuple[Tensor, ...] = ()
    rays: tuple[Tensor, ...] = ()


class Encoder(nn.Module):
    """Backbone and pyramid of one camera."""

    def __init__(self, config: EmiffConfig) -> None:
        """Create both with random weights."""
        super().__init__()
        self.backbone = make_backbone(
            config.backbone,
            train_norm=config.train_norm,
            freeze_early=config.freeze_early,
            strides=STRIDES,
        )
        self.pyramid = FeaturePyramid(self.backbone.channels, config.width)

    def forward(self, image: Tensor, strides: tuple[int, ...] = STRIDES) -> list[Tensor]:
        """Map (B, 3, H, W) in 0..1 to (B, width, H / s, W / s) of each stride s, finest first."""
        features = self.backbone(self.backbone.normalise(image))
        levels = self.pyramid(features, strides)
        return [levels[stride] for stride in strides]


class InfrastructurePart(nn.Module):
    """What runs at the roadside: an image in, a small tensor out."""

    def __init__(self, config: EmiffConfig) -> None:
        """Create it with random weights."""
        super().__init__()
        self.encoder = Encoder(config)
        self.compress = compressors(config.width, config.compression)

    def forward(self, image: Tensor, level: CompressionLevel | None) -> tuple[Tensor, ...]:
        """Return the tensors of a message.

        Args:
            image: (B, 3, H, W) float32 in 0..1, R, G, B; H and W are multiples of 32 and of
                4 x 2^s.
            level: one of the network's; None if it has none.
        """
        if level is None:
            return tuple(self.encoder(image))
        return self.at_levels(image, [level])

    def at_levels(self, image: Tensor, levels: Sequence[CompressionLevel]) -> tuple[Tensor, ...]:
        """Return the tensor of a message for each level, of one look at the image."""
        (finest,) = self.encoder(image, STRIDES[:1])
        return tuple(self.compress[level.name](finest) for level in levels)


class VehiclePart(nn.Module):
    """What runs in the vehicle: its image and a message in, boxes out; either may be missing."""

    def __init__(self, config: EmiffConfig) -> None:
        """Create it with random weights."""
        super().__init__()
        self.config = config
        corrects = config.mca.correction == 'deformable'
        self.encoder = Encoder(config)
        self.decompress = decompressors(config.width, config.compression)
        self.rebuild = ScaleRebuild(config.width) if config.compression else None
        self.correct_ego = Correction(config.width) if corrects else None
        self.correct_infra = Correction(config.width) if corrects else None
        self.camera_mask = (
            CameraMask(config.width, reduction=config.ccm.reduction)
            if config.ccm.enabled
            else None
        )
        self.lifting = Lifting(
            config.grid,
            mask_behind_camera=config.mask_behind_camera,
            ray_bins=config.ray_bins,
        )
        self.rays_ego, self.rays_infra = (
            RayWeights(config.width, config.ray_bins) if config.ray_bins else None
            for _ in range(2)
        )
        self.neck = _neck(config)
        self.neck_infra = _neck(config) if config.merge.level == 'bev' else None
        self.head = AnchorHead(config.neck_widths[-1], config)

    def forward(
        self, image: Tensor | None, view: View | None, message: Message | None
    ) -> EmiffOutput:
        """Find objects around the vehicle.

        Args:
            image: (B, 3, H, W) float32 in 0..1, R, G, B, H and W multiples of 32; None if missing.
            view: of the vehicle's camera; None with the image.
            message: of the infrastructure; None if missing. Nothing of its branch runs then.

        Raises:
            ValueError: if both are missing, or an image has no view.
        """
        if image is None and message is None:
            raise ValueError('VehiclePart: found neither image nor message, expected one or both')
        views: list[View] = []
        sizes: list[tuple[int, int]] = []
        maps: list[tuple[int, int]] = []
        if image is not None:
            if view is None:
                raise ValueError('VehiclePart: found an image without its view')
            height, width = image.shape[-2:]
            views.append(view)
            sizes.append((height, width))
            maps.append((height // STRIDES[0], width // STRIDES[0]))
        if message is None:
            return self.look(image, (), self.aims(views, sizes, maps))
        views.append(message.view)
        sizes.append(message.image_size)
        maps.append(message.map_size)
        return self.look(
            image,
            message.tensors,
            self.aims(views, sizes, maps),
            level=message.level,
            weight=message.weight,
        )

    def aims(
        self,
        views: Sequence[View],
        image_sizes: Sequence[tuple[int, int]],
        map_sizes: Sequence[tuple[int, int]],
    ) -> list[Aim]:
        """Tell for each camera what its calibration decides; see `Lifting.lookup` for the sizes.

        All of a batch belong together in training: the norm of the masks learns from them.
        """
        lookups = [self.lifting.lookup(*sight) for sight in zip(views, image_sizes, map_sizes)]
        masks: Sequence[Tensor | None] = [None] * len(lookups)
        if self.camera_mask is not None:
            vectors = torch.cat([camera_vector(view) for view in views])
            masks = self.camera_mask.mask(vectors).chunk(len(views))
        return [Aim(lookup, mask) for lookup, mask in zip(lookups, masks)]

    def look(
        self,
        image: Tensor | None,
        tensors: tuple[Tensor, ...],
        aims: Sequence[Aim],
        *,
        level: CompressionLevel | None = None,
        weight: Tensor | None = None,
    ) -> EmiffOutput:
        """Find objects, once it is known what the calibrations decide.

        Args:
            image: as for `forward`.
            tensors: of a message; empty if it is missing.
            aims: of the image's camera, if there is one, then of the message's, if there is one.
            level: of the message.
            weight: of the message.
        """
        features: list[Tensor] = []
        ego = shares = None
        if image is not None:
            ego = self._ego(image)
            features.append(ego)
        if tensors:
            infra, shares = self._infra(tensors, level, ego)
            features.append(infra)
        features = self._masked(features, aims)
        voxels = [self.lifting.rows(f, aim.lookup) for f, aim in zip(features, aims)]
        seen = [aim.lookup.seen for aim in aims]
        rays = self._rays(features, alone_is_infra=image is None)
        if rays:
            counted = [self.lifting.weights(r, aim.lookup) for r, aim in zip(rays, aims)]
            voxels = [v * c[..., None] for v, c in zip(voxels, counted)]
        else:
            counted = [s.to(voxels[0].dtype) for s in seen]
        if tensors and weight is not None:
            voxels[-1] = voxels[-1] * weight[:, None, None]
            counted[-1] = counted[-1] * weight[:, None]
        bev = self._seen_from_above(voxels, counted, alone_is_infra=image is None)
        return EmiffOutput(
            self.head(bev),
            shares,
            None if image is None else seen[0],
            seen[-1] if tensors else None,
            tuple(features),
            rays,
        )

    def _ego(self, image: Tensor) -> Tensor:
        """Return (B, width, H / 4, W / 4): the mean over the corrected scales."""
        if self.correct_ego is None:
            return self.encoder(image, STRIDES[:1])[0]
        return self.correct_ego(self.encoder(image)).mean(1)

    def _infra(
        self, tensors: tuple[Tensor, ...], level: CompressionLevel | None, ego: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return (B, width, h, w) and the shares (B, 4) of its scales."""
        maps = list(tensors)
        if level is not None:
            finest = self.decompress[level.name](tensors[0])
            if self.correct_infra is None:
                return finest, None
            assert self.rebuild is not None
            maps = self.rebuild(finest)
        if self.correct_infra is None:
            return maps[0], None
        corrected = self.correct_infra(maps)
        if ego is None or self.config.mca.selection == 'mean':
            shares = corrected.new_full((len(corrected), SCALES), 1 / SCALES)
        else:
            shares = scale_weights(ego, corrected)
        return weighed(corrected, shares), shares

    def _masked(self, features: list[Tensor], aims: Sequence[Aim]) -> list[Tensor]:
        """Mask the channels of all cameras, in one go where their maps have one size."""
        if self.camera_mask is None:
            return features
        masks = [aim.mask for aim in aims if aim.mask is not None]
        if len({f.shape for f in features}) > 1:
            if self.training:
                raise ValueError(
                    'VehiclePart: found images of two sizes, expected one in training'
                )
            return [self.camera_mask.masked(f, m) for f, m in zip(features, masks)]
        masked = self.camera_mask.masked(torch.cat(features), torch.cat(masks))
        return list(masked.chunk(len(features)))

    def _rays(self, features: list[Tensor], *, alone_is_infra: bool) -> tuple[Tensor, ...]:
        """Return the logits (B, bins, h, w) of each camera; nothing where all of a ray counts."""
        if self.rays_ego is None or self.rays_infra is None:
            return ()
        sides = (self.rays_ego, self.rays_infra)[1 if alone_is_infra else 0 :]
        return tuple(side(maps) for side, maps in zip(sides, features))

    def _seen_from_above(
        self, voxels: list[Tensor], counted: list[Tensor], *, alone_is_infra: bool
    ) -> Tensor:
        """Return the (B, C, ny, nx) map of what one or two cameras fill the voxels with.

        Args:
            voxels: (B, N, C) each.
            counted: (B, N) each, how much each voxel of it counts, 0 where nothing is seen.
            alone_is_infra: whether a single camera is that of the infrastructure.
        """
        if self.neck_infra is not None:
            necks = (self.neck, self.neck_infra)[1 if alone_is_infra else 0 :]
            maps = [neck(self.lifting.volume(rows)) for neck, rows in zip(necks, voxels)]
            return reduce(torch.add, maps) / self._divisor(len(maps))
        # Merged as rows: added as volumes, they might be laid out anew.
        total = reduce(torch.add, voxels)
        if self.config.merge.weights == 'half':
            return self.neck(self.lifting.volume(total / self._divisor(len(voxels))))
        cameras = reduce(torch.add, counted).clamp(min=1)  # [batch, N]
        return self.neck(self.lifting.volume(total / cameras[..., None]))

    def _divisor(self, cameras: int) -> int:
        return 2 if cameras == 2 else self.config.merge.missing_divisor


class Emiff(nn.Module):
    """Both parts in one checkpoint.

    Source: EMIFF, arXiv 2402.15272.
    """

    def __init__(self, config: EmiffConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        self.infrastructure = InfrastructurePart(config)
        self.vehicle = VehiclePart(config)

    def forward(
        self,
        ego_image: Tensor | None,
        ego_view: View | None,
        infra_image: Tensor | None,
        infra_view: View | None,
        level: CompressionLevel | None = None,
    ) -> EmiffOutput:
        """Run both parts in one place; see there.

        Args:
            ego_image: (B, 3, H, W), or None.
            ego_view: of it.
            infra_image: (B, 3, H, W), or None.
            infra_view: of it.
            level: of the message; None takes the first of the network, if it has any.
        """
        message = None
        if infra_image is not None:
            if infra_view is None:
                raise ValueError('Emiff: found an infrastructure image without its view')
            if level is None and self.config.compression:
                level = self.config.compression[0]
            tensors = self.infrastructure(infra_image, level)
            size = (infra_image.shape[-2], infra_image.shape[-1])
            message = Message(tensors, level, infra_view, size)
        return self.vehicle(ego_image, ego_view, message)


def _neck(config: EmiffConfig) -> VoxelNeck | FlatNeck:
    if config.neck == 'flat':
        return FlatNeck(config.width, config.grid.counts[2], config.neck_widths)
    return VoxelNeck(config.neck_widths)
