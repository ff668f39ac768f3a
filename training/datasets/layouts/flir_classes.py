"""The classes of FLIR ADAS, eight of them merged to three."""

from __future__ import annotations

THREE_CLASSES = {
    'person': 'person',
    'bike': 'bike',
    'bicycle': 'bike',
    'motor': 'bike',
    'motorcycle': 'bike',
    'car': 'vehicle',
    'bus': 'vehicle',
    'truck': 'vehicle',
    'train': 'vehicle',
    'other_vehicle': 'vehicle',
    # Neither a person nor something that carries one: background.
    'dog': '',
    'deer': '',
    'light': '',
    'traffic_light': '',
    'sign': '',
    'stop_sign': '',
    'street_sign': '',
    'hydrant': '',
    'fire_hydrant': '',
    'skateboard': '',
    'stroller': '',
    'scooter': '',
}
"""Person, bike, motor, car, bus, truck, train, other vehicle to person, bike, vehicle.

Fusion DETR's source merges eight classes to these three without saying which: this is our reading.
`class_map` of a configuration overrides it entry by entry.
"""
