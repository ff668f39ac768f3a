"""People and bicycles: jointed figures of capsules that walk and pedal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.simulation.conditions import HEAT
from thermal_perception.simulation.radiometry import CELSIUS
from thermal_perception.simulation.shapes import ShapeBuilder, Surface

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.shapes import Shape

STRIDE_M = 1.45  # two steps of a grown person
CRANK_RATIO = 2.6  # metres of road per radian of pedalling, about a middle gear

# One row per limb of a standing person of 1.75 m: joint, joint, radius at each, metres.
# Joints are numbered as in `_walking_joints`.
HEAD, CROWN, NECK, CHEST, BELLY, PELVIS = range(6)
SHOULDERS, ELBOWS, HANDS, HIPS, KNEES, ANKLES, TOES = ((6 + 2 * i, 7 + 2 * i) for i in range(7))
JOINTS = 20

LIMBS: tuple[tuple[int, int, float, float, str], ...] = (
    (NECK, HEAD, 0.055, 0.055, 'skin'),
    (BELLY, CHEST, 0.135, 0.150, 'shirt'),
    (CHEST, NECK, 0.140, 0.060, 'shirt'),
    (SHOULDERS[0], SHOULDERS[1], 0.075, 0.075, 'shirt'),
    (PELVIS, BELLY, 0.145, 0.130, 'trousers'),
    (HIPS[0], HIPS[1], 0.085, 0.085, 'trousers'),
    *((SHOULDERS[s], ELBOWS[s], 0.055, 0.045, 'sleeve') for s in (0, 1)),
    *((ELBOWS[s], HANDS[s], 0.043, 0.033, 'forearm') for s in (0, 1)),
    *((HANDS[s], HANDS[s], 0.046, 0.046, 'skin') for s in (0, 1)),
    *((HIPS[s], KNEES[s], 0.088, 0.060, 'trousers') for s in (0, 1)),
    *((KNEES[s], ANKLES[s], 0.058, 0.042, 'shin') for s in (0, 1)),
    *((ANKLES[s], TOES[s], 0.045, 0.035, 'shoe') for s in (0, 1)),
    (HEAD, HEAD, 0.100, 0.100, 'skin'),
    (CROWN, CROWN, 0.098, 0.098, 'hair'),
)
LIMB_JOINTS = np.array([limb[:2] for limb in LIMBS])
LIMB_RADII = np.array([limb[2:4] for limb in LIMBS], np.float32)

SHIRTS_BGR = ((0.6, 0.6, 0.62), (0.1, 0.1, 0.5), (0.45, 0.2, 0.1), (0.08, 0.08, 0.08))
TROUSERS_BGR = ((0.08, 0.08, 0.08), (0.30, 0.18, 0.10), (0.25, 0.3, 0.35))
SKIN_BGR = ((0.45, 0.55, 0.75), (0.25, 0.33, 0.50), (0.15, 0.20, 0.30))


def person_surfaces(rng: Generator, climate: Climate) -> NDArray[np.float32]:
    """(limbs, 9) surfaces of one person: bare skin, thinner and thicker clothes."""
    parts = _wardrobe(rng, climate)
    return np.array([parts[limb[4]] for limb in LIMBS], np.float32)


def _wardrobe(rng: Generator, climate: Climate) -> dict[str, Surface]:
    skin = rng.uniform(*HEAT.skin_c) + CELSIUS
    skin -= HEAT.skin_follows_air * max(0.0, 305.0 - climate.air)
    warm = max(skin - climate.air, 2.0)

    def cloth(share: float, bgr: tuple[float, float, float], texture: float) -> Surface:
        return Surface(climate.air + share * warm, 0.95, texture).coloured(bgr)

    shirt, trousers = rng.uniform(*HEAT.clothing_share, size=2)
    shirt_bgr = SHIRTS_BGR[rng.integers(len(SHIRTS_BGR))]
    trousers_bgr = TROUSERS_BGR[rng.integers(len(TROUSERS_BGR))]
    bare = Surface(skin, 0.98, 0.2).coloured(SKIN_BGR[rng.integers(len(SKIN_BGR))])
    short_sleeves = climate.air > 295.0 and rng.random() < 0.6
    shorts = climate.air > 297.0 and rng.random() < 0.4
    legs = cloth(trousers, trousers_bgr, 0.5)
    torso = cloth(shirt, shirt_bgr, 0.6)
    return {
        'skin': bare,
        'hair': cloth(rng.uniform(*HEAT.hair_share), (0.06, 0.07, 0.09), 0.3),
        'shirt': torso,
        'sleeve': torso.warmer(-0.08 * warm),
        'forearm': bare.warmer(-0.06 * warm) if short_sleeves else torso.warmer(-0.1 * warm),
        'trousers': legs,
        'shin': bare.warmer(-0.1 * warm) if shorts else legs.warmer(-0.06 * warm),
        'shoe': cloth(0.15, (0.06, 0.06, 0.06), 0.2),
    }


def walking_capsules(
    phase: NDArray[np.float64], stride: NDArray[np.float64], height: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pose people for one moment of their gait.

    Args:
        phase: (N,) radians, one turn per two steps.
        stride: (N,) how far the legs swing, 1 = a brisk walk, 0 = standing.
        height: (N,) metres.

    Returns:
        (N, limbs, 2, 3) capsule ends in each person's frame, and (N, limbs, 2) radii; metres.
    """
    scale = height / 1.75
    joints = _walking_joints(phase, stride) * scale[:, None, None]
    radii = LIMB_RADII[None] * scale[:, None, None].astype(np.float32)
    return joints[:, LIMB_JOINTS].astype(np.float32), radii


