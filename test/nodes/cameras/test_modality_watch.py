from __future__ import annotations

from thermal_perception.nodes.cameras.modality_watch import ModalityWatch


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


def test_nothing_is_missing_before_the_first_moment():
    assert ModalityWatch().lack(0.0) is None


def test_camera_is_missing_after_the_timeout_and_not_before():
    clock = Clock()
    watch = ModalityWatch(clock)
    watch.note('rgb', 'bad')
    clock.now_s = 100.9
    assert watch.lack(1.0) is None
    clock.now_s = 103.5
    assert watch.lack(1.0) == ('rgb', 3.5, 'bad')


def test_time_runs_from_the_first_moment_without_the_camera_and_tells_the_latest_reason():
    clock = Clock()
    watch = ModalityWatch(clock)
    for second, why in enumerate(('', 'bad', '')):
        clock.now_s = 100.0 + second
        watch.note('rgb', why)
    assert watch.lack(1.0) == ('rgb', 2.0, '')


def test_one_moment_with_both_cameras_ends_it():
    clock = Clock()
    watch = ModalityWatch(clock)
    watch.note('rgb')
    clock.now_s = 110.0
    watch.note(None)
    assert watch.lack(0.0) is None
    watch.note('rgb')
    assert watch.lack(1.0) is None


def test_other_camera_starts_the_time_anew():
    clock = Clock()
    watch = ModalityWatch(clock)
    watch.note('rgb')
    clock.now_s = 110.0
    watch.note('thermal')
    clock.now_s = 112.0
    assert watch.lack(1.0) == ('thermal', 2.0, '')
