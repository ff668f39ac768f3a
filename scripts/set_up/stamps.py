"""Remembers which steps of the set-up are done, so that a second run takes no time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Iterable


def digest(*texts: str, files: Iterable[Path] = ()) -> str:
    """Return a hash of texts and of the names and bytes of files, folders with all they hold."""
    result = hashlib.sha256()
    for text in texts:
        result.update(text.encode() + b'\0')
    for path in files:
        for file in sorted(path.rglob('*')) if path.is_dir() else [path]:
            if file.is_file() and '__pycache__' not in file.parts:
                result.update(file.name.encode() + b'\0' + file.read_bytes() + b'\0')
    return result.hexdigest()


class Stamps:
    """The keys of finished steps, kept in one JSON file inside the virtual environment."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, step: str) -> str:
        """Return the key under which `step` was last finished, or an empty text."""
        return self._read().get(step, '')

    def set(self, step: str, key: str) -> None:
        """Record that `step` is finished; the file is replaced whole, so a kill leaves the old."""
        scratch = self._file.with_suffix('.new')
        text = json.dumps({**self._read(), step: key}, indent=1)
        scratch.write_text(text + '\n', encoding='utf-8')
        scratch.replace(self._file)

    def _read(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._file.read_text(encoding='utf-8')))
        except (OSError, ValueError):
            return {}
