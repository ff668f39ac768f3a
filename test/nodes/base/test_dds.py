from __future__ import annotations

from xml.etree import ElementTree

import pytest

from thermal_perception.errors import ConfigError
from thermal_perception.nodes.base.dds import (
    large_image_profile,
    profile_variable,
    use_dds_profile,
)

FAST_DDS_3, FAST_DDS_2 = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
MIB = 2**20


def test_profile_has_the_segment_and_message_size_of_large_images():
    namespace = {'dds': 'http://www.eprosima.com'}
    root = ElementTree.parse(large_image_profile()).getroot()
    (shm,) = (
        t for t in root.iterfind('.//dds:transport_descriptor', namespace)
        if t.findtext('dds:type', namespaces=namespace) == 'SHM'
    )
    assert int(shm.findtext('dds:segment_size', namespaces=namespace)) == 64 * MIB
    assert int(shm.findtext('dds:maxMessageSize', namespaces=namespace)) == 16 * MIB
    types = [t.text for t in root.iterfind('.//dds:type', namespace)]
    assert types == ['SHM', 'UDPv4']


def test_nodes_of_one_process_take_no_short_cut():
    """Fast DDS can deadlock there while one is taken apart, with Python's lock held."""
    names = {'dds': 'http://www.eprosima.com'}
    root = ElementTree.parse(large_image_profile()).getroot()
    assert root.findtext('.//dds:intraprocess_delivery', namespaces=names) == 'OFF'


def test_profile_is_used_by_default():
    environment = {}
    use_dds_profile(environment)
    assert environment == {FAST_DDS_3: str(large_image_profile())}


@pytest.mark.parametrize('distribution', ['humble', 'jazzy'])
def test_older_distributions_get_the_older_name_too(distribution):
    environment = {'ROS_DISTRO': distribution}
    use_dds_profile(environment)
    assert environment[FAST_DDS_2] == environment[FAST_DDS_3] == str(large_image_profile())
    assert profile_variable(environment) == FAST_DDS_2
    assert profile_variable({'ROS_DISTRO': 'kilted'}) == profile_variable({}) == FAST_DDS_3


@pytest.mark.parametrize('name', [FAST_DDS_2, FAST_DDS_3])
def test_profile_of_the_user_stays(name):
    environment = {name: '/etc/mine.xml', 'ROS_DISTRO': 'jazzy'}
    use_dds_profile(environment)
    assert environment == {name: '/etc/mine.xml', 'ROS_DISTRO': 'jazzy'}


def test_profile_can_be_declined():
    environment = {'THERMAL_PERCEPTION_DDS_PROFILE': 'none'}
    use_dds_profile(environment)
    assert environment == {'THERMAL_PERCEPTION_DDS_PROFILE': 'none'}


def test_profile_can_be_another_file(tmp_path):
    file = tmp_path / 'other.xml'
    file.write_text('<dds/>')
    environment = {'THERMAL_PERCEPTION_DDS_PROFILE': str(file)}
    use_dds_profile(environment)
    assert environment[FAST_DDS_3] == str(file)


def test_profile_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"found '/gone.xml', expected large_images, none"):
        use_dds_profile({'THERMAL_PERCEPTION_DDS_PROFILE': '/gone.xml'})
