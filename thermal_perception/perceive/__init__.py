"""Preprocess, model and postprocess as one call: FrameSet in, Perception out."""

from thermal_perception.perceive.info import default_checkpoint, DEFAULT_MODEL, ModelInfo
from thermal_perception.perceive.perceiver import Perceiver

__all__ = ['DEFAULT_MODEL', 'ModelInfo', 'Perceiver', 'default_checkpoint']
