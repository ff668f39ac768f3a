"""What make setup does and says; building and installing themselves are what CI does."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
import sys
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / 'scripts' / 'set_up'


@pytest.fixture(scope='module')
def parts():
    """The modules of the script, imported as Python does when it runs the folder."""
    names = ('machine', 'stamps', 'environment', 'borrow', 'overlay')
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in names:
            sys.modules.pop(name, None)


def fake_python(folder, name, version, *, ensurepip=1, headers=1):
    """Write a program that answers the probe of an interpreter."""
    file = folder / name
    lines = [str(file), *version.split('.'), str(ensurepip), str(headers)]
    file.write_text('#!/bin/sh\nprintf "%s\\n" ' + ' '.join(lines) + '\n')
    file.chmod(0o755)
    return str(file)


def distribution(parts, folder, *packages):
    for package in packages:
        marker = folder / 'share' / 'ament_index' / 'resource_index' / 'packages' / package
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return parts.machine.Distribution('jazzy', [folder])


def test_python_of_the_path_is_taken_when_it_is_new_enough(parts):
    found = parts.machine.find_python(sys.executable, bound_to_ros=False)
    assert found.version == sys.version_info[:2]
    assert found.path == sys._base_executable  # outlives the environment we may run in


def test_path_of_a_python_may_hold_spaces(parts, tmp_path):
    python = tmp_path / 'my programs' / 'python3'
    python.parent.mkdir()
    python.symlink_to(sys._base_executable)
    assert parts.machine.find_python(str(python), bound_to_ros=False).path == str(python)


def test_old_python_is_refused_with_what_was_found_and_the_debian_package(parts, tmp_path):
    old = fake_python(tmp_path, 'python3.9', '3.9')
    with pytest.raises(parts.machine.SetUpError,
                       match=r'3\.11 to 3\.14 is needed; found: .*python3\.9 \(3\.9\)(.|\n)*'
                             r'apt-get install python3 python3-venv'):
        parts.machine.find_python(old, bound_to_ros=False)


def test_python_of_a_distribution_may_be_of_any_version(parts, tmp_path):
    humble = fake_python(tmp_path, 'python3', '3.10')
    assert parts.machine.find_python(humble, bound_to_ros=True).version == (3, 10)


def test_python_without_ensurepip_is_refused_with_the_debian_package(parts, tmp_path):
    bare = fake_python(tmp_path, 'python3', '3.12', ensurepip=0)
    with pytest.raises(parts.machine.SetUpError, match='apt-get install python3-venv'):
        parts.machine.find_python(bare, bound_to_ros=False)


def test_missing_build_tools_are_named_as_debian_packages(parts, tmp_path, monkeypatch):
    (tmp_path / 'make').symlink_to('/bin/true')
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(parts.machine.SetUpError, match='apt-get install cmake gcc libc6-dev$'):
        parts.machine.check_build_tools()


def test_other_processor_than_the_wheels_have_is_sent_to_a_distribution(parts, monkeypatch):
    monkeypatch.setattr(parts.machine.platform, 'machine', lambda: 'aarch64')
    with pytest.raises(parts.machine.SetUpError, match='not Linux on aarch64(.|\n)*source it'):
        parts.machine.check_wheels_fit()


@pytest.mark.parametrize('packages, found',
                         [(['rclpy', 'vision_msgs'], True), (['launch'], False)],
                         ids=['with rclpy', 'without rclpy'])
def test_sourced_prefix_is_a_distribution_when_it_has_rclpy(
        parts, tmp_path, monkeypatch, packages, found):
    distribution(parts, tmp_path, *packages)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert (parts.machine.sourced_distribution(tmp_path / '.venv') is not None) == found


def test_own_venv_as_a_prefix_is_no_distribution(parts, tmp_path, monkeypatch):
    distribution(parts, tmp_path, 'rclpy')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert parts.machine.sourced_distribution(tmp_path) is None


def test_ros_packages_that_a_distribution_lacks_are_named_as_debian_packages(parts, tmp_path):
    xml = tmp_path / 'package.xml'
    xml.write_text('<package><depend>rclpy</depend><!-- <depend>gone</depend> -->'
                   '<exec_depend>python3-numpy</exec_depend><depend>vision_msgs</depend>'
                   '<test_depend>launch_testing</test_depend></package>')
    with pytest.raises(parts.machine.SetUpError,
                       match='ROS jazzy is sourced but lacks vision_msgs.\n'
                             'Install: apt-get install ros-jazzy-vision-msgs\n'):
        parts.machine.check_distribution(distribution(parts, tmp_path, 'rclpy'), xml)
    parts.machine.check_distribution(distribution(parts, tmp_path, 'rclpy', 'vision_msgs'), xml)


def test_mark_of_another_environments_wheels_is_dropped_with_its_library_path(parts, monkeypatch):
    monkeypatch.setenv('LD_LIBRARY_PATH', '/other/lib')
    monkeypatch.setenv('_ROS_WHEELS_BOOTSTRAP_COMPLETE', '1')
    assert not {'LD_LIBRARY_PATH', '_ROS_WHEELS_BOOTSTRAP_COMPLETE'} & set(
        parts.machine.clean_environment())


def test_library_path_of_a_user_is_kept(parts, monkeypatch):
    monkeypatch.delenv('_ROS_WHEELS_BOOTSTRAP_COMPLETE', raising=False)
    monkeypatch.setenv('LD_LIBRARY_PATH', '/opt/ros/jazzy/lib')
    assert parts.machine.clean_environment()['LD_LIBRARY_PATH'] == '/opt/ros/jazzy/lib'


def test_digest_changes_with_bytes_and_names_but_not_with_compiled_files(parts, tmp_path):
    digest = parts.stamps.digest
    (tmp_path / 'a.msg').write_text('float64 x\n')
    first = digest('text', files=[tmp_path])
    (tmp_path / '__pycache__').mkdir()
    (tmp_path / '__pycache__' / 'a.pyc').touch()
    assert digest('text', files=[tmp_path]) == first
    assert digest('other', files=[tmp_path]) != first
    (tmp_path / 'a.msg').rename(tmp_path / 'b.msg')
    assert digest('text', files=[tmp_path]) != first


def test_stamp_outlives_the_process_and_a_broken_file_means_not_done(parts, tmp_path):
    file = tmp_path / 'set_up.json'
    parts.stamps.Stamps(file).set('wheels', 'key')
    assert parts.stamps.Stamps(file).get('wheels') == 'key'
    assert parts.stamps.Stamps(file).get('overlay') == ''
    file.write_text('{"wheels": ')
    assert parts.stamps.Stamps(file).get('wheels') == ''


def test_cmake_files_of_the_wheels_get_this_machines_include_folders_once(parts, tmp_path):
    file = tmp_path / 'export_std_msgs__rosidl_generator_pyExport.cmake'
    file.write_text('INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311/include/python3.11;'
                    '/opt/python/cp311/lib/python3.11/site-packages/numpy/_core/include"\n')
    includes = ('/usr/include/python3.12', '/venv/numpy/_core/include')
    assert parts.overlay.repair_cmake_files(tmp_path, *includes) == 1
    assert file.read_text() == ('INTERFACE_INCLUDE_DIRECTORIES "/usr/include/python3.12;'
                                '/venv/numpy/_core/include"\n')
    assert parts.overlay.repair_cmake_files(tmp_path, *includes) == 0


def test_failed_command_is_shown_with_the_end_of_its_output(parts, tmp_path):
    environment = parts.environment.Environment(tmp_path, tmp_path / '.venv')
    with pytest.raises(parts.machine.SetUpError, match="exit code 3 of\n  sh -c 'echo why;"):
        environment.run('sh', '-c', 'echo why; exit 3')


def test_command_that_cannot_be_started_is_no_traceback(parts, tmp_path):
    environment = parts.environment.Environment(tmp_path, tmp_path / '.venv')
    with pytest.raises(parts.machine.SetUpError, match='cannot run\n  .*/gone -m venv\n.*No such'):
        environment.run(tmp_path / 'gone', '-m', 'venv')


def test_another_build_of_torch_replaces_the_one_that_is_there(parts, tmp_path, monkeypatch):
    environment = parts.environment.Environment(tmp_path, tmp_path / '.venv')
    commands = []
    monkeypatch.setattr(type(environment), 'run', lambda _, *words: commands.append(words[3:]))
    environment.install_torch('torch==9 --index-url https://example.org/cuda', pinned=True)
    assert commands[0] == ('uninstall', '--quiet', '--yes', 'torch')
    assert commands[1][-3:] == ('torch==9', '--index-url', 'https://example.org/cuda')


def test_missing_compiler_without_apt_is_named_as_debian_package(parts, tmp_path, monkeypatch):
    (tmp_path / 'gcc').write_text('#!/bin/sh\necho 12\n')
    (tmp_path / 'gcc').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    environment = parts.environment.Environment(tmp_path, tmp_path / '.venv')
    with pytest.raises(parts.machine.SetUpError, match=r'needs g\+\+, .*: apt-get install g\+\+$'):
        parts.borrow.borrow_compiler(environment, {})


def test_link_replaces_an_older_link_and_moves_with_the_checkout(parts, tmp_path):
    (tmp_path / 'config').mkdir()
    place = tmp_path / '.venv' / 'share' / 'config'
    for target in ('gone', 'config'):
        parts.environment.link(place, tmp_path / target)
    assert os.readlink(place) == '../../config'
    assert place.resolve() == tmp_path / 'config'


def test_every_node_lies_where_ros2_run_and_launch_files_look(parts, tmp_path, monkeypatch):
    environment = parts.environment.Environment(ROOT, tmp_path / '.venv')
    environment.python = Path(sys.executable)
    monkeypatch.setattr(type(environment), 'pip_install', lambda *_: None)
    environment.install_package()
    places = tmp_path / '.venv' / 'lib' / 'thermal_perception'
    assert {place.name for place in places.iterdir()} == {
        'e2e_mfd', 'emiff_infrastructure', 'emiff_vehicle', 'fusion_detr', 'rgbt_segmentation',
        'simulated_cameras', 'simulated_crossing', 'simulated_link', 'thermal-perception'}


def test_step_runs_once_and_again_when_its_key_changes_or_it_failed(parts, tmp_path, capsys):
    main = importlib.util.spec_from_file_location('set_up', SCRIPTS / '__main__.py')
    module = importlib.util.module_from_spec(main)
    main.loader.exec_module(module)
    set_up = module.SetUp(tmp_path, torch=None, python=None)
    done = []

    def fail():
        raise parts.machine.SetUpError('no network')

    for key in ('1', '1', '2'):
        set_up.step('wheels', key, 'installing', lambda: done.append('wheels'))
    with pytest.raises(parts.machine.SetUpError, match='no network'):
        set_up.step('wheels', '3', 'installing', fail)
    set_up.step('wheels', '3', 'installing', lambda: done.append('wheels'))
    assert done == ['wheels'] * 3
    assert capsys.readouterr().err.count('set-up: wheels: done') == 3
