"""All primitives of a scene in flat arrays, so that one numpy call moves them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.simulation import figures
from thermal_perception.simulation.shapes import GROUND_RANK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.simulation.actors import Actor

FIGURE_RANK = 1  # riders are drawn over their bicycle's frame where both are equally far


@dataclass(frozen=True, eq=False)
class PrimitiveBank:
    """Primitives of all actors, in their actors' frames, and what the renderer asks of actors.

    Attributes:
        polygons: (P, 8, 3) float32.
        normals: (P, 3) float32 unit vectors.
        two_sided: (P,) bool.
        polygon_owner: (P,) int64 index of the actor.
        polygon_rank: (P,) int32.
        capsules: (C, 2, 3) float32.
        radii: (C, 2) float32.
        capsule_owner: (C,) int64.
        capsule_rank: (C,) int32.
        walkers: (F,) int64 actors with a figure.
        riding: (F,) bool.
        figure_height: (F,) float64 metres.
        figure_stride: (F,) float64.
        figure_phase: (F,) float64.
        surfaces: (P + C + F * limbs, 9) float32, of polygons, capsules and limbs in turn.
        labels: (N,) int64 class of each actor, -1 for scenery.
        semantics: (N,) uint8.
        low: (N, 3) float64 lowest corner of each actor's box, in its frame.
        high: (N, 3) float64.
        flat: (N,) bool, actors that are only paint on the ground.
    """

    polygons: NDArray[np.float32]
    normals: NDArray[np.float32]
    two_sided: NDArray[np.bool_]
    polygon_owner: NDArray[np.int64]
    polygon_rank: NDArray[np.int32]
    capsules: NDArray[np.float32]
    radii: NDArray[np.float32]
    capsule_owner: NDArray[np.int64]
    capsule_rank: NDArray[np.int32]
    walkers: NDArray[np.int64]
    riding: NDArray[np.bool_]
    figure_height: NDArray[np.float64]
    figure_stride: NDArray[np.float64]
    figure_phase: NDArray[np.float64]
    surfaces: NDArray[np.float32]
    labels: NDArray[np.int64]
    semantics: NDArray[np.uint8]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    flat: NDArray[np.bool_]

    @classmethod
    def from_actors(cls, actors: Sequence[Actor]) -> PrimitiveBank:
        """Concatenate the shapes of all actors."""
        shapes = [a.shape for a in actors]
        polygons = np.concatenate([s.polygons for s in shapes])
        walkers = [(i, a.figure) for i, a in enumerate(actors) if a.figure is not None]
        flat = [
            a.figure is None
            and not len(a.shape.capsules)
            and bool((a.shape.polygon_ranks == GROUND_RANK).all())
            for a in actors
        ]
        return cls(
            polygons=polygons,
            normals=_normals(polygons),
            two_sided=np.concatenate([s.two_sided for s in shapes]),
            polygon_owner=np.repeat(np.arange(len(shapes)), [len(s.polygons) for s in shapes]),
            polygon_rank=np.concatenate([s.polygon_ranks for s in shapes]),
            capsules=np.concatenate([s.capsules for s in shapes]),
            radii=np.concatenate([s.radii for s in shapes]),
            capsule_owner=np.repeat(np.arange(len(shapes)), [len(s.capsules) for s in shapes]),
            capsule_rank=np.concatenate([s.capsule_ranks for s in shapes]),
            walkers=np.array([i for i, _ in walkers], np.int64),
            riding=np.array([f.gait == 'ride' for _, f in walkers], bool),
            figure_height=np.array([f.height_m for _, f in walkers]),
            figure_stride=np.array([f.stride for _, f in walkers]),
            figure_phase=np.array([f.phase for _, f in walkers]),
            surfaces=np.concatenate(
                [
                    *(s.polygon_surfaces for s in shapes),
                    *(s.capsule_surfaces for s in shapes),
                    *(f.surfaces for _, f in walkers),
                ]
            ),
            labels=np.array([a.label for a in actors], np.int64),
            semantics=np.array([a.semantic for a in actors], np.uint8),
            low=np.array([a.low_m for a in actors]),
            high=np.array([a.high_m for a in actors]),
            flat=np.array(flat, bool),
        )

    @property
    def first_capsule_row(self) -> int:
        """Row of `surfaces` where capsules begin."""
        return len(self.polygons)

    @property
    def first_figure_row(self) -> int:
        """Row of `surfaces` where the limbs of figures begin."""
        return len(self.polygons) + len(self.capsules)

    def figure_capsules(
        self, chosen: NDArray[np.int64], walked: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pose the figures with the given positions in `walkers`.

        Returns:
            (F, limbs, 2, 3) ends in the actors' frames and (F, limbs, 2) radii, metres.
        """
        height, riding = self.figure_height[chosen], self.riding[chosen]
        way = np.where(riding, figures.CRANK_RATIO, figures.STRIDE_M / (2 * np.pi) * height / 1.75)
        phase = self.figure_phase[chosen] + walked / way
        ends, radii = figures.walking_capsules(phase, self.figure_stride[chosen], height)
        if riding.any():
            on_bike, radii_on_bike = figures.riding_capsules(phase[riding], height[riding])
            ends[riding], radii[riding] = on_bike, radii_on_bike
        return ends, radii


def _normals(polygons: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit normals by Newell's sum, from each polygon's first corner for accuracy."""
    local = polygons - polygons[:, :1]
    normals = np.cross(local, np.roll(local, -1, axis=1)).sum(1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(lengths, 1e-12), np.float32)
