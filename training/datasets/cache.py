"""Decoded images in one flat memory-mapped file, whatever their sizes.

A file is named after its content (paths, sizes, times of change, ways to read), so a changed image
gives another file. It holds the pixels one after the other, then an index in JSON. Of several
processes one decodes while the others wait; a file appears under its name only when it is whole.
"""

from __future__ import annotations

from contextlib import contextmanager
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from training.datasets.pictures import check_complete

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from training.datasets.pictures import Picture

_VERSION = 1
_MAGIC = b'TPCACHE1'
_ALIGN = 64


class DecodedImages:
    """Images by position, and why some could not be read."""

    def __init__(
        self, images: Sequence[NDArray[Any] | None], failed: dict[int, str] | None = None
    ) -> None:
        """Keep the images; those that `failed` names are None."""
        self._images, self.failed = list(images), failed or {}

    def __len__(self) -> int:
        """Return the number of images, failed ones included."""
        return len(self._images)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Return an image, read-only if it lies in a file."""
        image = self._images[index]
        if image is None:
            raise DatasetError(self.failed[index])
        return image

    def select(self, indices: Sequence[int]) -> DecodedImages:
        """Return some of the images, renumbered."""
        failed = {n: self.failed[i] for n, i in enumerate(indices) if i in self.failed}
        return DecodedImages([self._images[i] for i in indices], failed)


class LazyImages:
    """Images by position, decoded each time; the same interface as `DecodedImages`.

    Missing and cut-off files are found at once, other damage when an image is decoded.
    """

    def __init__(self, pictures: Sequence[Picture], failed: dict[int, str]) -> None:
        """Keep how to read each image, and why some cannot be."""
        self._pictures, self.failed = list(pictures), failed

    @classmethod
    def check(cls, pictures: Sequence[Picture]) -> LazyImages:
        """Look for missing and cut-off files."""
        return cls(pictures, {n: why for n, p in enumerate(pictures) if (why := _incomplete(p))})

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Decode an image."""
        return self._pictures[index].read()

    def select(self, indices: Sequence[int]) -> LazyImages:
        """Return some of the images, renumbered."""
        failed = {n: self.failed[i] for n, i in enumerate(indices) if i in self.failed}
        return LazyImages([self._pictures[i] for i in indices], failed)


def decode_all(pictures: Sequence[Picture], cache: Path | None) -> DecodedImages:
    """Decode every picture once.

    Args:
        pictures: what to decode.
        cache: folder of cache files; None keeps the images in memory.

    Raises:
        DatasetError: if the cache cannot be written. An image that cannot be read is no error
            here, it is listed in `failed`.
    """
    if cache is None:
        return _in_memory(pictures)
    file = cache / f'{_key(pictures)}.images'
    if not file.is_file():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with _locked(cache):
                if not file.is_file():  # another process may have been first
                    _write(pictures, file)
        except OSError as error:
            raise DatasetError(f'{file}: cannot be written: {error.strerror}') from error
    return _open(file)


def _in_memory(pictures: Sequence[Picture]) -> DecodedImages:
    images: list[NDArray[Any] | None] = []
    failed: dict[int, str] = {}
    for n, picture in enumerate(pictures):
        try:
            images.append(picture.read())
        except DatasetError as error:
            images.append(None)
            failed[n] = str(error)
    return DecodedImages(images, failed)


def _incomplete(picture: Picture) -> str | None:
    try:
        check_complete(picture.path)
    except DatasetError as error:
        return str(error)
    return None


def _key(pictures: Sequence[Picture]) -> str:
    digest = hashlib.sha256(str(_VERSION).encode())
    for picture in pictures:
        digest.update(f'{picture}:{_stamp(picture.path)}\n'.encode())
    return digest.hexdigest()[:16]


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return 'missing'
    return f'{status.st_size}:{status.st_mtime_ns}'


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; the system lets go when a process dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(pictures: Sequence[Picture], file: Path) -> None:
    part = file.with_suffix('.part')  # the lock makes the name ours, a leftover included
    try:
        with part.open('wb') as stream:
            entries = [_append(picture, stream) for picture in pictures]
            index = json.dumps(entries).encode()
            stream.write(index + len(index).to_bytes(8, 'little') + _MAGIC)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _append(picture: Picture, stream: BinaryIO) -> dict[str, Any]:
    try:
        image = np.ascontiguousarray(picture.read())
    except DatasetError as error:
        return {'failed': str(error)}
    stream.write(b'\0' * (-stream.tell() % _ALIGN))
    offset = stream.tell()
    stream.write(image.data)
    return {'offset': offset, 'shape': image.shape, 'dtype': image.dtype.str}


def _open(file: Path) -> DecodedImages:
    content = np.memmap(file, np.uint8, 'r').view(np.ndarray)
    if content[-8:].tobytes() != _MAGIC:
        raise DatasetError(f'{file}: is no cache of decoded images, delete it and start again')
    length = int.from_bytes(content[-16:-8].tobytes(), 'little')
    entries = json.loads(content[-16 - length : -16].tobytes())
    failed = {n: e['failed'] for n, e in enumerate(entries) if 'failed' in e}
    return DecodedImages([_view(content, e) for e in entries], failed)


def _view(content: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[Any] | None:
    if 'failed' in entry:
        return None
    dtype, shape = np.dtype(entry['dtype']), tuple(entry['shape'])
    start = entry['offset']
    return content[start : start + dtype.itemsize * int(np.prod(shape))].view(dtype).reshape(shape)
