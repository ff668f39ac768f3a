"""Precision and recall of the shipped weights in simulated worlds, counted as the demo counts.

    python benchmarks/worlds.py road:night:20001 aerial:day:20000

Ten moments of each world, two seconds apart, without ROS and with every frame answered, so the
result is the same on every machine. Worlds are named PRESET:CONDITION:SEED.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import sys

from thermal_perception.evaluation.image_files import thermal_frame
from thermal_perception.evaluation.matching import count_matches, MatchCount, MatchingRules
from thermal_perception.perceive import Perceiver
from thermal_perception.resources import shipped_weights
from thermal_perception.simulation import default_rig, render, Scene
from thermal_perception.types import FrameSet

MOMENTS_S = [0.5 + 2.0 * number for number in range(10)]


def count(perceiver: Perceiver, world: str) -> MatchCount:
    """Return how the boxes at the default threshold met the objects of a world."""
    preset, condition, seed = world.split(':')
    scene, camera = Scene(preset, condition, int(seed)), default_rig(preset).thermal
    total = MatchCount()
    for time_s in MOMENTS_S:
        picture = render(scene, time_s, camera)
        truth = replace(picture.truth.detections, scores=picture.truth.visibility)
        found = perceiver(FrameSet(thermal=thermal_frame(picture.image))).detections
        threshold = perceiver.info.default_score_threshold
        total += count_matches(found.above(threshold), truth, MatchingRules())
    return total


def main() -> int:
    """Print a line per world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('worlds', nargs='+', metavar='PRESET:CONDITION:SEED')
    worlds = parser.parse_args().worlds
    perceiver = Perceiver.load(shipped_weights('fusion_detr_lite'))
    print('world                      precision  recall  objects')
    for world in worlds:
        met = count(perceiver, world)
        precision, recall = met.precision or 0.0, met.recall or 0.0
        print(f'{world:26} {precision:9.2f} {recall:7.2f} {met.found + met.missed:8}', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
