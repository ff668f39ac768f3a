"""Preprocess, model and postprocess as one call: FrameSet in, Perception out."""

from thermal_perception.perceive.info import ModelInfo
from thermal_perception.perceive.perceiver import Perceiver

__all__ = ['ModelInfo', 'Perceiver']
