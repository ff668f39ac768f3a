"""Pictures on disk: the video really plays, pictures are spread over time."""

from __future__ import annotations

import cv2
import numpy as np

from thermal_perception.cli.demo.recorder import PictureRecorder


def overlay(grey, size=(128, 160)):
    return np.full((*size, 3), grey, np.uint8)


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
        good, frame = video.read()
        if not good:
            return frames, video.get(cv2.CAP_PROP_FPS)
        frames.append(frame)


def test_video_can_be_read_back_with_its_rate_and_content(tmp_path):
    recorder = PictureRecorder(tmp_path, 'overlay', rate_hz=8.0, picture_every_s=100.0)
    for number in range(16):
        recorder.write(overlay(10 * number), number / 8)
    recorder.close()
    frames, rate = frames_of(recorder.video_path)
    assert rate == 8.0
    assert len(frames) == recorder.video_frames == 16
    assert [round(float(f.mean()) / 10) for f in frames] == list(range(16))


def test_pictures_are_taken_in_the_middle_of_each_interval(tmp_path):
    recorder = PictureRecorder(tmp_path, 'overlay', rate_hz=10.0, picture_every_s=1.0)
    for tenth in range(31):
        recorder.write(overlay(tenth), 50 + tenth / 10)
    recorder.close()
    assert [p.name for p in recorder.pictures] == [
        'overlay_01.png',
        'overlay_02.png',
        'overlay_03.png',
    ]
    greys = [int(cv2.imread(str(p))[0, 0, 0]) for p in recorder.pictures]
    assert greys == [5, 15, 25]


def test_overlay_of_another_size_is_fitted_into_the_video(tmp_path):
    recorder = PictureRecorder(tmp_path, 'overlay', rate_hz=10.0, picture_every_s=100.0)
    recorder.write(overlay(50), 0.0)
    recorder.write(overlay(200, size=(64, 64)), 0.1)
    recorder.close()
    frames, _ = frames_of(recorder.video_path)
    assert [f.shape for f in frames] == [(128, 160, 3)] * 2
    assert abs(float(frames[1].mean()) - 200) < 5


def test_nothing_is_written_without_an_overlay(tmp_path):
    PictureRecorder(tmp_path, 'overlay', rate_hz=10.0, picture_every_s=1.0).close()
    assert list(tmp_path.iterdir()) == []