def _walking_joints(
    phase: NDArray[np.float64], stride: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N, 20, 3) joints of people of 1.75 m."""
    joints = np.zeros((len(phase), JOINTS, 3))
    bob = 0.02 * stride * np.cos(2 * phase)
    spine = {HEAD: (0.03, 1.63), CROWN: (0.0, 1.665), NECK: (0.0, 1.47)}
    spine |= {CHEST: (0.0, 1.30), BELLY: (0.0, 1.08), PELVIS: (0.0, 0.95)}
    for joint, (x, z) in spine.items():
        joints[:, joint, 0] = x + 0.03 * stride * (z - 0.95)
        joints[:, joint, 2] = z + bob
    for index, side in enumerate((1.0, -1.0)):
        swing = phase + (0.0 if side > 0 else np.pi)
        _place_leg(joints, index, side, swing, stride, bob)
        _place_arm(joints, index, side, swing, stride, bob)
    return joints


def _place_leg(
    joints: NDArray[np.float64],
    index: int,
    side: float,
    swing: NDArray[np.float64],
    stride: NDArray[np.float64],
    bob: NDArray[np.float64],
) -> None:
    thigh = 0.45 * stride * np.sin(swing)
    bend = stride * (0.12 + 0.75 * np.clip(np.cos(swing + 0.4), 0.0, None))
    shin = thigh - bend
    hip = np.stack([np.zeros_like(bob), np.full_like(bob, 0.095 * side), 0.92 + bob], 1)
    knee = hip + 0.43 * _down(thigh)
    ankle = knee + 0.42 * _down(shin)
    joints[:, HIPS[index]], joints[:, KNEES[index]] = hip, knee
    joints[:, ANKLES[index]] = ankle
    toe = np.stack([np.cos(shin), np.zeros_like(bob), np.sin(shin) - 0.2], 1)
    joints[:, TOES[index]] = ankle + 0.16 * toe


def _place_arm(
    joints: NDArray[np.float64],
    index: int,
    side: float,
    swing: NDArray[np.float64],
    stride: NDArray[np.float64],
    bob: NDArray[np.float64],
) -> None:
    angle = -0.42 * stride * np.sin(swing)
    shoulder = np.stack([np.zeros_like(bob), np.full_like(bob, 0.17 * side), 1.40 + bob], 1)
    elbow = shoulder + 0.29 * _down(angle) + np.array([0.0, 0.05 * side, 0.0])
    hand = elbow + 0.25 * _down(angle + 0.25 + 0.35 * stride)
    joints[:, SHOULDERS[index]], joints[:, ELBOWS[index]] = shoulder, elbow
    joints[:, HANDS[index]] = hand


def _down(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors that hang down, swung ahead by `angle` radians."""
    return np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], 1)


