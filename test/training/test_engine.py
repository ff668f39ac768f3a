from __future__ import annotations

import json
import math
import signal

import pytest
import torch
import yaml

from thermal_perception.config import from_mapping
from thermal_perception.models.checkpoint import load_checkpoint
from training.config import TrainingConfig
from training.gradients import NonFiniteLossError

DENOISED = {'queries': 'anchors', 'class_loss': 'focal', 'denoising': 4, 'dropout': 0.1}


def log_of(run):
    return [json.loads(line) for line in (run / 'log.jsonl').read_text().splitlines()]


def steps_of(run):
    """Return the logged terms of every step, without what depends on the clock."""
    rows = [row for row in log_of(run) if 'step' in row]
    clock = ('total_s', 'data_s', 'model_s')
    return [{k: v for k, v in row.items() if k not in clock} for row in rows]


class Interrupted(Exception):
    """Stands for a power cut."""


def test_a_resumed_run_has_exactly_the_losses_of_one_without_interruption(make_trainer):
    options = {'model': DENOISED, 'epochs': 3, 'optimiser': {'ema_decay': 0.9}}
    whole = make_trainer('whole', **options)
    whole.fit()

    def stop_in_second_epoch(state):
        if trainer.progress.epoch == 2:
            raise Interrupted
        return {'mAP50': 0.1}

    trainer = make_trainer('cut', evaluate=stop_in_second_epoch, **options)
    with pytest.raises(Interrupted):
        trainer.fit()
    again = make_trainer('cut', **{**options, 'seed': 0})
    with torch.no_grad():  # whatever it starts from is replaced
        for parameter in again.model.parameters():
            parameter.normal_()
    assert again.resume()
    assert again.progress.epoch == 1
    again.fit()
    expected = steps_of(whole.folder.path)
    assert [row['step'] for row in expected] == [0, 1, 2, 3, 4, 5]
    assert steps_of(again.folder.path)[-4:] == expected[-4:]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
        assert torch.equal(whole.average.state[name], again.average.state[name])


def stop_after(trainer, steps, how=None):
    """Ask a trainer to stop in the middle of an epoch, after so many steps of its run."""
    taken = []

    def ask(*_):
        taken.append(1)
        if len(taken) == steps:
            signal.raise_signal(how or signal.SIGINT)

    trainer.optimiser.register_step_post_hook(ask)


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_and_resuming_repeats_nothing(make_trainer, how):
    options = {'model': DENOISED, 'epochs': 2, 'optimiser': {'ema_decay': 0.9}}
    whole = make_trainer('whole', **options)
    assert whole.fit() == 'finished'
    cut = make_trainer('cut', **options)
    stop_after(cut, 3, how)
    assert cut.fit() == 'stopped'
    again = make_trainer('cut', **options)
    assert again.resume()
    assert (again.progress.epoch, again.progress.step) == (1, 1)
    assert again.fit() == 'finished'
    assert steps_of(again.folder.path) == steps_of(whole.folder.path)
    for name, value in whole.average.state.items():
        assert torch.equal(value, again.average.state[name])


def test_a_second_signal_interrupts_at_once(make_trainer):
    trainer = make_trainer()

    def ask_twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    trainer.optimiser.register_step_post_hook(ask_twice)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert signal.getsignal(signal.SIGINT) is before


def test_steps_after_the_last_saved_state_are_logged_once(make_trainer):
    trainer = make_trainer('cut', epochs=2)
    stop_after(trainer, 3)
    trainer.fit()
    trainer.folder.log({'step': 3, 'loss': 99.0})  # as if it had gone on and then been killed
    with (trainer.folder.path / 'log.jsonl').open('a') as file:
        file.write('{"step": 4, "lo')
    again = make_trainer('cut', epochs=2)
    again.resume()
    again.fit()
    assert [row['step'] for row in steps_of(again.folder.path)] == [0, 1, 2, 3]


def test_a_run_that_gets_no_better_stops_early(make_trainer):
    scores = iter([0.3, 0.5, 0.5, 0.4, 0.9])
    trainer = make_trainer(epochs=5, patience=2, evaluate=lambda state: {'mAP50': next(scores)})
    assert trainer.fit() == 'early'
    assert trainer.progress.epoch == 4
    assert trainer.progress.best == 0.5


