"""Filters and synchronisers of ROS 2 messages, with the interface of the upstream package.

A machine with a ROS distribution uses the upstream package; this one stands in where there is
none. It differs under load: it calls nobody while it holds a lock, its time to pair a message
does not explode with the number of topics, and it recovers from time that jumps back.
"""

from message_filters.cache import Cache
from message_filters.simple_filter import SimpleFilter
from message_filters.subscriber import Subscriber
from message_filters.synchronizers import ApproximateTimeSynchronizer, TimeSynchronizer

__all__ = ['SimpleFilter', 'Subscriber', 'Cache', 'TimeSynchronizer',
           'ApproximateTimeSynchronizer']
