"""Installs thermal_perception: with colcon on a robot, with `make setup` elsewhere."""

from glob import glob
import os
import sys

from setuptools import find_packages, setup

PACKAGE = 'thermal_perception'


def shared_files() -> list[tuple[str, list[str]]]:
    """Return what goes to share/, as (folder, files), with the folders of the source kept."""
    pairs = [('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
             (f'share/{PACKAGE}', ['package.xml'])]
    pairs.append(('bin', ['scripts/thermal-perception']))
    for top in ('launch', 'config', 'weights'):
        for folder, _, _ in os.walk(top):
            files = sorted(path for path in glob(f'{folder}/*') if os.path.isfile(path))
            if files:
                pairs.append((f'share/{PACKAGE}/{folder}', files))
    return pairs


# An editable install gets links to these from make setup: copies would go stale.
editable = 'editable_wheel' in sys.argv

setup(
    name=PACKAGE,
    version='0.1.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    data_files=[] if editable else shared_files(),
    package_data={PACKAGE: ['py.typed']},
    python_requires='>=3.10',
    install_requires=['setuptools'],
    extras_require={'test': ['pytest']},  # tells colcon test to use pytest
    zip_safe=False,
    maintainer='thermal_perception maintainers',
    maintainer_email='maintainers@example.org',
    description='Neural perception for robots that see heat, as ROS 2 nodes.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'thermal-perception = thermal_perception.cli.main:main',
            'e2e_mfd = thermal_perception.nodes.registry:e2e_mfd',
            'emiff_infrastructure = thermal_perception.nodes.registry:emiff_infrastructure',
            'emiff_vehicle = thermal_perception.nodes.registry:emiff_vehicle',
            'fusion_detr = thermal_perception.nodes.registry:fusion_detr',
            'rgbt_segmentation = thermal_perception.nodes.registry:rgbt_segmentation',
            'simulated_cameras = thermal_perception.nodes.registry:simulated_cameras',
            'simulated_crossing = thermal_perception.nodes.registry:simulated_crossing',
            'simulated_link = thermal_perception.nodes.registry:simulated_link',
        ],
    },
)
