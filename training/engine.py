"""The training loop: exact resume, averaged weights, atomic checkpoints, one JSON line a step."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
import json
import math
import os
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

import torch
from tqdm import tqdm

from thermal_perception.config import to_mapping
from thermal_perception.models.checkpoint import CheckpointInfo, save_checkpoint
from thermal_perception.models.denoising import Target
from training.distributed import Processes
from training.losses import FusionDetrCriterion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn, Tensor

    from training.config import OptimiserConfig, TrainingConfig
    from training.samples import Batch, TrainingSamples


class NonFiniteLossError(FloatingPointError):
    """A loss or gradient became NaN or infinite; the run stops, the last checkpoint stays."""


class AveragedWeights:
    """Exponential moving average of a model's floating-point state.

    The decay rises from 0.1 as (1 + step) / (10 + step), so that early averages forget fast.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start at the current weights."""
        self.decay = decay
        self.steps = 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the current weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def learning_rate_factor(step: int, total: int, config: OptimiserConfig) -> float:
    """Return the factor on the base learning rates at a step of `total`."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == 'step':
        return 1.0 if step < config.drop_at * total else 0.1
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return config.final_factor + (1 - config.final_factor) * cosine


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """Return AdamW with the groups of `trainable_groups`, decay where it belongs."""
    groups = [
        {
            'params': parameters,
            'lr': config.backbone_lr if name.startswith('backbone') else config.lr,
            'weight_decay': (
                config.weight_decay if config.decay_all or not name.endswith('_no_decay') else 0.0
            ),
        }
        for name, parameters in model.trainable_groups().items()  # type: ignore[operator]
    ]
    for group in groups:
        group['base_lr'] = group['lr']
    return torch.optim.AdamW(groups)


@dataclass
class Progress:
    """Where a run is: epochs done, and optimiser steps done within the next one."""

    epoch: int = 0
    step: int = 0
    best: float = -1.0


