"""The demo as a user runs it: cameras and node as processes over DDS, and how it ends."""

from __future__ import annotations

from dataclasses import replace
import json
import os
import subprocess

import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore, Stores

from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions
from thermal_perception.cli.demo.label_state import LabelState
from thermal_perception.cli.demo.show import DemoOptions, make_folder, prepare
from thermal_perception.cli.demo.sources import bag_images, node_parameters, replay_command
from thermal_perception.cli.processes import command_of
from thermal_perception.errors import CheckpointError, ConfigError, DatasetError
from thermal_perception.models.checkpoint import load_checkpoint, save_checkpoint


def run_demo(*arguments):
    return subprocess.run(
        command_of('demo', *map(str, arguments)),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )


@pytest.mark.timeout(280)
def test_simulated_cameras_are_watched_and_recorded(tmp_path, checkpoint):
    output = tmp_path / 'output'
    done = run_demo(
        '--checkpoint',
        checkpoint,
        '--duration',
        4,
        '--rate',
        4,
        '--output',
        output,
        '--device',
        'cpu',
        '--seed',
        20_001,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((output / 'summary.json').read_text())
    assert summary['frames'] >= 1
    assert summary['boxes'] >= 1
    assert summary['frames_with_truth'] >= 1
    assert 0 <= summary['precision'] <= 1
    assert 'model median [ms]' in summary['diagnostics']
    assert {p.name for p in output.iterdir()} >= {'overlay.mp4', 'logs', 'summary.json'}
    assert 'seed 20001: starting' in done.stdout
    assert 'frames=' in done.stdout


@pytest.mark.timeout(280)
def test_bag_is_replayed_to_its_end_and_finding_nothing_fails(tmp_path, dataset, checkpoint):
    images, truth = dataset / 'images' / 'val', dataset / 'annotations' / 'val.json'
    bag_from_images(
        BagOptions(images, tmp_path / 'bag', rate_hz=2, annotations=truth, topic='/seeker/image')
    )

    loaded = load_checkpoint(checkpoint)
    blind = tmp_path / 'blind.safetensors'
    save_checkpoint(blind, loaded.state, replace(loaded.info, score_threshold=1.0))
    done = run_demo('--bag', tmp_path / 'bag', '--checkpoint', blind, '--output', tmp_path / 'out')
    assert done.returncode == 1
    assert 'fusion_detr answered' in done.stderr
    assert 'never found anything' in done.stderr
    assert 'Traceback' not in done.stderr


def test_missing_or_damaged_weights_are_said_at_once(tmp_path):
    done = run_demo('--checkpoint', tmp_path / 'no.safetensors', '--output', tmp_path / 'out')
    assert done.returncode == 1
    assert 'no.safetensors: no such file' in done.stderr
    assert not (tmp_path / 'out').exists()
    broken = tmp_path / 'broken.safetensors'
    broken.write_bytes(b'not weights')
    with pytest.raises(CheckpointError, match='broken.safetensors: damaged'):
        prepare(DemoOptions(checkpoint=broken))


@pytest.mark.timeout(280)
def test_colour_camera_is_cut_off_and_comes_back(tmp_path, pair_checkpoint):
    output = tmp_path / 'output'
    done = run_demo(
        '--checkpoint', pair_checkpoint, '--duration', 12, '--rate', 2, '--output', output,
        '--device', 'cpu', '--condition', 'day',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if ' s  frames=' in line]
    notes = ['[colour camera cut off until 9 s]' in line for line in lines]
    assert any(notes)
    assert not notes[-1]
    seen = json.loads((output / 'summary.json').read_text())['diagnostics']
    assert int(seen['thermal paired']) > 0
    assert int(seen['thermal degraded']) > 0
    assert {p.name for p in output.iterdir()} >= {'overlay.mp4', 'fused_image.mp4'}
    assert 'fused_image.mp4' in done.stdout


@pytest.mark.timeout(280)
def test_vehicle_and_roadside_are_shown_together_and_the_link_is_cut(tmp_path, v2x_checkpoint):
    output = tmp_path / 'output'
    done = run_demo(
        '--checkpoint', v2x_checkpoint, '--duration', 9, '--rate', 2, '--output', output,
        '--device', 'cpu', '--condition', 'day',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '[link cut until' in done.stdout
    summary = json.loads((output / 'summary.json').read_text())
    assert summary['frames_with_truth'] > 0
    assert summary['alone']['frames'] > 0
    assert 0 <= summary['alone']['recall'] <= 1
    link = summary['nodes']['simulated_link']
    assert 0 < int(link['bytes delivered']) < int(link['bytes received'])
    assert int(link['cut']) > 0
    assert {p.name for p in output.iterdir()} >= {'birds_eye.mp4', 'logs', 'summary.json'}
    with pytest.raises(ConfigError, match='shown at a simulated crossing only'):
        prepare(DemoOptions(checkpoint=v2x_checkpoint, bag=tmp_path))


@pytest.mark.timeout(280)
def test_node_that_cannot_start_ends_the_demo_with_its_reason(tmp_path, checkpoint):
    loaded = load_checkpoint(checkpoint)
    state = dict(list(loaded.state.items())[1:])
    broken = tmp_path / 'broken.safetensors'
    save_checkpoint(broken, state, loaded.info)
    done = run_demo('--checkpoint', broken, '--output', tmp_path / 'out', '--duration', 1)
    assert done.returncode == 1
    assert 'broken.safetensors: weights do not fit' in done.stderr


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'duration_s': 0}, '--duration 0: expected more than 0'),
        ({'rate_hz': 0}, '--rate 0: expected more than 0'),
        ({'bits': 12}, '--bits 12: expected 8 or 16'),
    ],
)
def test_impossible_options_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        DemoOptions(**change)