def riding_capsules(
    phase: NDArray[np.float64], height: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pose riders of bicycles; as `walking_capsules`, with the pedals' angle as phase."""
    scale = height / 1.75
    joints = np.zeros((len(phase), JOINTS, 3))
    spine = {HEAD: (0.30, 1.63), CROWN: (0.275, 1.67), NECK: (0.22, 1.49)}
    spine |= {CHEST: (0.13, 1.36), BELLY: (-0.06, 1.13), PELVIS: (-0.16, 1.0)}
    for joint, (x, z) in spine.items():
        joints[:, joint, 0], joints[:, joint, 2] = x, z
    for index, side in enumerate((1.0, -1.0)):
        joints[:, SHOULDERS[index]] = (0.19, 0.17 * side, 1.43)
        joints[:, ELBOWS[index]] = (0.34, 0.24 * side, 1.20)
        joints[:, HANDS[index]] = (0.46, 0.24 * side, 1.04)
        _place_pedalling_leg(joints, index, side, phase)
    radii = LIMB_RADII[None] * scale[:, None, None].astype(np.float32)
    return joints[:, LIMB_JOINTS].astype(np.float32), radii


def _place_pedalling_leg(
    joints: NDArray[np.float64], index: int, side: float, phase: NDArray[np.float64]
) -> None:
    """Hip and pedal are given; the knee lies where thigh (0.43) and shin (0.44) meet."""
    turn = phase + (0.0 if side > 0 else np.pi)
    hip = np.array([-0.14, 0.09 * side, 0.98])
    pedal_x, pedal_z = 0.02 + 0.17 * np.cos(turn), 0.36 - 0.17 * np.sin(turn)
    dx, dz = pedal_x - hip[0], pedal_z - hip[2]
    reach = np.minimum(np.hypot(dx, dz), 0.86)
    aim = np.arctan2(dz, dx)
    lift = np.arccos(np.clip((0.43**2 + reach**2 - 0.44**2) / (2 * 0.43 * reach), -1.0, 1.0))
    y = np.full_like(phase, 0.10 * side)
    joints[:, HIPS[index]] = hip
    knee_x, knee_z = hip[0] + 0.43 * np.cos(aim + lift), hip[2] + 0.43 * np.sin(aim + lift)
    joints[:, KNEES[index]] = np.stack([knee_x, y, knee_z], 1)
    joints[:, ANKLES[index]] = np.stack([pedal_x, y, pedal_z], 1)
    joints[:, TOES[index]] = np.stack([pedal_x + 0.14, y, pedal_z - 0.03], 1)


def bicycle(rng: Generator, climate: Climate, *, motor: bool, running: bool) -> Shape:
    """A bicycle, or with `motor` a scooter, standing along x on the ground."""
    base = climate.metal + 0.6 + rng.normal(0.0, 0.5)
    frame = Surface(base, 0.85, 0.1).coloured(rng.uniform(0.05, 0.5, 3))
    tyre = Surface(base + (3.0 if running else 0.4), 0.95, 0.1, 1.0, 0.05, 0.05, 0.05)
    builder = ShapeBuilder()
    for x in (-0.53, 0.53):
        _add_wheel(builder, x, 0.26 if motor else 0.34, 0.055 if motor else 0.02, tyre)
    if motor:
        heat = rng.uniform(*HEAT.motor_k) if running else rng.uniform(0.0, 3.0)
        _add_scooter(builder, frame, heat)
    else:
        _add_frame(builder, frame)
    return builder.build()


def _add_wheel(
    builder: ShapeBuilder, x: float, radius: float, thickness: float, tyre: Surface
) -> None:
    angles = np.linspace(0.0, 2 * np.pi, 15)
    rim = [(x + radius * np.cos(a), 0.0, radius * (1 + np.sin(a))) for a in angles]
    for start, end in itertools.pairwise(rim):
        builder.capsule(start, end, thickness, tyre)


def _add_frame(builder: ShapeBuilder, frame: Surface) -> None:
    crank, saddle, head = (-0.05, 0.0, 0.33), (-0.2, 0.0, 0.88), (0.36, 0.0, 0.85)
    rear, front = (-0.53, 0.0, 0.34), (0.53, 0.0, 0.34)
    tubes = ((crank, saddle), (crank, head), (saddle, head), (rear, crank), (rear, saddle))
    for start, end in (*tubes, (head, front)):
        builder.capsule(start, end, 0.022, frame)
    builder.capsule((0.42, -0.27, 1.03), (0.42, 0.27, 1.03), 0.022, frame)
    builder.capsule((0.36, 0.0, 0.85), (0.42, 0.0, 1.03), 0.02, frame)
    builder.capsule((-0.3, 0.0, 0.95), (-0.1, 0.0, 0.95), 0.06, frame)


def _add_scooter(builder: ShapeBuilder, frame: Surface, heat: float) -> None:
    builder.capsule((-0.50, 0.0, 0.50), (-0.20, 0.0, 0.55), 0.16, frame.warmer(heat))
    builder.capsule((-0.55, 0.0, 0.80), (-0.05, 0.0, 0.78), 0.13, frame)
    builder.capsule((-0.25, 0.0, 0.32), (0.30, 0.0, 0.32), 0.12, frame.warmer(0.3 * heat))
    builder.capsule((0.32, 0.0, 0.35), (0.42, 0.0, 0.95), 0.13, frame)
    builder.capsule((0.40, -0.30, 1.05), (0.40, 0.30, 1.05), 0.03, frame)
    builder.capsule((0.45, 0.0, 0.45), (0.53, 0.0, 0.26), 0.06, frame)
