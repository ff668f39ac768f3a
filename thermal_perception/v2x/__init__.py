"""Features of roadside cameras on their way: the message, its checks, who is believed."""

from thermal_perception.v2x.budget import finest_that_fits, Fitted, RateLimit
from thermal_perception.v2x.ego_track import EgoTrack
from thermal_perception.v2x.message import Codec, EncodedMessage, FeatureKind, Limits, pack, unpack
from thermal_perception.v2x.receiver import Chosen, Receiver, ReceiverConfig
from thermal_perception.v2x.signature import read_private_key, TrustedKeys

__all__ = [
    'Chosen',
    'Codec',
    'EgoTrack',
    'EncodedMessage',
    'FeatureKind',
    'Fitted',
    'Limits',
    'RateLimit',
    'Receiver',
    'ReceiverConfig',
    'TrustedKeys',
    'finest_that_fits',
    'pack',
    'read_private_key',
    'unpack',
]