def test_simulation_ends_after_20_s_and_a_bag_at_its_end(tmp_path):
    assert DemoOptions().wanted_s == 20.0
    assert DemoOptions(bag=tmp_path).wanted_s is None
    assert DemoOptions(bag=tmp_path, duration_s=3.0).wanted_s == 3.0


def test_earlier_results_go_and_files_of_others_stay(tmp_path):
    (tmp_path / 'logs').mkdir()
    ours = ['overlay.mp4', 'overlay_03.png', 'logs/fusion_detr.log']
    theirs = ['overlay_mine.png', 'logs/server.log', 'notes.txt']
    for name in [*ours, *theirs]:
        (tmp_path / name).touch()
    make_folder(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob('*') if p.is_file()}
    assert left == set(theirs)


def write_bag(path, **topics):
    store = get_typestore(Stores.LATEST)
    with Writer(path, version=9) as writer:
        for name, kind in topics.items():
            topic = f'/{name.replace("__", "/")}'
            writer.add_connection(topic, f'sensor_msgs/msg/{kind}', typestore=store)
    return path


def shown(checkpoint, bag, **options):
    return prepare(DemoOptions(bag=bag, checkpoint=checkpoint, **options))


def test_images_of_a_bag_are_found_raw_first_and_compressed_ones_go_to_the_sibling(
    tmp_path, checkpoint
):
    both = write_bag(tmp_path / 'both', heat='Image', other='CompressedImage')
    assert bag_images(shown(checkpoint, both)) == {'thermal': ('/heat', 'raw')}
    other = shown(checkpoint, both, image_topic='/other')
    assert bag_images(other) == {'thermal': ('/other', 'compressed')}
    packed = shown(checkpoint, write_bag(tmp_path / 'packed', heat='CompressedImage'))
    assert bag_images(packed) == {'thermal': ('/heat', 'compressed')}
    assert '/heat:=/thermal/image_raw/compressed' in replay_command(packed)
    assert '/heat:=/thermal/image_raw' in replay_command(shown(checkpoint, both))
    two = write_bag(tmp_path / 'two', left='Image', right='Image')
    with pytest.raises(DatasetError, match='expected exactly one'):
        bag_images(shown(checkpoint, two))


def test_truth_of_a_bag_is_replayed_where_the_node_answers_with_boxes(
    tmp_path, pair_checkpoint, label_checkpoint
):
    bag = write_bag(
        tmp_path / 'bag',
        thermal__image_raw='Image',
        rgb__image_raw='Image',
        ground_truth__detections='Image',
    )
    boxes, labels = shown(pair_checkpoint, bag), shown(label_checkpoint, bag)
    assert '/ground_truth/detections' in replay_command(boxes)
    assert '/ground_truth/detections' not in replay_command(labels)
    assert labels.node == 'rgbt_segmentation'
    assert isinstance(labels.state(), LabelState)
    assert set(labels.recorders()) == {'overlay'}


def test_two_cameras_of_a_bag_are_told_apart_by_their_names(tmp_path, pair_checkpoint):
    names = {
        'boson__thermal__image_raw': 'Image',
        'cam__rgb__image_raw__compressed': 'CompressedImage',
    }
    show = shown(pair_checkpoint, write_bag(tmp_path / 'pairs', **names))
    assert show.node == 'e2e_mfd'
    assert bag_images(show) == {
        'thermal': ('/boson/thermal/image_raw', 'raw'),
        'rgb': ('/cam/rgb/image_raw/compressed', 'compressed'),
    }
    assert '/cam/rgb/image_raw/compressed:=/rgb/image_raw/compressed' in replay_command(show)
    parameters = node_parameters(show)
    assert parameters['image_transport'] == 'raw'
    assert parameters['rgb_image_transport'] == 'compressed'
    unnamed = write_bag(tmp_path / 'unnamed', left='Image', right='Image')
    with pytest.raises(DatasetError, match='ends in thermal/image_raw'):
        bag_images(shown(pair_checkpoint, unnamed))
    named = shown(pair_checkpoint, unnamed, image_topic='/left', rgb_topic='/right')
    assert bag_images(named) == {'thermal': ('/left', 'raw'), 'rgb': ('/right', 'raw')}
