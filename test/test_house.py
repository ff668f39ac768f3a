"""The rooms of the house and who may know whom: what keeps the parts testable by themselves."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
import subprocess
import sys
import textwrap
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / 'thermal_perception'

ROS = {'ament_index_python', 'builtin_interfaces', 'cv_bridge', 'diagnostic_msgs',
       'geometry_msgs', 'launch', 'launch_ros', 'lifecycle_msgs', 'message_filters', 'nav_msgs',
       'rcl_interfaces', 'rclpy', 'rosgraph_msgs', 'rosidl_runtime_py', 'sensor_msgs', 'std_msgs',
       'std_srvs', 'tf2_ros', 'vision_msgs', 'visualization_msgs'}
TORCH = {'torch', 'torchvision'}
VOCABULARY = {'types', 'errors', 'config', 'class_sets', 'resources', 'memory', 'files'}


class Rules(NamedTuple):
    """The rooms that a room may import, and the libraries that it never imports."""

    rooms: set[str]
    never: set[str]


RULES = {
    'types': Rules(VOCABULARY, ROS | TORCH | {'cv2'}),
    'errors': Rules(VOCABULARY, ROS | TORCH | {'cv2', 'numpy'}),
    'config': Rules(VOCABULARY, ROS | TORCH | {'cv2'}),
    'class_sets': Rules(set(), ROS | TORCH | {'cv2', 'numpy'}),
    'resources': Rules(VOCABULARY, ROS | TORCH | {'cv2'}),
    'files': Rules(set(), ROS | TORCH | {'cv2', 'numpy'}),
    'memory': Rules(set(), ROS | TORCH | {'cv2', 'numpy'}),
    'geometry': Rules(VOCABULARY, ROS | TORCH),
    'decode': Rules(VOCABULARY, ROS | TORCH),
    'synchronise': Rules(VOCABULARY, ROS | TORCH | {'cv2'}),
    'preprocess': Rules(VOCABULARY | {'geometry'}, ROS),
    'models': Rules(VOCABULARY, ROS | {'cv2'}),
    'postprocess': Rules(VOCABULARY | {'models.boxes', 'models.boxes_3d', 'models.rotated_boxes'},
                         ROS),
    'perceive': Rules(VOCABULARY | {'geometry', 'preprocess', 'models', 'postprocess',
                                    'backends'}, ROS),
    'encode': Rules(VOCABULARY | {'geometry'}, TORCH | {'rclpy'}),
    'backends': Rules(VOCABULARY | {'models'}, ROS | {'cv2'}),
    'evaluation': Rules(VOCABULARY | {'geometry', 'decode', 'perceive'}, ROS),
    'v2x': Rules(VOCABULARY | {'geometry'}, ROS | TORCH | {'cv2'}),
    'simulation': Rules(VOCABULARY | {'geometry'}, ROS | TORCH),
    'nodes': Rules(VOCABULARY | {'geometry', 'decode', 'synchronise', 'perceive', 'encode',
                                 'backends', 'evaluation', 'simulation', 'v2x'}, TORCH),
    'cli': Rules(VOCABULARY | {'geometry', 'decode', 'synchronise', 'preprocess', 'models',
                               'postprocess', 'perceive', 'encode', 'backends', 'evaluation',
                               'simulation'}, TORCH),
    'launching': Rules(set(), (ROS - {'launch', 'launch_ros'}) | TORCH | {'cv2', 'numpy'}),
    '__init__': Rules(set(), ROS | TORCH | {'cv2', 'numpy'}),
}
TRAINING = Rules(VOCABULARY | {'models', 'preprocess', 'postprocess', 'perceive', 'geometry',
                               'backends', 'evaluation', 'simulation'}, ROS)
NEED_ROS = {'encode', 'nodes', 'launching'}
NEVER_TORCH = [room for room, rules in RULES.items()
               if rules.never >= TORCH and room not in NEED_ROS | {'cli'}]


def room_of(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0].removesuffix('.py')


def imports(file: Path) -> set[str]:
    """Return the full names that a file imports anywhere in it, `from a import b` as a.b."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{file}: a relative import hides which room is meant'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def violations(file: Path, room: str, rules: Rules) -> list[str]:
    """Return the imports of a file that break the rules of its room."""
    broken = []
    for name in imports(file):
        top, *rest = name.split('.')
        if top == 'thermal_perception' and rest[0] != room:
            inside = '.'.join(rest)
            if not any(f'{inside}.'.startswith(f'{allowed}.') for allowed in rules.rooms):
                broken.append(name)
        elif top in rules.never:
            broken.append(name)
    return broken


