"""What a release consists of: versions, dependencies, installed files, a lean environment."""

from __future__ import annotations

import ast
from importlib import metadata
import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE_XML = ElementTree.parse(ROOT / 'package.xml').getroot()
SETUP_PY = (ROOT / 'setup.py').read_text()

# The rosdep key of what a module is imported as.
ROSDEP_KEYS = {'cryptography': 'python3-cryptography', 'cv2': 'python3-opencv',
               'numpy': 'python3-numpy', 'rich': 'python3-rich',
               'rosbags': 'python3-rosbags-pip', 'scipy': 'python3-scipy',
               'torch': 'python3-torch', 'typer': 'python3-typer', 'yaml': 'python3-yaml'}
NO_ROSDEP_KEY = {'safetensors', 'faster_coco_eval', 'zstandard', 'openvino', 'onnxruntime', 'onnx',
                 'onnxscript'}


def dependencies() -> set[str]:
    return {tag.text for tag in PACKAGE_XML if tag.tag in {'depend', 'exec_depend'}}


def imported_packages(folder: Path) -> set[str]:
    names = set()
    for file in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split('.')[0])
    return names - set(sys.stdlib_module_names) - {'thermal_perception'}


def requirement_names(name: str) -> set[str]:
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return {re.split('[<>=]', line)[0].lower() for line in lines if line and line[0] != '#'}


def test_version_is_the_same_in_package_xml_setup_py_and_the_changelog_or_is_forthcoming():
    version = PACKAGE_XML.findtext('version')
    assert f"version='{version}'" in SETUP_PY
    sections = re.findall(r'^(Forthcoming|\d+\.\d+\.\d+ .*)\n-+$',
                          (ROOT / 'CHANGELOG.rst').read_text(), flags=re.MULTILINE)
    assert sections[0] == 'Forthcoming' or sections[0].startswith(version)


def test_package_is_an_ament_python_package_of_format_3():
    assert PACKAGE_XML.get('format') == '3'
    assert PACKAGE_XML.findtext('export/build_type') == 'ament_python'
    assert PACKAGE_XML.findtext('name') == 'thermal_perception'
    assert PACKAGE_XML.findtext('license') == 'Apache-2.0'
    assert (ROOT / 'resource' / 'thermal_perception').exists()


def test_package_xml_is_valid_for_the_ros_tools():
    parser = pytest.importorskip('catkin_pkg.package')
    problems = []
    package = parser.parse_package(str(ROOT / 'package.xml'), warnings=problems)
    assert (package.get_build_type(), problems) == ('ament_python', [])


def test_every_import_of_the_package_is_a_declared_dependency():
    declared = dependencies()
    imported = imported_packages(ROOT / 'thermal_perception') - NO_ROSDEP_KEY
    assert {ROSDEP_KEYS.get(name, name) for name in imported} - declared == set()


def test_every_import_of_launch_files_is_a_declared_dependency():
    assert imported_packages(ROOT / 'launch') - dependencies() == set()


def test_every_pip_import_of_the_package_is_a_requirement_of_run_time():
    modules = {'cv2': 'opencv-python-headless', 'yaml': 'pyyaml'}
    imported = imported_packages(ROOT / 'thermal_perception') & (NO_ROSDEP_KEY | set(ROSDEP_KEYS))
    needed = {modules.get(name, name).replace('_', '-') for name in imported} - {'torch'}
    assert needed - requirement_names('runtime') == set()


def test_every_requirement_is_pinned():
    pinned = re.findall(r'^([\w.-]+)==', (ROOT / 'constraints.txt').read_text(), re.MULTILINE)
    required = set.union(*(requirement_names(file.stem)
                           for file in (ROOT / 'requirements').glob('*.txt')))
    assert required - set(pinned) == set()
    assert len(pinned) == len(set(pinned))


def test_torchvision_is_nowhere():
    """Its wheels need CUDA libraries, and a broken one breaks other packages on import."""
    assert 'torchvision' not in {d.metadata['Name'] for d in metadata.distributions()}
    assert 'torchvision==' not in (ROOT / 'constraints.txt').read_text()


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """The package installed as colcon does it, from a copy without what it does not need."""
    prefix = tmp_path_factory.mktemp('install')
    build = tmp_path_factory.mktemp('build')
    for name in ('thermal_perception', 'resource', 'launch', 'config', 'weights', 'training',
                 'scripts', 'setup.py', 'setup.cfg', 'package.xml'):
        (build / name).symlink_to(ROOT / name)
    subprocess.run(
        [sys.executable, 'setup.py', '-q', 'egg_info', '--egg-base', str(build), 'build',
         '--build-base', str(build / 'built'), 'install', '--prefix', str(prefix),
         '--single-version-externally-managed', '--record', str(build / 'record.txt')],
        cwd=build, check=True, capture_output=True, text=True)
    return prefix


def relative_files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob('*')
            if file.is_file() and '__pycache__' not in file.parts}


def test_install_has_every_module_and_no_training(installed):
    packages, = installed.glob('lib/python3*/site-packages')
    modules = {name for name in relative_files(packages / 'thermal_perception')
               if name.endswith('.py')}
    sources = {name for name in relative_files(ROOT / 'thermal_perception')
               if name.endswith('.py')}
    assert modules == sources
    assert {path.name for path in packages.iterdir() if 'info' not in path.name} == {
        'thermal_perception'}


def test_install_shares_launch_files_parameters_weights_and_the_package_marker(installed):
    share = installed / 'share' / 'thermal_perception'
    for folder in ('launch', 'config', 'weights'):
        assert relative_files(share / folder) == relative_files(ROOT / folder) != set()
    assert (share / 'package.xml').read_bytes() == (ROOT / 'package.xml').read_bytes()
    marker = 'share/ament_index/resource_index/packages/thermal_perception'
    assert (installed / marker).is_file()


def test_install_puts_commands_where_ros2_run_looks(installed):
    names = {path.name for path in (installed / 'lib' / 'thermal_perception').iterdir()}
    assert names == {'e2e_mfd', 'emiff_infrastructure', 'emiff_vehicle', 'fusion_detr',
                     'rgbt_segmentation', 'simulated_cameras', 'simulated_crossing',
                     'simulated_link',
                     'thermal-perception'}


def test_command_for_people_is_on_the_path_of_an_install(installed):
    done = subprocess.run([installed / 'bin' / 'thermal-perception', '--help'],
                          env={**os.environ, 'PYTHONPATH': str(ROOT)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'bag-from-images' in done.stdout


def test_colcon_test_runs_pytest_and_finds_what_the_tests_need():
    assert "extras_require={'test': ['pytest']}" in SETUP_PY
    needed = {'python3-hypothesis', 'python3-pytest', 'python3-pytest-timeout'}
    assert needed <= {e.text for e in PACKAGE_XML.findall('test_depend')}
