"""A volume becomes a map seen from above."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from thermal_perception.models.emiff.neck import FlatNeck, VoxelNeck


def test_both_necks_turn_a_volume_into_rows_of_y_and_columns_of_x():
    volume = torch.randn(2, 8, 5, 7, 12)  # nx 5, ny 7
    assert VoxelNeck((8, 8, 16))(volume).shape == (2, 16, 7, 5)
    assert FlatNeck(8, 12, (16, 16, 24))(volume).shape == (2, 24, 7, 5)


def test_the_flat_neck_sees_a_column_as_a_whole_and_keeps_its_place():
    neck = FlatNeck(2, 12, (4, 4, 4)).eval()
    empty = torch.zeros(1, 2, 31, 29, 12)
    object_at = empty.clone()
    object_at[0, 1, 20, 8, 3] = 1.0
    changed = (neck(object_at) - neck(empty)).abs().sum(1)[0]  # [ny, nx]
    rows, columns = changed.nonzero().unbind(1)
    assert len(rows)
    assert (rows.min(), rows.max()) == (max(8 - 9, 0), 8 + 9)  # nine 3x3 convolutions
    assert (columns.min(), columns.max()) == (20 - 9, min(20 + 9, 30))


def test_the_first_convolution_takes_heights_and_then_channels():
    neck = FlatNeck(3, 2, (4, 4, 4)).eval()
    volume = torch.randn(1, 3, 6, 5, 2)
    columns = torch.stack(
        [volume[:, channel, :, :, height] for height in range(2) for channel in range(3)], 1
    )
    x = columns
    for joint, block in zip(neck.joints, neck.blocks):
        x = block(joint(x))
    assert_close(neck(volume), x.transpose(2, 3))
    assert_close(neck(volume.contiguous(memory_format=torch.channels_last_3d)), x.transpose(2, 3))
