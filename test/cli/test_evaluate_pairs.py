"""evaluate on a folder of pairs, with a tiny network of random weights."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pytest
from rich.console import Console
from tiny import e2e_mfd

from thermal_perception.cli.evaluate import evaluate, EvaluateOptions
from thermal_perception.cli.evaluate_pairs import fusion_table
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.image_fusion import FIGURES, FusionMetrics, FusionQuality
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo

CLASSES = ('person', 'car')


@pytest.fixture(scope='module')
def fusing(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'fusing.safetensors'
    save_random(path, CheckpointInfo('tiny', 'e2e_mfd', e2e_mfd(CLASSES), {}, CLASSES))
    return path


@pytest.fixture
def pairs(tmp_path):
    rng = np.random.default_rng(0)
    for kind, shape in (('infrared', (48, 64)), ('visible', (48, 64, 3))):
        (tmp_path / kind).mkdir()
        for name in 'ab':
            image = rng.integers(0, 256, shape).astype(np.uint8)
            cv2.imwrite(str(tmp_path / kind / f'{name}.png'), image)
    (tmp_path / 'val.txt').write_text('a\n')
    return tmp_path


def run(pairs, checkpoint, **options):
    path = pairs / 'scores.json'
    evaluate(
        EvaluateOptions(dataset=pairs, checkpoint=checkpoint, json=path, device='cpu', **options)
    )
    return json.loads(path.read_text())


def test_json_holds_the_model_and_every_baseline(pairs, fusing):
    found = run(pairs, fusing)
    assert set(FIGURES) <= found['metrics'].keys()
    assert list(found['baselines']) == ['average', 'maximum', 'laplacian', 'guided_filter']
    assert all(set(FIGURES) <= row.keys() for row in found['baselines'].values())
    assert found['images'] == 2
    assert found['model'] == 'tiny'
    assert found['latency_ms']['total']['median'] > 0


def test_a_split_takes_the_listed_pairs(pairs, fusing):
    assert run(pairs, fusing, split='val')['images'] == 1


def test_a_model_of_one_camera_cannot_fuse(pairs, checkpoint):
    with pytest.raises(ConfigError, match='tiny looks at thermal images alone'):
        run(pairs, checkpoint)


def test_table_fits_and_marks_the_best():
    low, high = (
        FusionMetrics(FusionQuality(*[value] * len(FIGURES)), 3, {}) for value in (0.25, 0.75)
    )
    names = ('model', 'average', 'maximum', 'laplacian', 'guided_filter')
    metrics = {name: high if name == 'maximum' else low for name in names}
    table = fusion_table(metrics)
    output = io.StringIO()
    Console(file=output, width=80).print(table)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ['EN', '0.250', '0.250', '0.750', '0.250', '0.250']
    assert next(iter(table.columns[3].cells)) == '[bold]0.750[/bold]'
    assert list(table.columns[3].cells)[FIGURES.index('VIF_paper')] == '0.750'
    halos = FIGURES.index('halo')  # of which less is better
    assert list(table.columns[3].cells)[halos] == '0.750'
    assert list(table.columns[2].cells)[halos] == '[bold]0.250[/bold]'


def test_fusing_needs_both_cameras(pairs, fusing):
    with pytest.raises(ConfigError, match='--without rgb leaves nothing to fuse in'):
        run(pairs, fusing, without='rgb')
