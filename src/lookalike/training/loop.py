"""The only training loop: every method, on one process or many, resumed to the bit."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from lookalike.checkpoint import load_checkpoint, save_checkpoint
from lookalike.errors import LookalikeError, PreemptedError, TrainingError
from lookalike.methods.base import Batch, ComparesProjections, Method, Step
from lookalike.training.distributed import World
from lookalike.training.monitors import Monitors, refuse_collapse
from lookalike.training.progress import Progress, duration
from lookalike.training.run_folder import RunFolder, read_lines
from lookalike.training.schedule import own_rates, scale_rates, scheduled_rate
from lookalike.training.signals import StopRequest


class Batches(Protocol):
    """Where the loop takes its batches from.

    count: images that can be trained on.
    waited: seconds spent waiting for images since the last epoch began.
    """

    count: int
    waited: float

    def epoch(self, epoch: int, *, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches start, ..., stop - 1 of an epoch."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long to train and how often to look.

    Attributes:
        epochs: times every image is seen.
        steps_an_epoch: whole batches in an epoch; what is left over waits for another order.
        batch_size: images a step, over all processes.
        rate_share: of every group's peak learning rate, in the next step, in [0, 1]; from the
            number of steps done.
        precision: of the matrix products: torch.bfloat16 or torch.float32.
        accumulate: parts that a process's share of a batch is projected in.
        compile: whether the forward and backward pass are compiled.
        save_every: seconds between checkpoints.
        log_every: steps between rows of metrics.
        monitor_every: epochs between readings of the monitors.
    """

    epochs: int
    steps_an_epoch: int
    batch_size: int
    rate_share: Callable[[int], float]
    precision: torch.dtype
    accumulate: int
    compile: bool
    save_every: float
    log_every: int
    monitor_every: int

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.epochs * self.steps_an_epoch