def test_a_long_epoch_is_saved_in_its_middle(make_trainer):
    trainer = make_trainer(epochs=1, save_minutes=0.0)
    seen = []
    trainer.optimiser.register_step_post_hook(
        lambda *_: seen.append(trainer.folder.state_file.exists())
    )
    trainer.fit()
    assert seen == [False, True]


def test_throughput_is_logged_for_each_epoch(make_trainer):
    trainer = make_trainer(epochs=2)
    trainer.fit()
    rows = [row for row in log_of(trainer.folder.path) if 'images_per_s' in row]
    assert [row['epoch'] for row in rows] == [1, 2]
    assert all(0 < row['model_share'] < 1 and 0 <= row['data_share'] < 1 for row in rows)


def test_batches_made_ahead_by_workers_are_the_same(make_trainer):
    alone, helped = (make_trainer(f'{n}', epochs=1, workers=n) for n in (0, 2))
    alone.fit()
    helped.fit()
    assert steps_of(alone.folder.path) == steps_of(helped.folder.path)


def test_deterministic_mode_is_set(make_trainer):
    try:
        make_trainer(deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_resolved_experiment_is_in_the_folder(make_trainer):
    trainer = make_trainer(epochs=1)
    trainer.fit()
    values = yaml.safe_load((trainer.folder.path / 'config.yaml').read_text())
    assert from_mapping(TrainingConfig, values, where='run') == trainer.config


def test_nothing_to_resume_is_said(make_trainer):
    assert not make_trainer().resume()


def test_losses_fall_and_every_step_is_logged(make_trainer):
    trainer = make_trainer(epochs=4)
    trainer.fit()
    rows = steps_of(trainer.folder.path)
    assert len(rows) == 8
    assert rows[-1]['loss'] < rows[0]['loss']
    for row in rows:
        assert row['loss'] == pytest.approx(row['class'] + row['l1'] + row['giou'], rel=1e-5)
        assert sum(row[f'alpha_{i}'] for i in range(4)) == pytest.approx(1)
        assert row['alpha_min_0'] <= row['alpha_0'] <= row['alpha_max_0']
        assert row['grad_wq'] > 0
    assert all(rows[-1][f'w_{i}'] != 0 for i in range(4))


def test_each_epoch_leaves_a_state_and_a_checkpoint_and_no_part(make_trainer):
    scores = iter([0.5, 0.4])
    seen = []

    def evaluate(state):
        seen.append({k: v.clone() for k, v in state.items()})
        return {'mAP50': next(scores)}

    trainer = make_trainer(evaluate=evaluate)
    trainer.fit()
    files = {p.name for p in trainer.folder.path.iterdir()}
    assert files == {
        'config.yaml', 'log.jsonl', 'last.pt', 'last.safetensors', 'best.safetensors'
    }
    best, last = (
        load_checkpoint(trainer.folder.path / f'{n}.safetensors').state for n in ('best', 'last')
    )
    for found, state in ((best, seen[0]), (last, seen[1])):  # the first epoch was the better one
        assert all(torch.equal(found[k], v.half().float()) for k, v in state.items())
    state = torch.load(trainer.folder.state_file, weights_only=True)
    assert state['progress']['best'] == 0.5


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(make_trainer):
    trainer = make_trainer(epochs=1)
    trainer.fit()
    before = (trainer.folder.path / 'last.pt').read_bytes()
    with torch.no_grad():
        trainer.model.decoder.class_embed[0].bias[0] = float('nan')
    trainer.progress.epoch = 0
    with pytest.raises(FloatingPointError):
        trainer.fit()
    assert (trainer.folder.path / 'last.pt').read_bytes() == before


def test_the_batch_of_a_loss_that_is_not_finite_is_kept(make_trainer):
    trainer = make_trainer()
    with torch.no_grad():
        trainer.model.decoder.bbox_embed[-1].layers[-1].weight.fill_(float('nan'))
    with pytest.raises(FloatingPointError):
        trainer.fit()
    kept = torch.load(trainer.folder.path / 'nonfinite.pt', weights_only=True)['batches']
    expected = trainer.samples.batch(trainer._order(0)[:2], epoch=0, first=0)
    assert torch.equal(kept[0]['thermal'], expected.thermal)
    assert torch.equal(kept[0]['boxes'][1], expected.targets[1].boxes)


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_weights_break(make_trainer):
    trainer = make_trainer()
    trainer.model.neck.fusion.conv.weight.register_hook(lambda grad: grad * float('inf'))
    with pytest.raises(NonFiniteLossError, match='step 0: gradient norm'):
        trainer.fit()
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert not (trainer.folder.path / 'last.pt').exists()


def test_accumulating_with_the_step_normaliser_equals_one_large_batch(make_trainer):
    # The class loss of focal queries is divided by the same number as the box losses.
    model = {'queries': 'anchors', 'class_loss': 'focal'}
    runs = {}
    for name, batch, accumulate in (('one', 4, 1), ('four', 1, 4)):
        optimiser = {'accumulate': accumulate, 'normaliser': 'step'}
        trainer = make_trainer(name, model=model, batch=batch, optimiser=optimiser, epochs=2)
        trainer.fit()
        runs[name] = steps_of(trainer.folder.path)
    assert len(runs['one']) == 2
    for one, four in zip(runs['one'], runs['four']):
        for term in ('loss', 'class', 'l1', 'giou', 'grad_norm'):
            assert four[term] == pytest.approx(one[term], rel=1e-3)


def test_a_set_smaller_than_one_step_is_gone_through_again(make_trainer):
    trainer = make_trainer(batch=3, optimiser={'accumulate': 2}, epochs=1)
    order = trainer._order(0)
    assert trainer.steps_per_epoch == 1
    assert len(order) >= 6
    assert set(order) == {(0, n) for n in range(4)}
    trainer.fit()
    assert len(steps_of(trainer.folder.path)) == 1


def test_gradients_are_clipped_to_the_global_norm(make_trainer):
    trainer = make_trainer(epochs=1, optimiser={'clip_norm': 0.01})
    seen = []

    def note(*_):
        grads = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        seen.append(math.sqrt(sum(float(g.square().sum()) for g in grads)))

    trainer.optimiser.register_step_pre_hook(note)
    trainer.fit()
    assert max(seen) <= 0.01 * 1.001
    first = steps_of(trainer.folder.path)[0]
    assert first['grad_norm'] > 0.01  # what is logged is the norm before


def test_learning_rate_of_the_backbone_is_its_own_and_both_follow_the_schedule(make_trainer):
    rates = {'lr': 1e-3, 'backbone_lr': 1e-4, 'warmup_steps': 4}
    trainer = make_trainer(epochs=1, optimiser=rates)
    trainer.fit()
    assert {g['base_lr'] for g in trainer.optimiser.param_groups} == {1e-3, 1e-4}
    for group in trainer.optimiser.param_groups:
        assert group['lr'] == pytest.approx(group['base_lr'] * 2 / 4)
    assert [row['lr'] for row in steps_of(trainer.folder.path)] == pytest.approx([0.25, 0.5])


def test_averaged_weights_are_what_is_saved_and_evaluated(make_trainer):
    seen = []
    trainer = make_trainer(
        epochs=1,
        optimiser={'ema_decay': 0.99},
        evaluate=lambda state: seen.append(state['encoder.0.linear1.weight'].clone())
        or {'mAP50': 0.0},
    )
    trainer.fit()
    name = 'encoder.0.linear1.weight'
    saved = load_checkpoint(trainer.folder.path / 'last.safetensors').state[name]
    assert torch.equal(seen[0], trainer.average.state[name])
    assert torch.equal(saved, seen[0].half().float())
    assert not torch.equal(trainer.model.state_dict()[name], seen[0])


def test_half_precision_training_works_in_bf16(make_trainer):
    trainer = make_trainer(epochs=1, precision='bf16')
    trainer.fit()
    assert all(math.isfinite(row['loss']) for row in steps_of(trainer.folder.path))
    assert next(trainer.model.parameters()).dtype == torch.float32
