"""Pictures of a topic on disk: a video of all, and a few single ones."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class PictureRecorder:
    """Writes pictures as they come; call from one thread.

    The video is MPEG-4 in an .mp4: of the codecs in OpenCV's wheel it costs least beside Motion
    JPEG (4 ms per 640x512 frame, VP8 118 ms). VLC, mpv and ffplay play it, browsers do not.
    """

    def __init__(self, folder: Path, name: str, *, rate_hz: float, picture_every_s: float) -> None:
        """Prepare; files appear with the first picture.

        Args:
            folder: existing folder for `NAME.mp4` and `NAME_NN.png`.
            name: of what is recorded, as `overlay`.
            rate_hz: frames per second of the video.
            picture_every_s: seconds between two pictures.
        """
        self._folder, self._name, self._rate_hz = folder, name, rate_hz
        self._picture_every_s = picture_every_s
        self._next_picture_s: float | None = None
        self._video: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self.video_frames = 0
        self.pictures: list[Path] = []

    @property
    def video_path(self) -> Path:
        """File of the video."""
        return self._folder / f'{self._name}.mp4'

    def write(self, image: NDArray[Any], now_s: float) -> None:
        """Add one picture, (H, W, 3) uint8 BGR; another size than the first is resized.

        Raises:
            ConfigError: if the folder cannot be written.
        """
        if self._video is None:
            self._size = (image.shape[1], image.shape[0])
            self._video = self._open_video()
            self._next_picture_s = now_s + self._picture_every_s / 2
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size)
        self._video.write(image)
        self.video_frames += 1
        if self._next_picture_s is not None and now_s >= self._next_picture_s:
            self._next_picture_s += self._picture_every_s
            self._write_picture(image)

    def close(self) -> None:
        """Finish the video; without it the file cannot be played."""
        if self._video is not None:
            self._video.release()
            self._video = None

    def _open_video(self) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*'mp4v')
        video = cv2.VideoWriter(str(self.video_path), codec, self._rate_hz, self._size)
        if not video.isOpened():
            raise ConfigError(f'{self.video_path}: OpenCV cannot write this video')
        return video

    def _write_picture(self, image: NDArray[Any]) -> None:
        path = self._folder / f'{self._name}_{len(self.pictures) + 1:02d}.png'
        if not cv2.imwrite(str(path), image):
            raise ConfigError(f'{path}: cannot be written')
        self.pictures.append(path)
