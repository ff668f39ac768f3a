"""Typed configuration of EMIFF; defaults are the published network where its sources agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thermal_perception.errors import ConfigError
from thermal_perception.models.config import BackboneName

_NECK_DEPTH = 3  # cells along z before the neck's last convolution, which has no padding there


@dataclass(frozen=True)
class CompressionLevel:
    """How much smaller a message is.

    Attributes:
        c: what the number of channels is divided by.
        s: how often height and width are halved.
    """

    c: int
    s: int

    @property
    def ratio(self) -> int:
        """How many times smaller than the map it is made of."""
        return self.c * 4**self.s

    @property
    def name(self) -> str:
        """By its ratio, for example `256x`."""
        return f'{self.ratio}x'


@dataclass(frozen=True)
class GridConfig:
    """The voxels, in the frame of the vehicle's lidar: x forward, y left, z up.

    Attributes:
        low_m: least x, y, z.
        high_m: greatest x, y, z.
        counts: nx, ny, nz. The default is that of the published weights, whose cells are not
            square; (288, 248, 12) makes them so. nz is 9 to 12.
    """

    low_m: tuple[float, float, float] = (0.0, -39.68, -3.08)
    high_m: tuple[float, float, float] = (92.16, 39.68, 0.76)
    counts: tuple[int, int, int] = (248, 288, 12)

    def __post_init__(self) -> None:
        """Refuse a grid without volume, and one that the neck cannot flatten."""
        if any(low >= high for low, high in zip(self.low_m, self.high_m)):
            raise ConfigError(f'grid: found {self.low_m} to {self.high_m}, expected a volume')
        if min(self.counts) < 1 or -(-self.counts[2] // 4) != _NECK_DEPTH:
            raise ConfigError(f'grid.counts: found {self.counts}, expected 1.., 1.., 9 to 12')

    @property
    def step_m(self) -> tuple[float, float, float]:
        """Sides of a voxel."""
        x, y, z = ((h - w) / n for w, h, n in zip(self.low_m, self.high_m, self.counts))
        return x, y, z


@dataclass(frozen=True)
class McaConfig:
    """Multi-scale cross attention.

    Attributes:
        correction: `deformable` convolutions bring all scales to the finest; `none` takes the
            finest alone, as ImVoxelNet does, and leaves the selection nothing to choose.
        selection: of the infrastructure's scales, by `attention` of the vehicle's features, or
            their `mean`.
    """

    correction: Literal['deformable', 'none'] = 'deformable'
    selection: Literal['attention', 'mean'] = 'attention'


@dataclass(frozen=True)
class CcmConfig:
    """Camera-aware channel masking.

    Attributes:
        enabled: without it features do not know of their camera.
        reduction: of the hidden width of its gate.
    """

    enabled: bool = True
    reduction: int = 1


@dataclass(frozen=True)
class MergeConfig:
    """How what both cameras saw becomes one.

    Attributes:
        level: `voxel` merges volumes; `bev` gives either camera a neck of its own and merges maps.
        weights: `half` always divides the sum by two (published); `valid` divides by how many
            cameras see the voxel, so that what one alone sees is not weakened.
        missing_divisor: with weights `half`, what the volume of one camera is divided by when the
            other is missing: 2, as where it does not look in training, or 1.
    """

    level: Literal['voxel', 'bev'] = 'voxel'
    weights: Literal['half', 'valid'] = 'half'
    missing_divisor: int = 2

    def __post_init__(self) -> None:
        """Refuse what is not meant."""
        if self.missing_divisor not in (1, 2):
            raise ConfigError(f'missing_divisor: found {self.missing_divisor}, expected 1 or 2')
        if self.level == 'bev' and self.weights == 'valid':
            raise ConfigError('merge: found weights valid at level bev, expected level voxel')


@dataclass(frozen=True)
class AnchorConfig:
    """Boxes that the head starts from, of one class; all are turned by 0 and by 1.57 rad.

    Attributes:
        class_name: of what they find; empty takes the class at the same place of `class_names`.
        size_m: length, width, height.
        bottom_m: z of the bottom.
        positive_iou: an anchor that overlaps a truth by this much is to find it; so is the best
            anchor of each truth from `least_iou` on.
        negative_iou: one that overlaps all truths by less is to find none.
        least_iou: see `positive_iou`.
    """

    class_name: str = ''
    size_m: tuple[float, float, float] = (3.9, 1.6, 1.56)
    bottom_m: float = -1.78
    positive_iou: float = 0.6
    negative_iou: float = 0.45
    least_iou: float = 0.45


@dataclass(frozen=True)
class EmiffConfig:
    """Everything that shapes the network.

    Attributes:
        class_names: lower-case names in label order.
        anchors: one or more kinds per class.
        backbone: of either camera; they share no weights.
        train_norm: also train weight and bias of the backbones' frozen norms.
        freeze_early: keep stem and first stage of the backbones constant.
        width: channels of all maps and volumes.
        compression: levels that a message may have, each with an encoder and a decoder of its own;
            empty sends all scales as they are, an ablation.
        mca: multi-scale cross attention.
        ccm: camera-aware channel masking.
        grid: the voxels.
        mask_behind_camera: voxels behind a camera see nothing; the published network mirrors them
            into its image.
        ray_bins: distances along the ray of a cell that the network tells the weights of, see
            `rays`; 0: all of a ray counts the same, as published.
        merge: of both cameras.
        neck: `volume` convolves in space (published); `flat` makes channels of the heights first
            and convolves the map seen from above, which is four times cheaper and learns sooner.
        neck_widths: channels of the neck's three stages.
        candidates: anchors of an image that are looked at more closely, best first.
        max_boxes: of an image.
        nms_iou: a box that overlaps a better one by more, seen from above, repeats it.
    """

    class_names: tuple[str, ...] = ('car',)
    anchors: tuple[AnchorConfig, ...] = (AnchorConfig(),)
    backbone: BackboneName = 'resnet50'
    train_norm: bool = False
    freeze_early: bool = True
    width: int = 64
    compression: tuple[CompressionLevel, ...] = (CompressionLevel(64, 1),)
    mca: McaConfig = McaConfig()
    ccm: CcmConfig = CcmConfig()
    grid: GridConfig = GridConfig()
    mask_behind_camera: bool = True
    ray_bins: int = 0
    merge: MergeConfig = MergeConfig()
    neck: Literal['volume', 'flat'] = 'volume'
    neck_widths: tuple[int, int, int] = (64, 128, 256)
    candidates: int = 100
    max_boxes: int = 50
    nms_iou: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        named = [anchor.class_name for anchor in self.anchors]
        by_place = not any(named) and len(named) == len(self.class_names)
        if not named or not (by_place or set(named) == set(self.class_names)):
            raise ConfigError(
                f'anchors: found {len(named)} of classes {named}, expected one for each of '
                f'{self.class_names}, or more that name their classes'
            )
        for level in self.compression:
            if level.c < 1 or self.width % level.c or not 0 <= level.s <= 4:
                raise ConfigError(
                    f'compression: found c {level.c}, s {level.s}, expected c to divide '
                    f'{self.width} and s 0 to 4'
                )
        if len({level.name for level in self.compression}) < len(self.compression):
            raise ConfigError(f'compression: found one ratio twice in {list(self.compression)}')
        if self.neck == 'volume' and self.neck_widths[0] != self.width:
            raise ConfigError(
                f'neck_widths: found {self.neck_widths}, expected the first to be {self.width}'
            )

    @property
    def directions(self) -> int:
        """Anchors of a kind in a cell."""
        return 2

    @property
    def anchors_per_cell(self) -> int:
        """Anchors of all kinds in a cell."""
        return self.directions * len(self.anchors)

    @property
    def anchor_labels(self) -> tuple[int, ...]:
        """Class of each kind of anchor."""
        return tuple(
            self.class_names.index(anchor.class_name) if anchor.class_name else place
            for place, anchor in enumerate(self.anchors)
        )
