"""From image features to voxels: every voxel takes the cell that its centre is seen in."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.emiff.rays import ray_bin

if TYPE_CHECKING:
    from thermal_perception.models.emiff.config import GridConfig

_NEAREST_M = 0.1  # what is closer to the plane of a camera is not seen by it


class View(NamedTuple):
    """How images of a camera see the vehicle's surroundings.

    Attributes:
        K: (B, 3, 3) float32 intrinsics in pixels of the images that the network gets: resized, and
            with fx and cx of the mirrored image where it is mirrored.
        T_camera_lidar: (B, 4, 4) float32, vehicle lidar to the camera's optical frame, of the
            scene as it was before any mirroring.
        mirrored: (B,) bool: image and scene were mirrored (y to -y), in training; None: none was.
        content: (B, 2) float32 height and width of the images without their padding, pixels,
            beyond which nothing is seen; None: padding is seen, as in the published network.
    """

    K: Tensor
    T_camera_lidar: Tensor
    mirrored: Tensor | None = None
    content: Tensor | None = None


class Lookup(NamedTuple):
    """Which cell of a map each voxel sees.

    Attributes:
        cells: (B, N) int64, row by row of the map; voxels in the order x, y, z, z fastest; where
            nothing is seen, one past the last cell.
        seen: (B, N) bool.
        bins: (B, N) int64, which part of the cell's ray it is, see `rays.ray_bin`; None where all
            of a ray counts the same.
    """

    cells: Tensor
    seen: Tensor
    bins: Tensor | None = None


class Lifting(nn.Module):
    """The voxel grid, and how it is filled."""

    def __init__(
        self, grid: GridConfig, *, mask_behind_camera: bool = True, ray_bins: int = 0
    ) -> None:
        """Compute the centres; see `EmiffConfig` for the rest."""
        super().__init__()
        self.ray_bins = ray_bins
        self.counts = grid.counts
        self.mask_behind_camera = mask_behind_camera
        self.centres: Tensor
        self.register_buffer('centres', voxel_centres(grid), persistent=False)

    def lookup(self, view: View, image_size: tuple[int, int], map_size: tuple[int, int]) -> Lookup:
        """Find the cell of each voxel.

        Args:
            view: of B images.
            image_size: (height, width) of the padded images, pixels.
            map_size: (height, width) of the map, which covers the padded images.
        """
        # Half precision has no room for numbers of cells.
        device = view.K.device.type
        known = torch.amp.is_autocast_available(device)  # it is not where there are no numbers
        with torch.autocast(device, enabled=False) if known else nullcontext():
            return self._lookup(view, image_size, map_size)

    def _lookup(
        self, view: View, image_size: tuple[int, int], map_size: tuple[int, int]
    ) -> Lookup:
        points = self.centres.expand(len(view.K), -1, -1)
        if view.mirrored is not None:
            sign = torch.where(view.mirrored, -1.0, 1.0).to(points)
            one = torch.ones_like(sign)
            points = points * torch.stack((one, sign, one), -1)[:, None]
        T = view.T_camera_lidar
        camera = points @ T[:, :3, :3].transpose(1, 2) + T[:, None, :3, 3]
        projected = camera @ view.K.transpose(1, 2)
        depth = projected[..., 2]
        pixels = projected[..., :2] / torch.where(depth == 0, _NEAREST_M, depth)[..., None]
        # Corners of map and padded image coincide, and half goes to even: the published network
        # samples so, half a cell beside the middle of the cell at most.
        column = (pixels[..., 0] / image_size[1] * (map_size[1] - 1)).round()
        row = (pixels[..., 1] / image_size[0] * (map_size[0] - 1)).round()
        seen = (column >= 0) & (column < map_size[1]) & (row >= 0) & (row < map_size[0])
        if self.mask_behind_camera:
            seen = seen & (depth > _NEAREST_M)
        if view.content is not None:
            seen = seen & (pixels < view.content.flip(-1)[:, None]).all(-1)
        outside = map_size[0] * map_size[1]
        cells = torch.where(seen, row * map_size[1] + column, outside)
        bins = ray_bin(depth, self.ray_bins) if self.ray_bins else None
        return Lookup(cells.long(), seen, bins)

    def forward(self, features: Tensor, lookup: Lookup) -> Tensor:
        """Fill voxels (B, C, nx, ny, nz) from a map (B, C, h, w); zero where nothing is seen."""
        return self.volume(self.rows(features, lookup))

    def rows(self, features: Tensor, lookup: Lookup) -> Tensor:
        """Fill the same as (B, N, C), a row per voxel: so they lie in memory."""
        rows = features.flatten(2).transpose(1, 2)  # [batch, cells, C]
        rows = torch.cat((rows, rows.new_zeros(len(rows), 1, rows.shape[2])), 1)
        return torch.stack([image[cells] for image, cells in zip(rows, lookup.cells)])

    def weights(self, rays: Tensor, lookup: Lookup) -> Tensor:
        """Return the (B, N) weights of voxels, 0..1; 0 where nothing is seen.

        Args:
            rays: (B, bins, h, w) logits, see `rays.RayWeights`.
            lookup: of a camera.

        Raises:
            ValueError: if the lookup has no bins.
        """
        if lookup.bins is None:
            raise ValueError('Lifting: found a lookup without bins, expected them for rays')
        batch, bins = rays.shape[:2]
        flat = rays.sigmoid().permute(0, 2, 3, 1).reshape(batch, -1)  # [batch, cells x bins]
        index = lookup.cells * bins + lookup.bins
        return flat.gather(1, index.clamp(max=flat.shape[1] - 1)) * lookup.seen

    def volume(self, rows: Tensor) -> Tensor:
        """Turn (B, N, C) to (B, C, nx, ny, nz), without a copy."""
        return rows.unflatten(1, self.counts).permute(0, 4, 1, 2, 3)


def voxel_centres(grid: GridConfig) -> Tensor:
    """Return the (N, 3) float32 centres, metres, in the order x, y, z with z fastest."""
    axes = [
        low + (torch.arange(count, dtype=torch.float64) + 0.5) * step
        for low, step, count in zip(grid.low_m, grid.step_m, grid.counts)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing='ij'), -1).flatten(0, 2).float()


def voxel_of(points_m: Tensor, grid: GridConfig) -> Tensor:
    """Return the (N, 3) int64 indices of the voxels that points (N, 3) lie in, also outside."""
    low, step = points_m.new_tensor(grid.low_m), points_m.new_tensor(grid.step_m)
    return ((points_m - low) / step).floor().long()