class _Entry(nn.Module):
    """One door into a method, so that one wrapper covers its forward and its parts."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, part: str, argument: Any) -> Any:
        return getattr(self.method, part)(argument)


class Loop:
    """A method on its way from the first step to the last.

    Args:
        method: what is trained, on its device.
        optimizer: of its parameters.
        batches: where views come from.
        monitors: what watches it; none: nothing does.
        pace: how long, and how often.
        folder: where its state and its numbers go.
        world: the processes that share the work.
        progress: what a person sees.
    """

    def __init__(
        self,
        method: Method,
        optimizer: torch.optim.Optimizer,
        batches: Batches,
        monitors: Monitors | None,
        *,
        pace: Pace,
        folder: RunFolder,
        world: World,
        progress: Progress,
    ) -> None:
        self.method = method
        self.optimizer = optimizer
        self._peaks = own_rates(optimizer)  # before a checkpoint brings its step's own
        self.batches = batches
        self.monitors = monitors
        self.pace = pace
        self.folder = folder
        self.world = world
        self.progress = progress
        self.step = 0
        self._totals: dict[str, Tensor] = {}
        self._facts: dict[str, str] = {}
        self._saved = time.monotonic()
        self._saved_step = -1
        entry: nn.Module = _Entry(method)
        if pace.compile:
            entry.compile()
        if world.size > 1:
            entry = _shared(entry, world.device)
        self._entry = entry

    def resume(self) -> bool:
        """Take up the newest whole checkpoint; return whether there was one."""
        found = load_checkpoint(self.folder.checkpoints)
        steps = self.world.collect(torch.tensor(found.step if found else -1)).tolist()
        if len(set(steps)) > 1:
            raise LookalikeError(
                f"processes see different checkpoints, of steps {steps}\n"
                f"  fix: let all of them reach {self.folder.checkpoints}, and start again"
            )
        if found is not None:
            for problem in found.damaged:
                self.progress.say(f"warning: {problem}; using {found.path.name}")
            self.step = self._saved_step = found.step
            self.method.load_state_dict(found.state["method"])
            self.optimizer.load_state_dict(found.state["optimizer"])
            _lay_out_like_parameters(self.optimizer)
            device = self.world.device
            self._totals = {name: t.to(device) for name, t in found.state["totals"].items()}
            _set_random_state(found.state["random"], self.world)
        if self.world.leads:
            self.folder.rewind_metrics(found.state["metrics_size"] if found else 0, self.step)
        return found is not None

    def run(self) -> None:
        """Train from the current step to the last.

        Raises:
            PreemptedError: a signal came; the state is saved.
            TrainingError: a loss is not finite, or representations collapsed.
        """
        self.method.train()
        if self.step == 0:
            self._monitor(epoch=0)
        with StopRequest() as stop:
            while self.step < self.pace.steps:
                epoch, start = divmod(self.step, self.pace.steps_an_epoch)
                self._epoch(epoch, start, stop)
        if self._saved_step != self.step:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of all that the next step depends on."""
        random = self.world.collect(_random_state(self.world.device))
        if self.world.leads:
            self._refuse_to_save_nonsense()
            state = {
                "method": self.method.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "totals": self._totals,
                "random": random,
                "metrics_size": self.folder.metrics_size(),
            }
            save_checkpoint(self.folder.checkpoints, self.step, state)
        self._saved, self._saved_step = time.monotonic(), self.step

    def _epoch(self, epoch: int, start: int, stop: StopRequest) -> None:
        pace, began, images = self.pace, time.monotonic(), 0
        batches = self.batches.epoch(epoch, start=start, stop=pace.steps_an_epoch)
        for batch in batches:
            scale_rates(self.optimizer, self._peaks, pace.rate_share(self.step))
            step = self._gradients(batch)
            due = time.monotonic() - self._saved > pace.save_every and self.world.leads
            halt, due, broken = self.world.any(bool(stop), due, self._broken(step.loss))
            if broken:
                raise self._not_finite(epoch)
            self.optimizer.step()
            self.step += 1
            with torch.no_grad():
                self.method.after_step(step, self.step / pace.steps)
            self._count(step)
            images += pace.batch_size
            last = self.step % pace.steps_an_epoch == 0
            if self.step % pace.log_every == 0:
                self._log(epoch)
            if last and ((epoch + 1) % pace.monitor_every == 0 or self.step == pace.steps):
                self._monitor(epoch + 1)
            self._show(epoch, images, time.monotonic() - began)
            if halt:
                self.save()
                raise PreemptedError(
                    f"stopped by {stop.name or 'a signal'} at step {self.step:,} of "
                    f"{pace.steps:,}, saved\n  fix: run the same command again: it goes on from "
                    "there, to the same result"
                )
            if due:
                self.save()
        seconds = time.monotonic() - began
        if self.world.leads and images:
            row = {
                "step": self.step,
                "images_per_second": round(images / seconds, 1),
                "wait_share": round(self.batches.waited / seconds, 4),
                "seconds": round(seconds, 2),
            }
            self.folder.append(self.folder.speed, row)

    def _autocast(self) -> torch.autocast:
        precision = self.pace.precision
        return torch.autocast(self.world.device.type, precision, enabled=precision != torch.float32)

    def _gradients(self, batch: Batch) -> Step:
        """Return the step of a batch, its gradients in the parameters."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.pace.accumulate > 1:
            return self._cached_gradients(batch)
        with self._autocast():
            step = cast(Step, self._entry("forward", batch))
        step.loss.backward()  # type: ignore[no-untyped-call]
        return Step(step.loss.detach(), step.logs, step.carry)

    def _cached_gradients(self, batch: Batch) -> Step:
        """Do as `_gradients` does, holding the activations of one part at a time.

        Every part is projected without gradients; the loss of the whole batch gives the gradient
        of each projection; every part is projected again and its gradient carried on
        (arXiv:2101.06983). Batch normalisation sees the parts, not the batch.
        """
        method = cast(ComparesProjections, self.method)
        size = math.ceil(len(batch.index) / self.pace.accumulate)
        parts = list(zip(*(torch.split(view, size) for view in batch.views), strict=True))
        device = self.world.device
        states = []
        with torch.no_grad(), self._autocast(), _frozen_averages(self.method):
            projected = []
            for part in parts:
                states.append(_random_state(device))
                projected.append(method.project(part))
        whole = [torch.cat(view).requires_grad_() for view in zip(*projected, strict=True)]
        with self._autocast():
            step = method.compare(tuple(whole), batch)
        step.loss.backward()  # type: ignore[no-untyped-call]
        gradients = [torch.split(view.grad, size) for view in whole if view.grad is not None]
        for number, part in enumerate(parts):
            _restore_random_state(states[number], device)
            with self._only_last(number, len(parts)):
                with self._autocast():
                    again = self._entry("project", part)
                torch.autograd.backward(again, [gradient[number] for gradient in gradients])
        return Step(step.loss.detach(), step.logs, step.carry)

    def _only_last(self, number: int, count: int) -> Any:
        """Let processes exchange gradients after the last part alone."""
        if isinstance(self._entry, DistributedDataParallel) and number < count - 1:
            return self._entry.no_sync()
        return nullcontext()

    def _broken(self, loss: Tensor) -> bool:
        """Whether the loss is not finite; on a GPU looked at only when a row is due."""
        look = loss.device.type == "cpu" or (self.step + 1) % self.pace.log_every == 0
        return look and not bool(loss.isfinite())

    def _not_finite(self, epoch: int) -> TrainingError:
        return TrainingError(
            f"stopped at step {self.step + 1} (epoch {epoch + 1}): the loss is not finite\n"
            "  likely: the learning rate is too high, or the temperature too low\n"
            "  fix: a smaller --optim.lr in a new --out; the last checkpoint is kept"
        )

    def _refuse_to_save_nonsense(self) -> None:
        tensors: list[Tensor] = [t for t in self.method.parameters() if t.is_floating_point()]
        norms = torch.stack([norm.float() for norm in torch._foreach_norm(tensors)])
        if not bool(norms.isfinite().all()):
            raise self._not_finite(self.step // self.pace.steps_an_epoch)

    def _count(self, step: Step) -> None:
        for name, value in {"loss": step.loss, **step.logs}.items():
            exact = value.detach().double()
            self._totals[name] = self._totals[name] + exact if name in self._totals else exact
        one = torch.ones((), dtype=torch.float64, device=step.loss.device)
        self._totals["steps"] = self._totals["steps"] + one if "steps" in self._totals else one

    def _log(self, epoch: int) -> None:
        """Write the means since the last row."""
        steps = self._totals.pop("steps")
        names = list(self._totals)
        means = torch.stack([self._totals[name] for name in names]) / steps
        values = self.world.collect(means.cpu()).mean(0).tolist()
        self._totals = {}
        rate = scheduled_rate(self.optimizer)
        row = dict(zip(names, values, strict=True))
        self._facts["loss"] = f"{row['loss']:.3f}"
        if self.world.leads:
            row = {"kind": "train", "step": self.step, "epoch": epoch + 1, "lr": rate, **row}
            self.folder.append(self.folder.metrics, row)

    def _monitor(self, epoch: int) -> None:
        """Write the monitors' readings after so many epochs; stop a collapsed run."""
        collapsed: TrainingError | None = None
        if self.monitors is not None and self.world.leads:
            readings = self.monitors.read(self.method, self.pace.precision)
            row = {"kind": "monitor", "step": self.step, "epoch": epoch, **readings}
            self.folder.append(self.folder.metrics, row)
            self._facts["spread"] = f"{readings['spread']:.2f}"
            self._facts["rank"] = f"{readings['rankme']:.0f}"
            for name, shown in (("knn_top1", "kNN"), ("view_retrieval_top1", "views")):
                if name in readings:
                    self._facts[shown] = f"{readings[name]:.1%}"
            rows = [each for each in read_lines(self.folder.metrics) if each["kind"] == "monitor"]
            try:
                refuse_collapse([each for each in rows if each["step"] > 0])
            except TrainingError as problem:
                collapsed = problem
        if self.world.any(collapsed is not None)[0]:
            raise collapsed or TrainingError("stopped: representations are collapsing")

    def _show(self, epoch: int, images: int, seconds: float) -> None:
        pace = self.pace
        left = (pace.steps - self.step) * pace.batch_size * seconds / images
        facts = {
            "epoch": f"{epoch + 1}/{pace.epochs}",
            **self._facts,
            "images/s": f"{images / seconds:,.0f}",
            "wait": f"{self.batches.waited / seconds:.0%}",
            "eta": duration(left),
        }
        self.progress.show(self.step, pace.steps, facts, now=self.step == pace.steps)