@pytest.mark.parametrize('room', RULES)
def test_room_imports_only_what_its_row_of_the_table_allows(room):
    files = [file for file in HOUSE.rglob('*.py') if room_of(file) == room]
    assert files, f'there is no room {room}'
    broken = {str(file.relative_to(ROOT)): names
              for file in files if (names := violations(file, room, RULES[room]))}
    assert broken == {}


def test_training_knows_no_ros():
    broken = {file.name: names for file in (ROOT / 'training').rglob('*.py')
              if (names := violations(file, 'training', TRAINING))}
    assert broken == {}


def test_every_room_has_a_row_in_the_table():
    assert {room_of(file) for file in HOUSE.rglob('*.py')} == set(RULES)


NODES = {
    'parameters': set(),
    'base': {'parameters'},
    'cameras': {'parameters', 'base'},
    'perception': {'parameters', 'base', 'cameras'},
    'simulator': {'parameters', 'base'},
    'v2x': {'parameters', 'base', 'cameras'},
}


@pytest.mark.parametrize('room', NODES)
def test_room_of_the_nodes_knows_only_those_below_it(room):
    files = list((HOUSE / 'nodes' / room).glob('*.py'))
    assert files, f'there is no room nodes/{room}'
    prefix = 'thermal_perception.nodes.'
    known = {name.removeprefix(prefix).split('.')[0]
             for file in files for name in imports(file) if name.startswith(prefix)}
    assert known - {room} <= NODES[room]


def test_every_room_of_the_nodes_has_a_row_in_the_table():
    folders = {file.parent.name for file in (HOUSE / 'nodes').glob('*/*.py')}
    assert folders == set(NODES)


def test_import_of_a_forbidden_room_is_noticed(tmp_path):
    file = tmp_path / 'module.py'
    file.write_text('def late():\n  from thermal_perception.nodes.x import y\n  import rclpy.qos')
    assert sorted(violations(file, 'decode', RULES['decode'])) == [
        'rclpy.qos', 'thermal_perception.nodes.x.y']
    file.write_text('from thermal_perception.models import boxes, neck')
    assert violations(file, 'postprocess', RULES['postprocess']) == [
        'thermal_perception.models.neck']


IMPORT_ALL = """
    import importlib, importlib.abc, json, pathlib, sys

    class Wall(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.split('.')[0] in blocked:
                raise ModuleNotFoundError(f'{name} is behind the wall', name=name)

    blocked, rooms = map(set, json.loads(sys.argv[1]))
    sys.meta_path.insert(0, Wall())
    house = pathlib.Path('thermal_perception')
    failed = {}
    for file in sorted(house.rglob('*.py')):
        if file.relative_to(house).parts[0].removesuffix('.py') in rooms:
            name = '.'.join(file.with_suffix('').parts).removesuffix('.__init__')
            try:
                if not name.endswith('.__main__'):
                    importlib.import_module(name)
            except Exception as error:
                failed[name] = f'{type(error).__name__}: {error}'
    leaked = sorted(blocked & {name.split('.')[0] for name in sys.modules})
    print(json.dumps([failed, leaked]))
"""


def import_behind_a_wall(rooms, blocked) -> list:
    """Import every module of the rooms in a new process where `blocked` cannot be imported.

    Returns:
        [what failed and why, which blocked packages got in all the same].
    """
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(IMPORT_ALL),
         json.dumps([sorted(blocked), sorted(rooms)])],
        cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True,
        timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_room_that_can_do_without_ros_imports_with_ros_blocked():
    assert import_behind_a_wall(set(RULES) - NEED_ROS, ROS) == [{}, []]


def test_rooms_without_networks_import_with_torch_and_ros_blocked():
    assert {'decode', 'geometry', 'synchronise', 'simulation'} <= set(NEVER_TORCH)
    assert import_behind_a_wall(NEVER_TORCH, ROS | TORCH) == [{}, []]


def test_the_wall_holds():
    failed, _ = import_behind_a_wall({'models'}, TORCH)
    assert 'torch is behind the wall' in failed['thermal_perception.models.boxes']