class Trainer:
    """One run in one folder."""

    def __init__(
        self,
        model: nn.Module,
        samples: TrainingSamples,
        config: TrainingConfig,
        info: CheckpointInfo,
        run: Path,
        *,
        device: str = 'cpu',
        processes: Processes | None = None,
        evaluate: Callable[[Mapping[str, Tensor]], Mapping[str, Any]] | None = None,
    ) -> None:
        """Wire the parts; `evaluate` turns a state dict into metrics with the key `mAP50`."""
        self.model, self.samples, self.config, self.info = model, samples, config, info
        self.run, self.device, self.evaluate = run, torch.device(device), evaluate
        self.processes = processes or Processes()
        self.optimiser = make_optimiser(model, config.optimiser)
        self.criterion = FusionDetrCriterion(info.config.get('class_loss', 'softmax'), config.loss)
        self.scaler = torch.amp.GradScaler(enabled=config.precision == 'fp16')
        decay = config.optimiser.ema_decay
        self.average = AveragedWeights(model, decay) if decay else None
        self.progress = Progress()
        run.mkdir(parents=True, exist_ok=True)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch; what does not fill a batch is left out."""
        return max(1, self.samples.per_epoch // self._per_step)

    @property
    def _per_step(self) -> int:
        return self.config.batch * self.config.optimiser.accumulate * self.processes.size

    def fit(self) -> None:
        """Train from where the run is to its last epoch."""
        while self.progress.epoch < self.config.epochs:
            self._epoch(self.progress.epoch)
            self.progress.epoch += 1
            self._finish_epoch()

    def resume(self) -> bool:
        """Continue from the run folder's last state; False if there is none."""
        file = self.run / 'last.pt'
        if not file.is_file():
            return False
        state = torch.load(file, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state['model'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.scaler.load_state_dict(state['scaler'])
        if self.average is not None:
            self.average.state, self.average.steps = state['average'], state['average_steps']
        self.progress = Progress(**state['progress'])
        return True

    def _epoch(self, epoch: int) -> None:
        order = self._order(epoch)
        self.model.train()
        bar = tqdm(
            range(self.steps_per_epoch),
            desc=f'epoch {epoch + 1}/{self.config.epochs}',
            unit='step',
            mininterval=2,
            disable=not self.processes.leads,
        )
        for step in bar:
            terms = self._step(order, epoch, step)
            bar.set_postfix(loss=f'{terms["loss"]:.3f}')

    def _order(self, epoch: int) -> list[tuple[int, int]]:
        """Return the samples of an epoch; a set smaller than one step is gone through again."""
        order = self.samples.order(epoch)
        return order * -(-self._per_step // len(order)) if len(order) < self._per_step else order

    def _step(self, order: list[tuple[int, int]], epoch: int, step: int) -> dict[str, float]:
        started = time.monotonic()
        total = epoch * self.steps_per_epoch + step
        # Everything random in a step hangs on its number, so a resumed run draws the same.
        torch.manual_seed(
            (self.config.seed * 1_000_003 + total) * self.processes.size + self.processes.rank
        )
        factor = learning_rate_factor(
            total, self.config.epochs * self.steps_per_epoch, self.config.optimiser
        )
        for group in self.optimiser.param_groups:
            group['lr'] = group['base_lr'] * factor
        terms = self._accumulate(order, epoch, step)
        self.processes.average_gradients(self.model)
        self.scaler.unscale_(self.optimiser)
        terms.update(self._fusion_terms())
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.optimiser.clip_norm
        )
        if not (self.scaler.is_enabled() or bool(torch.isfinite(norm))):
            raise NonFiniteLossError(f'step {total}: gradient norm {float(norm)}, terms {terms}')
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.model)
        seconds = time.monotonic() - started
        self._log({'step': total, **terms, 'grad_norm': float(norm), 'lr': factor, 's': seconds})
        return terms

    def _accumulate(
        self, order: list[tuple[int, int]], epoch: int, step: int
    ) -> dict[str, float]:
        loading = time.monotonic()
        batches = self._load(order, epoch, step)
        sums = {'data_s': time.monotonic() - loading}
        num_boxes = None
        if self.config.optimiser.normaliser == 'step':
            count = sum(len(t.labels) for b in batches for t in b.targets)
            num_boxes = self.processes.mean(float(count)) / len(batches)
        for batch in batches:
            terms = self._forward_backward(batch, num_boxes, len(batches))
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value / len(batches)
        return sums

    def _fusion_terms(self) -> dict[str, float]:
        """Return what tells whether the fusion learns: w, and the gradient of its queries."""
        terms: dict[str, float] = {}
        for name, parameter in self.model.named_parameters():
            if name.endswith('fusion.w'):
                terms.update({f'w_{i}': float(w) for i, w in enumerate(parameter.detach())})
            if name.endswith('fusion.query.weight') and parameter.grad is not None:
                terms['grad_wq'] = float(parameter.grad.norm())
        return terms

    def _load(self, order: list[tuple[int, int]], epoch: int, step: int) -> list[Batch]:
        """Return this process's micro-batches of a step."""
        size, micro, world = self.config.batch, self.config.optimiser.accumulate, self.processes
        first = [((step * micro + m) * world.size + world.rank) * size for m in range(micro)]
        return [self.samples.batch(order[f : f + size], epoch=epoch, first=f) for f in first]

    def _forward_backward(
        self, batch: Batch, num_boxes: float | None, micro: int
    ) -> dict[str, float]:
        images = batch.images.to(self.device).contiguous(memory_format=torch.channels_last)
        padding = None if batch.padding is None else batch.padding.to(self.device)
        targets = [Target(*(v.to(self.device) for v in t)) for t in batch.targets]
        with self._autocast():
            output = self.model(images, padding, targets)
        terms = self.criterion(output, targets, num_boxes)
        loss = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(loss)):
            raise NonFiniteLossError(f'loss terms {({k: float(v) for k, v in terms.items()})}')
        self.scaler.scale(loss / micro).backward()
        named = {k: float(v.detach()) for k, v in terms.items()}
        if output.fusion is not None:
            alpha = output.fusion.alpha_hat.detach()
            spread = {'': alpha.mean(0), '_min': alpha.amin(0), '_max': alpha.amax(0)}
            for name, value in spread.items():
                named.update({f'alpha{name}_{i}': float(a) for i, a in enumerate(value)})
        return {'loss': float(loss.detach()), **named}

    def _autocast(self) -> Any:
        if self.config.precision == 'fp32':
            return nullcontext()
        dtype = torch.bfloat16 if self.config.precision == 'bf16' else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def _finish_epoch(self) -> None:
        if self.processes.leads:
            self._evaluate_and_save()
        self.processes.wait()

    def _evaluate_and_save(self) -> None:
        state = self.average.state if self.average is not None else self.model.state_dict()
        metrics: dict[str, Any] = {}
        last = self.progress.epoch == self.config.epochs
        if self.evaluate and (last or self.progress.epoch % self.config.evaluate_every == 0):
            metrics = dict(self.evaluate(state))
            self._log({'epoch': self.progress.epoch, 'dev': metrics})
            tqdm.write(f'epoch {self.progress.epoch}: dev mAP50 {metrics["mAP50"]:.4f}')
        self._save_state()
        save_checkpoint(self.run / 'last.safetensors', state, self.info)
        if metrics and metrics['mAP50'] > self.progress.best:
            self.progress.best = metrics['mAP50']
            save_checkpoint(self.run / 'best.safetensors', state, self.info)
            self._save_state()

    def _save_state(self) -> None:
        state = {
            'model': self.model.state_dict(),
            'optimiser': self.optimiser.state_dict(),
            'scaler': self.scaler.state_dict(),
            'progress': self.progress.__dict__,
            'config': to_mapping(self.config),
        }
        if self.average is not None:
            state['average'], state['average_steps'] = self.average.state, self.average.steps
        part = self.run / 'last.pt.part'
        torch.save(state, part)
        os.replace(part, self.run / 'last.pt')

    def _log(self, values: Mapping[str, Any]) -> None:
        if not self.processes.leads:
            return
        with (self.run / 'log.jsonl').open('a', encoding='utf-8') as file:
            file.write(json.dumps(values) + '\n')
