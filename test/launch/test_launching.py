"""What launch arguments of several cameras mean, without starting anything."""

from __future__ import annotations

import pytest

# Not `launch`: without ROS the folder of our launch files would pass for it.
pytest.importorskip('launch_ros', reason='launch is not installed: PyPI has none')

from thermal_perception.launching import camera_folders, number_of_cameras, of_drivers

FOLDERS = ['/front/camera_0', '/front/camera_1']


@pytest.mark.parametrize('text', ['0', '7', 'two', '', '-1'])
def test_number_of_cameras_that_is_not_allowed_is_refused(text):
    with pytest.raises(ValueError, match=f"cameras: found '{text}', expected 1 to 6"):
        number_of_cameras(text)


def test_nodes_are_below_the_namespace_and_that_of_their_group():
    assert camera_folders('', 'front', 2) == FOLDERS
    assert camera_folders('/car', 'front', 1) == ['/car/front/camera_0']
    assert camera_folders('/car', '/front', 1) == ['/front/camera_0']
    assert camera_folders('', '', 1) == ['/camera_0']


def test_relative_topic_is_below_the_namespace_of_each_camera():
    assert of_drivers('thermal', ['boson/image_raw'], FOLDERS) == [
        ('thermal/image_raw', 'boson/image_raw'),
        ('thermal/camera_info', 'boson/camera_info'),
    ]


def test_each_camera_hears_its_topic():
    assert of_drivers('thermal', ['/left/image_raw', '/rear/image_raw'], FOLDERS) == [
        ('/front/camera_0/thermal/image_raw', '/left/image_raw'),
        ('/front/camera_0/thermal/camera_info', '/left/camera_info'),
        ('/front/camera_1/thermal/image_raw', '/rear/image_raw'),
        ('/front/camera_1/thermal/camera_info', '/rear/camera_info'),
    ]


@pytest.mark.parametrize('images', [['/left/image_raw'], ['/a', '/b', '/c']])
def test_topics_that_are_not_one_for_each_camera_are_refused(images):
    with pytest.raises(ValueError, match=r'rgb_image: found .*, expected 2 topics with commas'):
        of_drivers('rgb', images, FOLDERS)
