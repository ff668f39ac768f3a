"""The networks of a process with several cameras: cameras that ask for the same one share it."""

from __future__ import annotations

import threading
from typing import Any, TYPE_CHECKING
from weakref import WeakValueDictionary

from thermal_perception.nodes.perception.perceivers import weights_path
from thermal_perception.nodes.perception.shared_perceiver import NetworkThread, SharedPerceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from thermal_perception.nodes.parameters.perception import ModelParameters

NETWORK_PARAMETERS = (
    'model',
    'checkpoint',
    'device',
    'backend',
    'precision',
    'artefact',
    'fallback_to_cpu',
    'num_threads',
    'warm_up_size',
    'max_detections',
    'min_area_px',  # of nodes that label pixels
)
"""Cameras share a network if these are equal, and the weights file is the same."""

_STOP_TIMEOUT_S = 10.0


class SharedNetworks:
    """Loads networks for the nodes of one process; a node takes it for its function `load`.

    A network lives as long as a node uses it.
    """

    def __init__(self, cameras: int, load: Callable[[Any], Any]) -> None:
        """Prepare to share among so many nodes; `load` makes a `BatchPerceiver`."""
        self._cameras, self._load = cameras, load
        self._lock = threading.Lock()
        self._thread = NetworkThread()
        self._thread.start()
        self._networks: WeakValueDictionary[Hashable, SharedPerceiver] = WeakValueDictionary()

    def __call__(self, parameters: ModelParameters) -> SharedPerceiver:
        """Return the network that the parameters name; raises what `load` raises.

        One that has lost its device since is not shared any more.
        """
        with self._lock:
            key = _identity(parameters)
            network = self._networks.get(key)
            if network is None or network.spoilt:
                network = SharedPerceiver(self._load(parameters), self._thread, self._cameras)
                self._networks[key] = network
            return network

    def close(self) -> bool:
        """End the thread of the networks; returns False if one does not answer."""
        return self._thread.close(_STOP_TIMEOUT_S)


def _identity(parameters: ModelParameters) -> Hashable:
    """Return what a network is, the file of its weights as it lies there now."""
    path = weights_path(parameters)
    try:
        found = path.stat()
    except OSError:  # which loading it will tell
        file = None
    else:
        file = (found.st_ino, found.st_size, found.st_mtime_ns)
    return path, file, *(getattr(parameters, name, None) for name in NETWORK_PARAMETERS)
