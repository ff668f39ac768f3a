"""Voxels and the cells they are seen in."""

from __future__ import annotations

import pytest
import torch

from thermal_perception.models.emiff.config import GridConfig
from thermal_perception.models.emiff.lifting import Lifting, View, voxel_centres, voxel_of

REFERENCE = GridConfig()
SQUARE = GridConfig(counts=(288, 248, 12))
ALONG_X = torch.tensor(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
K = torch.tensor([[1000.0, 0.0, 480.0], [0.0, 1000.0, 270.0], [0.0, 0.0, 1.0]])
IMAGE, MAP = (544, 960), (136, 240)


def lookup_of(*points, mask=True, view=None, **fields):
    """Look points up as if they were voxel centres."""
    lifting = Lifting(GridConfig(counts=(len(points), 1, 12)), mask_behind_camera=mask)
    lifting.centres = torch.tensor(points)
    view = view or View(K[None], ALONG_X[None], **fields)
    lookup = lifting.lookup(view, IMAGE, MAP)
    return lookup.cells, lookup.seen


def test_first_and_last_centre():
    centres = voxel_centres(REFERENCE)
    assert len(centres) == 248 * 288 * 12 == 857_088
    assert centres[0].tolist() == pytest.approx([0.18581, -39.54222, -2.92], abs=1e-5)
    assert centres[-1].tolist() == pytest.approx([91.97419, 39.54222, 0.60], abs=1e-5)
    assert voxel_centres(SQUARE)[0].tolist() == pytest.approx([0.16, -39.52, -2.92], abs=1e-5)


@pytest.mark.parametrize(
    ('grid', 'point', 'voxel'),
    [
        (REFERENCE, (10.0, 0.1, -1.0), (26, 144, 6)),
        (REFERENCE, (46.0, -20.1, 0.1), (123, 71, 9)),
        (SQUARE, (10.0, 0.1, -1.0), (31, 124, 6)),
        (SQUARE, (46.0, -20.1, 0.1), (143, 61, 9)),
    ],
)
def test_voxel_of_a_point(grid, point, voxel):
    assert voxel_of(torch.tensor([point], dtype=torch.float64), grid).tolist() == [list(voxel)]


def test_points_are_seen_where_they_are_projected():
    # (20, 2, -1) is at pixel (380, 320), (40, -3, -1.5) at (555, 307.5).
    cells, seen = lookup_of((20.0, 2.0, -1.0), (40.0, -3.0, -1.5))
    assert seen.tolist() == [[True, True]]
    assert cells.tolist() == [[79 * 240 + 95, 76 * 240 + 138]]


def test_a_point_behind_the_camera_is_not_seen():
    behind = (-20.0, 2.0, -1.0)
    cells, seen = lookup_of(behind)
    assert not seen.any()
    assert cells.tolist() == [[136 * 240]]
    # The published network mirrors it: (-20, 2, -1) is where (20, -2, 1) is.
    cells, seen = lookup_of(behind, mask=False)
    assert seen.all()
    assert cells.tolist() == lookup_of((20.0, -2.0, 1.0))[0].tolist()


def test_beside_the_image_nothing_is_seen():
    assert not lookup_of((20.0, 12.0, -1.0), (20.0, -12.0, -1.0), (20.0, 0.0, 9.0))[1].any()


def test_a_mirrored_scene_is_seen_in_the_mirrored_image():
    plain, _ = lookup_of((20.0, 2.0, -1.0))
    mirrored_K = K.clone()
    mirrored_K[0, 0], mirrored_K[0, 2] = -1000.0, 960.0 - 480.0
    view = View(mirrored_K[None], ALONG_X[None], torch.tensor([True]))
    mirrored, seen = lookup_of((20.0, -2.0, -1.0), view=view)
    # Pixel 380 becomes 580: column round(580 / 960 * 239) = 144 instead of 95.
    assert seen.all()
    assert (mirrored - plain).tolist() == [[144 - 95]]


def test_one_bright_cell_fills_the_voxels_seen_in_it():
    grid = GridConfig(counts=(24, 26, 12))
    lifting = Lifting(grid)
    view = View(K[None], ALONG_X[None])
    lookup = lifting.lookup(view, IMAGE, MAP)
    features = torch.zeros(1, 2, *MAP)
    cell = int(lookup.cells[0][lookup.seen[0]].mode().values)
    features[0, 1, cell // 240, cell % 240] = 3.0
    volume = lifting(features, lookup)
    expected = torch.zeros(2, 24 * 26 * 12)
    for index, point in enumerate(voxel_centres(grid).double().tolist()):
        x, y, z = point
        u, v = 480 - 1000 * y / x, 270 - 1000 * z / x
        if (round(v / 544 * 135), round(u / 960 * 239)) == (cell // 240, cell % 240):
            expected[1, index] = 3.0
    assert expected.any()
    assert torch.equal(volume[0].flatten(1), expected)


def test_padding_is_not_seen_where_the_content_is_known():
    # Pixels (480, 270) and (480, 541): the image ends at row 540, its padding at 544.
    points = ((20.0, 0.0, 0.0), (20.0, 0.0, -5.42))
    assert lookup_of(*points)[1].tolist() == [[True, True]]
    content = torch.tensor([[540.0, 960.0]])
    assert lookup_of(*points, content=content)[1].tolist() == [[True, False]]


def test_half_precision_around_it_changes_no_cell():
    view = View(K[None], ALONG_X[None])
    lifting = Lifting(GridConfig(counts=(24, 26, 12)))
    plain = lifting.lookup(view, IMAGE, MAP)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = lifting.lookup(view, IMAGE, MAP)
    assert torch.equal(plain.cells, mixed.cells)
