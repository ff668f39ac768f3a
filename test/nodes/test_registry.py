"""Every node starts by name, on memory that was set up before anything else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from thermal_perception.nodes import registry
from thermal_perception.resources import share_path


@pytest.mark.parametrize('name', registry.NODES)
def test_each_node_has_an_entry_point_that_starts_it(name, monkeypatch):
    started = []
    monkeypatch.setattr(registry, 'start', lambda name, args: started.append((name, args)) or 7)
    assert getattr(registry, name)(['--ros-args']) == 7
    assert started == [(name, ['--ros-args'])]


PERCEIVING = ('e2e_mfd', 'fusion_detr', 'rgbt_segmentation')
SIMULATED = ('simulated_cameras', 'simulated_crossing', 'simulated_link')
V2X = ('emiff_infrastructure', 'emiff_vehicle')


def test_every_node_is_known_here():
    assert set(registry.NODES) == {*PERCEIVING, *V2X, *SIMULATED}


@pytest.mark.parametrize('name', PERCEIVING)
def test_each_node_with_a_model_has_its_own_parameters_and_launch_file(name):
    assert share_path('config', f'{name}.yaml').is_file()
    text = share_path('launch', f'{name}.launch.py').read_text()
    assert f'ros2 launch thermal_perception {name}.launch.py' in text
    assert f"perception_launch('{name}'" in text


@pytest.mark.parametrize('name', V2X)
def test_both_sides_of_emiff_have_their_parameters_and_share_a_launch_file(name):
    assert share_path('config', f'{name}.yaml').is_file()
    text = share_path('launch', 'emiff.launch.py').read_text()
    role = name.removeprefix('emiff_')
    assert f'ros2 launch thermal_perception emiff.launch.py role:={role}' in text


def test_memory_is_set_up_before_the_module_of_the_node_is_imported(monkeypatch):
    order = []
    module = type('Module', (), {'main': staticmethod(lambda args: order.append(args))})
    monkeypatch.setattr(registry, 'keep_freed_memory', lambda: order.append('memory'))
    monkeypatch.setattr(registry, 'import_module', lambda name: order.append(name) or module)
    assert registry.start('fusion_detr', ['given']) == 0
    assert order == ['memory', 'thermal_perception.nodes.fusion_detr', ['given']]


def test_the_registry_brings_no_threads_with_it():
    code = 'import sys, thermal_perception.nodes.registry; print("numpy" in sys.modules)'
    command = [sys.executable, '-c', code]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == 'False'
