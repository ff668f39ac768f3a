"""The command as a user calls it: help, exit codes, one clear sentence per error."""

from __future__ import annotations

import subprocess
import sys

import pytest

from thermal_perception.cli import main as entry

VERBS = ('run', 'replay', 'bag-from-images', 'evaluate', 'info', 'export', 'demo', 'benchmark')


def call(monkeypatch, capsys, *arguments):
    """Run the command in this process; return exit code, stdout and stderr."""
    monkeypatch.setattr(sys, 'argv', ['thermal-perception', *arguments])
    with pytest.raises(SystemExit) as exit_:
        entry.main()
    captured = capsys.readouterr()
    return exit_.value.code or 0, captured.out, captured.err


def test_module_runs_as_a_command_of_its_own():
    done = subprocess.run(
        [sys.executable, '-m', 'thermal_perception.cli.main', '--help'],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize('verb', VERBS)
def test_every_verb_has_help(monkeypatch, capsys, verb):
    code, out, _ = call(monkeypatch, capsys, verb, '--help')
    assert code == 0
    assert f'thermal-perception {verb}' in out


def test_help_imports_neither_torch_nor_ros_nor_opencv():
    probe = (
        'import sys, thermal_perception.cli.main;'
        "print([m for m in ('torch', 'rclpy', 'cv2', 'rosbags') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, '-c', probe], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == '[]'


@pytest.mark.parametrize(
    'arguments',
    [
        ['--frobnicate'],
        ['frobnicate'],
        ['bag-from-images'],
        ['bag-from-images', '.', '--output', 'x', '--storage', 'floppy'],
        ['benchmark', '--against', 'clever'],
        ['export', '--cameras', '7'],
    ],
)
def test_wrong_call_exits_with_2_and_says_so_on_stderr(monkeypatch, capsys, arguments):
    code, out, err = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert out == ''
    assert 'Error' in err


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['evaluate'], 'expected either --dataset DIR --split NAME or --bag BAG'),
        (['evaluate', '--dataset', 'x', '--bag', 'y'], 'expected either --dataset'),
        (['evaluate', '--dataset', 'x'], '--dataset needs --split'),
        (['evaluate', '--dataset', 'x', '--split', 'val', '--bits', '12'], 'found --bits 12'),
        (['evaluate', '--bag', 'x', '--bits', '16'], 'a bag is scored as recorded'),
        (['evaluate', '--bag', 'x', '--json', 'no/such/folder/a.json'], 'no/such/folder'),
        (
            ['evaluate', '--bag', 'x', '--artefact', 'y'],
            'found --artefact y with --backend torch, which takes none, expected openvino, onnxr',
        ),
        (['info', 'no/such.safetensors'], 'no/such.safetensors'),
        (['bag-from-images', 'no/such', '--output', 'x'], 'no/such: is not a folder'),
        (['bag-from-images', '.', '--output', '.'], '--output .: exists already'),
        (['bag-from-images', '.', '--output', 'x', '--rate', '0'], '--rate 0.0: expected more'),
        (['bag-from-images', '.', '--output', 'x', '--topic', 'a/'], '--topic a/: expected'),
        (['bag-from-images', '.', '--output', 'x', '--K', '1,2'], '--K 1,2: expected FX,FY'),
        (['replay', 'no/such'], 'no/such: is not a readable bag'),
        (['replay', 'x', '--rate', '0'], '--rate 0.0: expected more than 0'),
        (['replay', 'x', '--remap', 'a'], '--remap a: expected OLD:=NEW'),
        (['replay', 'x', '--speed', '2'], '--speed: unknown option; ROS arguments follow'),
        (['export', 'no/such.safetensors'], 'no/such.safetensors'),
        (['export', '--to', 'floppy'], "--to: found 'floppy', expected openvino or onnx"),
        (['export', '--model', 'emiff', '--cameras', '2'], '--cameras: found 2, expected 1'),
        (['run', 'toaster'], 'run toaster: no such node, expected one of'),
        (['run', 'fusion_detr', '--params', 'no.yaml'], '--params no.yaml: no such file'),
        (['run', 'fusion_detr', '--device', 'cpu'], '--device: unknown option'),
        (
            ['run', 'emiff_vehicle', '--cameras', '2'],
            '--cameras: found emiff_vehicle, expected one of fusion_detr, e2e_mfd, rgbt_segment',
        ),
    ],
)
def test_failure_exits_with_1_and_one_sentence_on_stderr(
    monkeypatch, capsys, tmp_path, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(monkeypatch, capsys, *arguments)
    assert code == 1
    assert out == ''
    assert sentence in err
    assert err.startswith('thermal-perception: ')
    assert err.count('\n') == 1


def test_debug_lets_the_traceback_through(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['thermal-perception', '--debug', 'evaluate'])
    with pytest.raises(ValueError, match='expected either --dataset'):
        entry.main()


def test_unexpected_error_is_one_sentence_too(monkeypatch, capsys):
    def broken(**_):
        raise RuntimeError('the disk is on fire')

    monkeypatch.setattr(entry, 'app', broken)
    code, _, err = call(monkeypatch, capsys, 'info')
    assert code == 1
    assert 'RuntimeError: the disk is on fire' in err


def test_interrupt_exits_with_130_in_silence(monkeypatch, capsys):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, 'app', interrupted)
    assert call(monkeypatch, capsys, 'info') == (130, '', '')
