"""The Fast DDS profile for large images, chosen before ROS starts. Imports no ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thermal_perception.errors import ConfigError
from thermal_perception.resources import share_path

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

CHOICE_VARIABLE = 'THERMAL_PERCEPTION_DDS_PROFILE'
"""Environment variable: `large_images` (default), `none`, or the path of a profile."""

# Fast DDS 2, up to Jazzy, reads the second name only; Fast DDS 3 warns of it.
_PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_FAST_DDS_2 = ('humble', 'iron', 'jazzy')


def large_image_profile() -> Path:
    """Return the path of our profile: 64 MiB of shared memory, messages of up to 16 MiB."""
    return share_path('config', 'dds', 'fastdds_large_images.xml')


def profile_variable(environment: Mapping[str, str]) -> str:
    """Return the variable that names the profile to the Fast DDS of this distribution."""
    return _PROFILE_VARIABLES[environment.get('ROS_DISTRO') in _FAST_DDS_2]


def use_dds_profile(environment: MutableMapping[str, str]) -> None:
    """Name the profile in the environment, before the first DDS entity is made.

    With Fast DDS' own shared-memory segment a best-effort subscriber loses nearly all images.
    The segment belongs to the publisher, so camera drivers need the profile too. A profile that
    the user named stays. Other middleware does not read these variables.

    Raises:
        ConfigError: if `THERMAL_PERCEPTION_DDS_PROFILE` names a file that does not exist.
    """
    choice = environment.get(CHOICE_VARIABLE) or 'large_images'
    if choice == 'none' or any(environment.get(name) for name in _PROFILE_VARIABLES):
        return
    profile = large_image_profile() if choice == 'large_images' else Path(choice)
    if not profile.is_file():
        raise ConfigError(
            f'{CHOICE_VARIABLE}: found {choice!r}, expected large_images, none or an XML file'
        )
    environment[_PROFILE_VARIABLES[0]] = str(profile)
    if environment.get('ROS_DISTRO') in _FAST_DDS_2:
        environment[_PROFILE_VARIABLES[1]] = str(profile)
