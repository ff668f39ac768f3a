"""A queue of a GPU, on the CPU."""

from __future__ import annotations

import torch
from torch.utils._pytree import tree_leaves


class QueueHere:
    """Does what is queued when it is waited for, and not before, as a slow GPU would.

    Attributes:
        captures, waits: how many there were.
        broken: an error that the device has, raised where one would show: None for none.
    """

    captures = waits = 0
    broken = None

    def __init__(self, device):
        """Begin with nothing queued; `device` is not looked at."""
        self.work = []

    def zeros(self, shape, dtype):
        return torch.zeros(shape, dtype=dtype)

    pinned = zeros

    def capture(self, run):
        self.captures += 1
        if self.broken:
            raise self.broken
        found = run()
        fixed = [leaf for leaf in tree_leaves(found) if leaf is not None]

        def graph():
            again = [leaf for leaf in tree_leaves(run()) if leaf is not None]
            for target, source in zip(fixed, again, strict=True):
                target.copy_(source)

        return graph, found

    def copy(self, source, target):
        assert source.is_contiguous()
        assert target.is_contiguous()
        self.work.append(lambda: target.copy_(source))

    def replay(self, graph):
        self.work.append(graph)

    def wait(self):
        self.waits += 1
        work, self.work = self.work, []
        if self.broken:
            raise self.broken
        for step in work:
            step()
