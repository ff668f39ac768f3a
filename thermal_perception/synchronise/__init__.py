"""Frames to sets of matching stamps: pure logic on `stamp_ns`, no ROS, no pixels."""

from thermal_perception.synchronise.guard import FreezeDetector, StampGuard, StampVerdict
from thermal_perception.synchronise.newest import NewestSlot, SlotCounts

__all__ = ['FreezeDetector', 'NewestSlot', 'SlotCounts', 'StampGuard', 'StampVerdict']
