"""The training loop: exact resume, averaged weights, early stop, a line of log for every step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import math
import time
from typing import Any, Literal, NoReturn, TYPE_CHECKING

import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from thermal_perception.config import to_mapping
from training.gradients import GradientPass, NonFiniteLossError
from training.hardware import make_fabric
from training.interrupt import StopRequest
from training.optimise import (
    AveragedWeights,
    make_optimiser,
    set_learning_rates,
    step_factor,
)
from training.run_folder import RunFolder
from training.throughput import Throughput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lightning_fabric import Fabric
    from torch import Tensor

    from thermal_perception.models.record import CheckpointInfo
    from training.config import TrainingConfig
    from training.samples import Batch
    from training.task import Samples, Task

Outcome = Literal['finished', 'early', 'stopped']
"""How `fit` ended: all epochs, no better for too long, or asked to stop."""


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        epoch: epochs done.
        step: optimiser steps done within the next one.
        best: best score on dev so far, -1 before the first.
        stale: evaluations since then.
    """

    epoch: int = 0
    step: int = 0
    best: float = -1.0
    stale: int = 0


class Trainer:
    """One run in one folder, on one process or as one of many."""

    def __init__(
        self,
        task: Task,
        samples: Samples,
        config: TrainingConfig,
        info: CheckpointInfo,
        run: Path,
        *,
        fabric: Fabric | None = None,
        evaluate: Callable[[Mapping[str, Tensor]], Mapping[str, Any]] | None = None,
        metric: str = 'mAP50',
    ) -> None:
        """Wire the parts.

        Args:
            task: network with its losses, trained in place.
            samples: what to train on.
            config: the experiment.
            info: record that the checkpoints carry.
            run: folder of the run.
            fabric: launched; None works on the CPU of this process.
            evaluate: turns a state dict into metrics; the lead calls it.
            metric: key of the one, 0..1, by which the best weights are chosen.
        """
        self.samples, self.config, self.info = samples, config, info
        self.evaluate, self.metric = evaluate, metric
        self.fabric = fabric or make_fabric(precision=config.precision)
        if fabric is None:
            self.fabric.launch()
        if config.deterministic:
            torch.use_deterministic_algorithms(True)
        self.folder = RunFolder(run, writes=self.fabric.is_global_zero)
        self.task = task.to(self.fabric.device)
        self.model = self.task.model
        self.optimiser = make_optimiser(self.model, config.optimiser, task.recipe)
        self._wrapped, self._stepper = self.fabric.setup(self.task, self.optimiser)
        self._gradients = GradientPass(
            self.task, self._wrapped, self.fabric, config.optimiser.normaliser
        )
        decay, kind = config.optimiser.ema_decay, config.optimiser.ema
        self.average = AveragedWeights(self.model, decay, kind) if decay else None
        self.progress = Progress()
        self._saved_at = time.monotonic()

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch; what does not fill a batch is left out."""
        return max(1, self.samples.per_epoch // self._per_step)

    @property
    def _per_step(self) -> int:
        optimiser = self.config.optimiser
        return self.config.batch * optimiser.accumulate * self.fabric.world_size

    def fit(self) -> Outcome:
        """Train from where the run is to its end.

        Raises:
            NonFiniteLossError: if a loss or gradient is; what it came from is in the folder.
        """
        self.folder.write_config(to_mapping(self.config))
        try:
            with StopRequest() as request:
                return self._fit(request)
        finally:
            self.folder.close()

    def resume(self) -> bool:
        """Continue from the run folder's state; False if there is none."""
        state = self.folder.load_state(self.fabric.device)
        if state is None:
            return False
        self.model.load_state_dict(state['model'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.fabric.strategy.precision.load_state_dict(state['precision'])
        if self.average is not None:
            self.average.state, self.average.steps = state['average'], state['average_steps']
        self.progress = Progress(**state['progress'])
        self.folder.cut_log(self._steps_done)
        return True

    def _fit(self, request: StopRequest) -> Outcome:
        while self.progress.epoch < self.config.epochs:
            if self.config.patience and self.progress.stale >= self.config.patience:
                return 'early'
            if not self._epoch(self.progress.epoch, request):
                return 'stopped'
            self.progress.epoch, self.progress.step = self.progress.epoch + 1, 0
            self._finish_epoch()
        return 'finished'

    @property
    def _steps_done(self) -> int:
        return self.progress.epoch * self.steps_per_epoch + self.progress.step

    def _epoch(self, epoch: int, request: StopRequest) -> bool:
        """Take the steps of an epoch that are left; False if asked to stop."""
        throughput, done = Throughput(), self.progress.step
        batches = self._batches(epoch, done)
        self._wrapped.train()
        self.task.epoch = epoch
        bar = tqdm(
            range(done, self.steps_per_epoch),
            desc=f'epoch {epoch + 1}/{self.config.epochs}',
            initial=done,
            total=self.steps_per_epoch,
            unit='step',
            mininterval=2,
            disable=not self.fabric.is_global_zero,
        )
        for step in bar:
            terms = self._step(batches, epoch * self.steps_per_epoch + step, throughput)
            self.progress.step = step + 1
            bar.set_postfix(loss=f'{terms["loss"]:.3f}')
            if self._agree(request.asked):
                self._save_state()
                return False
            self._save_now_and_then()
        if throughput.images:
            self._log_throughput(throughput)
        return True

    def _agree(self, asked: bool) -> bool:
        """Whether any process was asked to stop: all must leave after the same step."""
        if self.fabric.world_size == 1:
            return asked
        told = self.fabric.all_reduce(torch.tensor(float(asked)), reduce_op='sum')
        return bool(told)

    def _batches(self, epoch: int, done: int) -> Iterator[Batch]:
        """Yield this process's micro-batches of an epoch, from its step `done` on."""
        micro, world = self.config.optimiser.accumulate, self.fabric.world_size
        firsts = [
            ((step * micro + m) * world + self.fabric.global_rank) * self.config.batch
            for step in range(done, self.steps_per_epoch)
            for m in range(micro)
        ]
        data = _MicroBatches(self.samples, self._order(epoch), epoch, firsts, self.config.batch)
        loader: DataLoader[Batch] = DataLoader(
            data,
            batch_size=None,
            num_workers=self.config.workers,
            pin_memory=self.fabric.device.type == 'cuda',
        )
        return iter(loader)

    def _order(self, epoch: int) -> list[tuple[int, int]]:
        """Return the samples of an epoch; a set smaller than one step is gone through again."""
        order = self.samples.order(epoch)
        return order * -(-self._per_step // len(order)) if len(order) < self._per_step else order

    def _step(
        self, batches: Iterator[Batch], total: int, throughput: Throughput
    ) -> dict[str, float]:
        """Take optimiser step number `total` of the run."""
        started = time.monotonic()
        # Everything random in a step hangs on its number, so a resumed run draws the same.
        number = (self.config.seed * 1_000_003 + total) * self.fabric.world_size
        torch.manual_seed(number + self.fabric.global_rank)
        factor = self._factor(total)
        set_learning_rates(self.optimiser, factor)
        micro = [self._next(batches) for _ in range(self.config.optimiser.accumulate)]
        loaded = time.monotonic()
        try:
            terms = self._gradients(micro, total)
        except NonFiniteLossError as error:
            self._refuse(str(error), micro)
        passed = time.monotonic()
        norm = self._update(micro, terms, total)
        seconds = {
            'data_s': loaded - started,
            'model_s': passed - loaded,
            'total_s': time.monotonic() - started,
        }
        throughput.add(**seconds, images=self._per_step)
        self.folder.log({'step': total, **terms, 'grad_norm': norm, 'lr': factor, **seconds})
        return terms

    def _factor(self, total: int) -> float:
        optimiser, epochs = self.config.optimiser, self.config.epochs
        return step_factor(total, self.steps_per_epoch, epochs, optimiser, self.task.recipe)

    def _next(self, batches: Iterator[Batch]) -> Batch:
        batch: Batch = self.fabric.to_device(next(batches))
        return batch

    def _update(self, micro: list[Batch], terms: dict[str, float], total: int) -> float:
        """Clip, step and average; returns the gradient norm before clipping."""
        norm_tensor = self.fabric.clip_gradients(
            self._wrapped,
            self._stepper,
            max_norm=self.config.optimiser.clip_norm,
            error_if_nonfinite=False,  # fp16 scales until they are finite
        )
        norm = float(norm_tensor)  # type: ignore[arg-type]
        terms.update(self.task.watched())
        if self.config.precision != 'fp16' and not math.isfinite(norm):
            self._refuse(f'step {total}: gradient norm {norm}, terms {terms}', micro)
        self._stepper.step()
        self._stepper.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.model)
        return norm

    def _refuse(self, sentence: str, micro: list[Batch]) -> NoReturn:
        """Keep the batch that broke the numbers, whichever process had it, and stop."""
        batches = [_plain(batch) for batch in micro]
        rank = self.fabric.global_rank
        name = f'nonfinite_{rank}.pt' if rank else 'nonfinite.pt'
        file = self.folder.keep({'batches': batches}, name)
        raise NonFiniteLossError(f'{sentence}; the batch is in {file}')

    def _finish_epoch(self) -> None:
        if self.fabric.is_global_zero:
            self._evaluate_and_save()
        self.fabric.barrier()
        self.progress = Progress(**self.fabric.broadcast(asdict(self.progress)))

    def _evaluate_and_save(self) -> None:
        state = self.average.state if self.average is not None else self.model.state_dict()
        last = self.progress.epoch == self.config.epochs
        better = False
        self.folder.save_weights('last', state, self.info)  # scoring them may take minutes
        if self.evaluate and (last or self.progress.epoch % self.config.evaluate_every == 0):
            better = self._evaluate(state)
        self._save_state()
        if better:
            self.folder.save_weights('best', state, self.info)

    def _evaluate(self, state: Mapping[str, Tensor]) -> bool:
        """Score weights on dev; returns whether they are the best so far."""
        assert self.evaluate is not None
        metrics, progress = dict(self.evaluate(state)), self.progress
        epoch = progress.epoch
        self.folder.log({'epoch': epoch, 'after_step': self._steps_done - 1, 'dev': metrics})
        score = metrics[self.metric] or 0.0  # None: nothing there to be found
        tqdm.write(f'epoch {epoch}: dev {self.metric} {score:.4f}')
        better: bool = score > progress.best
        progress.best = max(progress.best, score)
        progress.stale = 0 if better else progress.stale + 1
        return better

    def _log_throughput(self, throughput: Throughput) -> None:
        epoch = self.progress.epoch + 1
        about = {'epoch': epoch, 'after_step': self._steps_done - 1}
        self.folder.log({**about, **throughput.to_json()})
        if self.fabric.is_global_zero:
            tqdm.write(f'epoch {epoch}: {throughput}')

    def _save_now_and_then(self) -> None:
        """Save in the middle of an epoch too: on a CPU it may take an hour."""
        if time.monotonic() - self._saved_at > 60 * self.config.save_minutes:
            self._save_state()

    def _save_state(self) -> None:
        state: dict[str, Any] = {
            'model': self.model.state_dict(),
            'optimiser': self.optimiser.state_dict(),
            'precision': self.fabric.strategy.precision.state_dict(),
            'progress': asdict(self.progress),
            'config': to_mapping(self.config),
        }
        if self.average is not None:
            state['average'], state['average_steps'] = self.average.state, self.average.steps
        self.folder.save_state(state)
        self._saved_at = time.monotonic()


class _MicroBatches(Dataset['Batch']):
    """The micro-batches of one process in one epoch, in order; workers can make them ahead."""

    def __init__(
        self,
        samples: Samples,
        order: list[tuple[int, int]],
        epoch: int,
        firsts: list[int],
        size: int,
    ) -> None:
        """Note where each micro-batch starts in the order of the epoch."""
        self._samples, self._order, self._epoch = samples, order, epoch
        self._firsts, self._size = firsts, size

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._firsts)

    def __getitem__(self, index: int) -> Batch:
        """Draw one: a function of seed, epoch and position alone."""
        if index >= len(self._firsts):
            raise IndexError(index)
        first = self._firsts[index]
        pairs = self._order[first : first + self._size]
        return self._samples.batch(pairs, epoch=self._epoch, first=first)


def _plain(batch: Batch) -> dict[str, Any]:
    """Return a batch as tensors that load without our classes."""
    tensors = {k: v.cpu() for k, v in batch._asdict().items() if isinstance(v, torch.Tensor)}
    return {
        **tensors,
        'labels': [target.labels.cpu() for target in batch.targets],
        'boxes': [target.boxes.cpu() for target in batch.targets],
    }
