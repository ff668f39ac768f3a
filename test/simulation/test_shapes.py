import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from thermal_perception.simulation.shapes import GROUND_RANK, inset, ShapeBuilder, Surface

STONE = Surface(280.0)


def normals(shape):
    a, b, c = shape.polygons[:, 0], shape.polygons[:, 1], shape.polygons[:, 2]
    return np.cross(b - a, c - a)


def test_box_has_four_sides_and_a_top_that_face_outwards():
    builder = ShapeBuilder()
    builder.box((-1, -1, 0), (1, 1, 2), STONE)
    shape = builder.build()
    assert len(shape.polygons) == 5
    from_middle = shape.polygons[:, :4].mean(1) - (0, 0, 1)
    assert (np.einsum('pi,pi->p', normals(shape), from_middle) > 0).all()
    assert not shape.two_sided.any()


def test_polygon_without_outward_shows_from_both_sides():
    builder = ShapeBuilder()
    builder.polygon([(0, 0, 0), (1, 0, 0), (0, 0, 1)], STONE)
    shape = builder.build()
    assert shape.two_sided.all()
    assert_array_equal(shape.polygons[0, 3:], np.tile((0, 0, 1), (5, 1)))


def test_ground_patch_lies_on_the_ground_below_all_ranks():
    builder = ShapeBuilder()
    builder.ground_patch([(0, 0), (1, 0), (1, 1)], STONE)
    shape = builder.build()
    assert_array_equal(shape.polygon_ranks, [GROUND_RANK])
    assert_array_equal(shape.polygons[..., 2], np.zeros((1, 8)))


def test_extent_leaves_out_ground_patches_and_counts_radii():
    builder = ShapeBuilder()
    builder.ground_patch([(-9, -9), (9, -9), (9, 9)], STONE)
    builder.capsule((0, 0, 1), (0, 0, 2), 0.5, STONE)
    low, high = builder.build().extent()
    assert_allclose(low, (-0.5, -0.5, 0.5))
    assert_allclose(high, (0.5, 0.5, 2.5))


def test_extent_of_paint_alone_is_that_of_the_paint():
    builder = ShapeBuilder()
    builder.ground_patch([(0, 0), (2, 0), (2, 1)], STONE)
    low, high = builder.build().extent()
    assert_allclose([low, high], [(0, 0, 0), (2, 1, 0)])


def test_empty_builder_gives_empty_arrays_of_the_right_width():
    shape = ShapeBuilder().build()
    assert shape.polygons.shape == (0, 8, 3)
    assert shape.capsule_surfaces.shape == (0, len(Surface._fields))


def test_inset_halves_a_square_about_its_middle():
    square = [(0, 0, 0), (4, 0, 0), (4, 4, 0), (0, 4, 0)]
    assert_allclose(inset(square, 0.5), [(1, 1, 0), (3, 1, 0), (3, 3, 0), (1, 3, 0)])
