import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.geometry import invert
from thermal_perception.simulation.actors import Actor, CAR, NO_CLASS
from thermal_perception.simulation.bank import PrimitiveBank
from thermal_perception.simulation.camera import mount, pinhole
from thermal_perception.simulation.motion import Standing
from thermal_perception.simulation.raster import _topological, fill, project, View
from thermal_perception.simulation.scene import Poses
from thermal_perception.simulation.shapes import ShapeBuilder, Surface

SIZE = (200, 320)


def box_actor(x, y, *, length=0.1, width=2.0, height=1.0, yaw=0.0, label=CAR, base=0.0):
    """A box that stands at (x, y); its near face is at x - length / 2."""
    builder = ShapeBuilder()
    low = (-length / 2, -width / 2, base)
    builder.box(low, (length / 2, width / 2, base + height), Surface(300.0))
    shape = builder.build()
    return Actor(label, 0, Standing(x, y, yaw), shape, *shape.extent())


def view(height_m=0.5, focal=100.0, pitch_deg=0.0):
    T = invert(mount((0.0, 0.0, height_m), pitch_deg=pitch_deg))
    return View(SIZE, pinhole(SIZE, focal), T)


def drawn(actors, seen_from=None, scale=1):
    """Owners per pixel, -1 where nothing is."""
    seen_from = seen_from or view()
    bank = PrimitiveBank.from_actors(actors)
    rows = np.array([a.motion.pose(0.0) for a in actors])
    poses = Poses(rows[:, :3], rows[:, 3], rows[:, 4])
    projected = project(bank, poses, seen_from)
    numbers = fill(projected, SIZE, scale)
    return np.r_[-1, projected.owners][numbers], projected


def test_box_covers_the_pixels_that_geometry_says():
    # Face 2 m x 1 m at 10 m and f = 100: 20 px x 10 px about the middle of the image.
    owners, _ = drawn([box_actor(10.05, 0.0)], scale=8)
    rows, columns = np.nonzero(owners == 0)
    assert_allclose([columns.min() / 8, (columns.max() + 1) / 8], [150.0, 170.0], atol=0.2)
    assert_allclose([rows.min() / 8, (rows.max() + 1) / 8], [95.0, 105.0], atol=0.2)


def test_the_nearer_of_two_hides_the_farther_in_either_order():
    near, far = box_actor(10.0, 0.0), box_actor(20.0, 0.0)
    for actors in ([near, far], [far, near]):
        owners, _ = drawn(actors)
        assert owners[100, 160] == actors.index(near)


def test_a_long_wall_does_not_hide_who_stands_before_its_far_end():
    # The wall's middle (10 m) is nearer than the person (18 m), who is on our side of it.
    wall = box_actor(10.0, 4.0, length=20.0, width=1.0, height=4.0, label=NO_CLASS)
    person = box_actor(18.0, 3.2, width=0.4, height=1.7)
    for actors in ([wall, person], [person, wall]):
        owners, _ = drawn(actors)
        assert (owners == actors.index(person)).sum() > 10


def test_a_long_wall_hides_who_stands_behind_its_near_end():
    wall = box_actor(10.0, 3.0, length=16.0, width=1.0, height=4.0, label=NO_CLASS)
    person = box_actor(7.0, 4.5, width=0.4, height=1.7)  # nearer than the wall's middle
    owners, _ = drawn([wall, person])
    assert not (owners == 1).any()


def test_a_crown_seen_from_above_hides_the_car_below_it():
    car = box_actor(0.0, 0.0, length=4.0, width=2.0, height=1.5)
    crown = box_actor(0.0, 0.0, length=8.0, width=8.0, base=3.0, height=5.0, label=NO_CLASS)
    owners, _ = drawn([crown, car], view(height_m=50.0, pitch_deg=90.0))
    assert not (owners == 1).any()
    assert (owners == 0).any()


def test_faces_turned_away_are_not_drawn():
    _, projected = drawn([box_actor(10.0, 0.0, height=2.0)])
    assert len(projected.owners) == 1  # the near face only: sides and top point elsewhere


def test_a_patch_that_passes_below_the_camera_is_cut_not_lost():
    builder = ShapeBuilder()
    builder.ground_patch([(-5, -1), (30, -1), (30, 1), (-5, 1)], Surface(0.0, opacity=0.0))
    shape = builder.build()
    actor = Actor(NO_CLASS, 0, Standing(0.0, 0.0), shape, *shape.extent())
    owners, projected = drawn([actor])
    assert projected.on_ground == 1
    assert owners[-1, 160] == 0  # 0.5 m ahead at the bottom of the image
    assert owners[90, 160] == -1  # above the horizon


def test_ground_patches_lie_below_everything_else():
    builder = ShapeBuilder()
    builder.ground_patch([(5, -3), (30, -3), (30, 3), (5, 3)], Surface(0.0, opacity=0.0))
    shape = builder.build()
    paint = Actor(NO_CLASS, 0, Standing(0.0, 0.0), shape, *shape.extent())
    owners, _ = drawn([paint, box_actor(20.0, 0.0)])
    assert owners[100, 160] == 1


@pytest.mark.parametrize(
    'place', [(-10.0, 0.0), (10.0, 30.0), (400.0, 0.0)], ids=['behind', 'beside', 'too far']
)
def test_what_is_out_of_sight_is_left_out(place):
    _, projected = drawn([box_actor(*place), box_actor(10.0, 0.0)])
    assert set(projected.owners) == {1}


def test_primitives_of_one_actor_are_neighbours_in_drawing_order():
    rng = np.random.default_rng(0)
    actors = [
        box_actor(x, y, length=3.0, height=2.0, yaw=yaw)
        for x, y, yaw in rng.uniform((5, -6, 0), (40, 6, 3), (25, 3))
    ]
    _, projected = drawn(actors, view(height_m=3.0))
    starts = np.flatnonzero(np.r_[True, np.diff(projected.owners) != 0])
    assert len(starts) == len(set(projected.owners))


def test_topological_keeps_the_given_order_where_it_may():
    nothing = np.zeros(0, np.int64)
    assert_array_equal(_topological(4, nothing, nothing), [0, 1, 2, 3])


def test_topological_puts_the_hidden_before_what_hides_it():
    order = _topological(4, np.array([3, 2]), np.array([0, 1])).tolist()
    assert order.index(3) < order.index(0)
    assert order.index(2) < order.index(1)


def test_topological_with_a_cycle_still_gives_everyone_once():
    order = _topological(3, np.array([0, 1, 2]), np.array([1, 2, 0]))
    assert sorted(order.tolist()) == [0, 1, 2]
