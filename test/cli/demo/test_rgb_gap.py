"""When the demo cuts the colour camera off."""

from __future__ import annotations

from thermal_perception.cli.demo.rgb_gap import RgbGap


def test_camera_is_off_in_the_third_quarter_and_switched_once_each_way():
    switched = []
    gap = RgbGap(lambda *, drop: switched.append(drop), duration_s=20.0)
    notes = [gap.at(second) for second in (0.0, 9.9, 10.0, 12.0, 14.9, 15.0, 19.0)]
    assert switched == [True, False]
    off = 'colour camera cut off until 15 s'
    assert notes == ['', '', off, off, off, '', '']
