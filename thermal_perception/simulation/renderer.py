"""One call from scene, time and camera to picture and truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import SimulationError
from thermal_perception.geometry.transforms import compose, invert
from thermal_perception.simulation import backgrounds, raster, rgb, thermal, truth as truths
from thermal_perception.simulation.backgrounds import Outlook
from thermal_perception.simulation.terrain import SEMANTIC_NAMES
from thermal_perception.types import SegmentationMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.camera import CameraSpec
    from thermal_perception.simulation.raster import Projected, View
    from thermal_perception.simulation.scene import Poses, Scene
    from thermal_perception.simulation.truth import Truth

# Primitives are filled this many times as fine as the camera sees.
FINENESS = {'thermal': 2, 'rgb': 1}
BASE_FRAME = 'base_link'


@dataclass(frozen=True, eq=False)
class SimulatedFrame:
    """A picture and what it shows.

    Attributes:
        image: thermal (H, W) uint8 or uint16, rgb (H, W, 3) uint8 in B, G, R order.
        truth: of the moment the picture was taken; None if not asked for.
        time_s: the time asked for.
        exposure_time_s: when the picture was taken; earlier while a shutter is closed.
    """

    image: NDArray[np.uint8] | NDArray[np.uint16]
    truth: Truth | None
    time_s: float
    exposure_time_s: float


def render(
    scene: Scene,
    time_s: float,
    camera: CameraSpec,
    *,
    bits: int = 8,
    with_truth: bool = True,
    with_segmentation: bool = False,
    fineness: int | None = None,
) -> SimulatedFrame:
    """Take a picture; the same arguments always give the same bytes.

    Args:
        scene: the world.
        time_s: seconds since the scene began.
        camera: where to look and with what.
        bits: 8 or 16, of a thermal image.
        with_truth: also find boxes, visibility and tracks.
        with_segmentation: also label every pixel; implies `with_truth`.
        fineness: 1 is fast, 2 averages four samples per pixel; None takes 2 for thermal and 1
            for the usually finer colour cameras.

    Raises:
        SimulationError: if bits is neither 8 nor 16.
    """
    if bits not in (8, 16):
        raise SimulationError(f'bits: found {bits}, expected 8 or 16')
    taken_s = time_s
    if camera.modality == 'thermal':
        taken_s = camera.thermal.exposure_time_s(time_s)
    shot = _Shot(scene, taken_s, camera, fineness or FINENESS[camera.modality])
    image = shot.thermal(bits) if camera.modality == 'thermal' else shot.rgb()
    wanted = with_truth or with_segmentation
    truth = shot.truth(segmentation=with_segmentation) if wanted else None
    return SimulatedFrame(image, truth, time_s, taken_s)


def ground_truth(
    scene: Scene, time_s: float, camera: CameraSpec, *, segmentation: bool = False
) -> Truth:
    """Find what a camera sees at a time without making the picture."""
    return _Shot(scene, time_s, camera, FINENESS[camera.modality]).truth(segmentation=segmentation)


class _Shot:
    """One camera at one moment, with everything filled once."""

    def __init__(self, scene: Scene, time_s: float, camera: CameraSpec, fineness: int) -> None:
        self.scene, self.time_s, self.camera, self.fineness = scene, time_s, camera, fineness
        self.T_world_base = scene.pose(time_s)
        T_world_camera = camera.T_world_camera
        if T_world_camera is None:
            T_world_camera = compose(self.T_world_base, camera.T_base_camera)
        T_camera_world = invert(T_world_camera)
        self.view: View = raster.View(camera.size, camera.K, T_camera_world)
        self.poses: Poses = scene.poses(time_s)
        self.projected: Projected = raster.project(scene.bank, self.poses, self.view)
        self.numbers = raster.fill(self.projected, camera.size, fineness)
        self.horizon = backgrounds.horizon(self.view, scene.world.backdrop.distance_m)

    @property
    def outlook(self) -> Outlook:
        """The backdrop lies ahead of the base; a camera beside the road has one where it looks."""
        T_world_camera = self.camera.T_world_camera
        if T_world_camera is None:
            return Outlook(np.array([self.T_world_base[0, 3], 0.0, 0.0]), np.eye(3)[0])
        axis = int(np.abs(T_world_camera[:2, 2]).argmax())
        ahead = np.eye(3)[axis] * np.sign(T_world_camera[axis, 2])
        return Outlook(T_world_camera[:3, 3], ahead)

    def thermal(self, bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        kelvin = thermal.scene_kelvin(
            self.projected,
            self.numbers,
            self.scene.world,
            self.view,
            self.horizon,
            outlook=self.outlook,
            scale=self.fineness,
        )
        sensor = self.camera.thermal
        return thermal.expose(thermal.detect(kelvin, sensor, self.time_s), sensor, bits)

    def rgb(self) -> NDArray[np.uint8]:
        light = rgb.scene_light(
            self.projected,
            self.numbers,
            self.scene.world,
            self.view,
            self.horizon,
            outlook=self.outlook,
            scale=self.fineness,
        )
        return rgb.expose(light, self.camera.rgb, self.time_s)

    def truth(self, *, segmentation: bool) -> Truth:
        bank, stamp_ns = self.scene.bank, round(self.time_s * 1e9)
        found = truths.find_visible(self.projected, self.numbers, bank, self.view, self.fineness)
        frame_id = self.camera.frame_id
        return truths.Truth(
            truths.detections(found, bank, self.view, stamp_ns=stamp_ns, frame_id=frame_id),
            found.visibility,
            found.actors,
            truths.boxes_3d(
                found, bank, self.poses, self.T_world_base, stamp_ns=stamp_ns, frame_id=BASE_FRAME
            ),
            self.segmentation(stamp_ns) if segmentation else None,
        )

    def segmentation(self, stamp_ns: int) -> SegmentationMask:
        world, bank, half = self.scene.world, self.scene.bank, self.fineness // 2
        labels = backgrounds.background_labels(
            world.ground, world.backdrop, self.view, self.horizon.is_ground, self.outlook
        )
        numbers = self.numbers[half :: self.fineness, half :: self.fineness]
        solid = numbers > self.projected.on_ground
        table = np.zeros(len(self.projected.owners) + 1, np.uint8)
        table[1:] = bank.semantics[self.projected.owners]
        np.copyto(labels, table.take(numbers), where=solid)
        return SegmentationMask(labels, SEMANTIC_NAMES, stamp_ns, self.camera.frame_id)
