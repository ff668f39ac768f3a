"""What a run is told when the machine cannot do what it asks for."""

from __future__ import annotations

import pytest
import torch

from thermal_perception.errors import ConfigError
from training.hardware import make_fabric


def test_a_run_alone_needs_no_torchrun(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    fabric = make_fabric('cpu')
    fabric.launch()
    assert (fabric.world_size, fabric.global_rank, fabric.device.type) == (1, 0, 'cpu')


def test_a_missing_gpu_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ConfigError, match='--device cuda: .*no CUDA GPU'):
        make_fabric('cuda')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'device': 'tpu'}, "--device: found 'tpu', expected auto, cpu or cuda"),
        ({'precision': 'fp8'}, "precision: found 'fp8'"),
        ({'precision': 'fp16'}, 'found fp16 on the CPU, expected bf16 or fp32'),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make_fabric(**{'device': 'cpu', **options})


def test_target_boxes_keep_their_precision_in_bf16(make_trainer):
    trainer = make_trainer(epochs=1, precision='bf16')
    seen = []
    trainer.task.criterion.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    trainer.fit()
    boxes = [target.boxes for targets in seen for target in targets]
    assert all(b.dtype == torch.float32 for b in boxes)