def _shared(entry: nn.Module, device: torch.device) -> DistributedDataParallel:
    """Return a module whose gradients are averaged over all processes.

    Buffers are not sent around: synchronised batch normalisation keeps them alike.
    """
    ids = [device.index] if device.type == "cuda" else None
    with warnings.catch_warnings():  # newer torch has another name for it, older has this alone
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        return DistributedDataParallel(entry, device_ids=ids, broadcast_buffers=False)


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer's loaded state the memory layout of its parameters.

    A file keeps values and not strides, and fused optimizers walk through memory as it lies: beside
    a channels-last weight, a momentum laid out otherwise is another tensor.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


@contextmanager
def _frozen_averages(method: nn.Module) -> Iterator[None]:
    """Keep batch normalisation's running averages as they are."""
    layers = [layer for layer in method.modules() if isinstance(layer, _NormBase)]
    before = [(layer.momentum, layer.num_batches_tracked) for layer in layers]
    counts = [None if count is None else count.clone() for _, count in before]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, (momentum, _), count in zip(layers, before, counts, strict=True):
            layer.momentum = momentum
            if count is not None and layer.num_batches_tracked is not None:
                layer.num_batches_tracked.copy_(count)


def _random_state(device: torch.device) -> Tensor:
    """Return the state of this process's generators as bytes."""
    state = torch.get_rng_state()
    return torch.cat([state, torch.cuda.get_rng_state(device)]) if device.type == "cuda" else state


def _restore_random_state(state: Tensor, device: torch.device) -> None:
    here = len(torch.get_rng_state())
    torch.set_rng_state(state[:here].clone())  # torch reads a view from its storage's start
    if device.type == "cuda" and len(state) > here:
        torch.cuda.set_rng_state(state[here:], device)


def _set_random_state(states: Tensor, world: World) -> None:
    """Take this process's own of all processes' generator states, (size, bytes)."""
    _restore_random_state(states[world.rank % len(states)].contiguous(), world.device)
