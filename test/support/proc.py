"""What the system says of other processes."""

from __future__ import annotations


def alive(pid):
    """Tell whether a process runs; one that ended and waits for its parent's notice does not."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False
