"""Frames to sets of matching stamps: pure logic on `stamp_ns`, no ROS, no pixels."""

from thermal_perception.synchronise.guard import FreezeDetector, StampGuard, StampVerdict
from thermal_perception.synchronise.newest import NewestSlot, SlotCounts
from thermal_perception.synchronise.offset import OffsetEstimate, OffsetEstimator
from thermal_perception.synchronise.pairing import Fate, Pair, Pairing, PairingConfig

__all__ = [
    'Fate',
    'FreezeDetector',
    'NewestSlot',
    'OffsetEstimate',
    'OffsetEstimator',
    'Pair',
    'Pairing',
    'PairingConfig',
    'SlotCounts',
    'StampGuard',
    'StampVerdict',
]
