"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
import tempfile


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 text in one step, so that a reader never sees half of it.

    Raises:
        OSError: if the folder does not exist or cannot be written, or the disk is full; a file
            that was there before is unchanged then.
    """
    handle, partial = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    try:
        with os.fdopen(handle, 'w', encoding='utf-8') as file:
            file.write(text)
        Path(partial).chmod(0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
