"""How training samples are varied, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.errors import ConfigError


@dataclass(frozen=True)
class AugmentConfig:
    """How training samples are varied.

    Attributes:
        crop_size: (height, width) of every training sample, pixels; None takes whole images,
            resized.
        short_sides: whole images: the shorter side is drawn from these.
        max_long_side: whole images: the longer side stays within this.
        crop_aug: whole images: probability of DETR's crop, a window of 384 to 600 pixels of the
            image resized to a short side of 400 to 600.
        zoom: range of the magnification, drawn log-uniformly.
        focus: probability that the crop looks at an object, rare classes more often.
        horizontal_flip: probability.
        vertical_flip: probability; only sensible when looking down.
        turn: probability of a rotation about the middle; boxes become upright hulls, wider ones.
        turn_deg: largest angle.
        bend: probability of a bend that both images, boxes and label images share: a grid of
            `bend_steps`, or a perspective.
        bend_steps: rows and columns of the grid.
        bend_grid: largest relative change of the width of one.
        bend_perspective: how far inside the corners are that the perspective brings to those of
            the sample, share of its sides at most.
        min_visible: share of a box that must remain in the crop; what shows less is wiped out.
        gain: range of a factor on intensities in 0..1: the drift of automatic gain.
        offset: range of an added constant.
        gamma: range of the exponent.
        noise: largest standard deviation of added white noise, the detector's NETD.
        blur: probability of a defocus.
        blur_px: range of its standard deviation.
        fixed_pattern: largest standard deviation of column, row and pixel offsets that a detector
            keeps from frame to frame.
        shading: largest amplitude of the slow shading that grows until the next flat-field
            correction, which takes it away in one step.
        polarity: probability that hot is dark.
        deep: probability that an 8-bit frame is turned into 16-bit counts first.
        mosaic: probability that a crop is put together of four.
        paste: probability that an object of a rare class is pasted in from another image.
        cutout: with label images: probability of rectangles that neither camera sees, black and
            unknown.
        cutout_holes: how many, fewest and most.
        cutout_px: shortest and longest side.
        drop_thermal: two cameras: probability that the thermal image is missing.
        drop_rgb: two cameras: probability that the colour image is missing; never both.
        rgb_gain: range of the factor on the colour image, drawn log-uniformly: its exposure.
        rgb_gamma: range of its exponent.
        rgb_balance: largest relative change of a colour channel against the others.
        rgb_noise: largest standard deviation of white noise added to it.
        rgb_spoil: probability that the colour image is spoilt in one of three ways: white noise,
            a motion of 3 pixels, or the median of 3 x 3.
        rgb_spoil_noise: range of the standard deviation of that noise.
        rgb_jitter: probability that its light changes by the four that follow.
        rgb_brightness: largest relative change.
        rgb_contrast: largest relative change about the mean grey.
        rgb_saturation: largest relative change.
        rgb_hue: largest turn of the circle of hues, 0.5 is to the opposite.
        rgb_levels: probability that it is brightened or, mostly, darkened.
        rgb_levels_of: one of these rows is chosen: least and most that is added, after least and
            most relative change of all values.
        rgb_clahe: probability that its lightness is equalised tile by tile.
        misregister_px: two cameras: largest shift of the colour image against the thermal one.
        misregister_deg: two cameras: largest rotation, degrees.
        misregister_zoom: two cameras: largest relative change of size.
    """

    crop_size: tuple[int, int] | None = (320, 384)
    short_sides: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    max_long_side: int = 1333
    crop_aug: float = 0.0
    zoom: tuple[float, float] = (0.75, 1.4)
    focus: float = 0.8
    horizontal_flip: float = 0.5
    vertical_flip: float = 0.0
    turn: float = 0.0
    turn_deg: float = 15.0
    bend: float = 0.0
    bend_steps: int = 5
    bend_grid: float = 0.3
    bend_perspective: float = 0.1
    min_visible: float = 0.3
    gain: tuple[float, float] = (0.8, 1.2)
    offset: tuple[float, float] = (-0.1, 0.1)
    gamma: tuple[float, float] = (0.8, 1.25)
    noise: float = 0.015
    blur: float = 0.1
    blur_px: tuple[float, float] = (0.4, 1.0)
    fixed_pattern: float = 0.0
    shading: float = 0.0
    polarity: float = 0.0
    deep: float = 0.35
    mosaic: float = 0.0
    paste: float = 0.0
    cutout: float = 0.0
    cutout_holes: tuple[int, int] = (1, 8)
    cutout_px: tuple[int, int] = (16, 64)
    drop_thermal: float = 0.0
    drop_rgb: float = 0.0
    rgb_gain: tuple[float, float] = (0.8, 1.25)
    rgb_gamma: tuple[float, float] = (0.8, 1.25)
    rgb_balance: float = 0.05
    rgb_noise: float = 0.015
    rgb_spoil: float = 0.0
    rgb_spoil_noise: tuple[float, float] = (0.0124, 0.0351)
    rgb_jitter: float = 0.0
    rgb_brightness: float = 0.4
    rgb_contrast: float = 0.4
    rgb_saturation: float = 0.3
    rgb_hue: float = 0.15
    rgb_levels: float = 0.0
    rgb_levels_of: tuple[tuple[float, float, float, float], ...] = (
        (-0.7, 0.0, -0.4, 0.2),
        (-0.5, 0.1, -0.2, 0.3),
        (-0.3, 0.05, -0.2, 0.2),
    )
    rgb_clahe: float = 0.0
    misregister_px: float = 0.0
    misregister_deg: float = 0.0
    misregister_zoom: float = 0.0

    def __post_init__(self) -> None:
        """Refuse bends that would fold a sample."""
        if self.bend_steps < 1:
            raise ConfigError(f'bend_steps: found {self.bend_steps}, expected at least 1')
        for name, limit in (('bend_grid', 1.0), ('bend_perspective', 0.5)):
            if not 0 <= getattr(self, name) < limit:
                raise ConfigError(
                    f'{name}: found {getattr(self, name)}, expected 0 or more, below {limit}'
                )
