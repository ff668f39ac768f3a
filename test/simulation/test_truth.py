import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from thermal_perception.geometry import from_xyz_rpy, invert
from thermal_perception.simulation import raster
from thermal_perception.simulation.actors import Actor, CAR, CLASS_NAMES, NO_CLASS, PERSON
from thermal_perception.simulation.bank import PrimitiveBank
from thermal_perception.simulation.camera import mount, pinhole
from thermal_perception.simulation.motion import Standing
from thermal_perception.simulation.scene import Poses
from thermal_perception.simulation.shapes import ShapeBuilder, Surface
from thermal_perception.simulation.truth import boxes_3d, detections, find_visible

SIZE = (200, 320)
SCALE = 4


def slab(x, y, *, width=2.0, height=1.0, label=CAR):
    builder = ShapeBuilder()
    builder.box((-0.001, -width / 2, 0.0), (0.001, width / 2, height), Surface(300.0))
    shape = builder.build()
    return Actor(label, 0, Standing(x, y), shape, *shape.extent())


def look(actors):
    """Bank, poses and visible objects from half a metre up, f = 100 px."""
    view = raster.View(SIZE, pinhole(SIZE, 100.0), invert(mount((0.0, 0.0, 0.5))))
    bank = PrimitiveBank.from_actors(actors)
    rows = np.array([a.motion.pose(0.0) for a in actors])
    poses = Poses(rows[:, :3], rows[:, 3], rows[:, 4])
    projected = raster.project(bank, poses, view)
    numbers = raster.fill(projected, SIZE, SCALE)
    return bank, poses, view, find_visible(projected, numbers, bank, view, SCALE)


def test_box_of_a_lone_object_is_its_outline_and_wholly_visible():
    *_, seen = look([slab(10.0, 0.0)])
    assert_allclose(seen.boxes_xyxy_px, [(150.0, 95.0, 170.0, 105.0)], atol=0.3)
    assert_allclose(seen.visibility, [1.0])


def test_object_half_hidden_shows_half_and_its_box_keeps_to_the_visible_half():
    # The pillar at 5 m spans 20 px about u = 150..170 shifted: y from 0 to 1 m is u 140..160.
    pillar = slab(5.0, 0.5, width=1.0, height=3.0, label=NO_CLASS)
    *_, seen = look([pillar, slab(10.0, 0.0)])
    assert_array_equal(seen.actors, [1])
    assert_allclose(seen.visibility, [0.5], atol=0.04)
    assert_allclose(seen.boxes_xyxy_px, [(160.0, 95.0, 170.0, 105.0)], atol=0.5)


def test_object_half_outside_the_picture_counts_half_visible():
    # The left edge u = 0 is y = 16 m at 10 m.
    *_, seen = look([slab(10.0, 16.0)])
    assert_allclose(seen.visibility, [0.5], atol=0.04)
    assert_allclose(seen.boxes_xyxy_px, [(0.0, 95.0, 10.0, 105.0)], atol=0.3)


def test_object_wholly_hidden_is_not_listed():
    wall = slab(5.0, 0.0, width=6.0, height=5.0, label=NO_CLASS)
    *_, seen = look([wall, slab(10.0, 0.0)])
    assert not len(seen.actors)


def test_scenery_is_not_listed():
    *_, seen = look([slab(10.0, 0.0, label=NO_CLASS)])
    assert seen.boxes_xyxy_px.shape == (0, 4)


def test_visibility_is_measured_alike_for_large_near_objects():
    # 40 cm ahead it is larger than the picture, whose middle it fills.
    *_, seen = look([slab(1.0, 0.0, width=8.0, height=4.0)])
    # outline 800 x 400 px about rows -250..150; the picture shows 320 x 150 of it
    assert_allclose(seen.visibility, [320 * 150 / (800 * 400)], rtol=0.05)


def test_detections_carry_class_stamp_and_size():
    bank, _, view, seen = look([slab(10.0, 0.0, label=PERSON)])
    found = detections(seen, bank, view, stamp_ns=7, frame_id='cam')
    assert CLASS_NAMES[found.labels[0]] == 'person'
    assert (found.stamp_ns, found.frame_id, found.image_size) == (7, 'cam', SIZE)


def test_boxes_3d_are_in_the_base_frame():
    bank, poses, _, seen = look([slab(10.0, 2.0, height=1.6)])
    T_world_base = from_xyz_rpy((4.0, 0.0, 0.0), (0.0, 0.0, np.pi / 2))
    box = boxes_3d(seen, bank, poses, T_world_base, stamp_ns=1, frame_id='base_link')
    # 6 m along world x and 2 m along y of a base turned left by 90 degrees: 2 m ahead, 6 m right
    assert_allclose(box.centres_m, [(2.0, -6.0, 0.8)], atol=1e-9)
    assert_allclose(box.sizes_m, [(0.002, 2.0, 1.6)], atol=1e-6)
    assert_allclose(box.yaws_rad, [-np.pi / 2])
    assert_array_equal(box.track_ids, seen.actors)
