import math
import os
import signal
from functools import partial

import pytest
import torch
from torch import nn

from lookalike.backbones.base import Backbone
from lookalike.checkpoint import load_checkpoint
from lookalike.errors import PreemptedError, TrainingError
from lookalike.methods.base import Batch, Method, Step
from lookalike.training.distributed import World
from lookalike.training.loop import Loop, Pace, _set_random_state
from lookalike.training.optim import sgd
from lookalike.training.progress import Progress
from lookalike.training.run_folder import RunFolder, read_lines
from lookalike.training.schedule import warmup_cosine

IMAGES, BATCH, EPOCHS, SIDE = 24, 6, 3, 8


class Flat(Backbone):
    """The smallest encoder with everything that has state: weights, averages and dropout."""

    def __init__(self):
        super().__init__(dim=8)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 8), nn.BatchNorm1d(8), nn.Dropout(0.2)
        )

    def forward(self, images):
        return self.layers(images)


class Pull(Method):
    """Pulls two views together and images apart, part by part or whole; counts its steps."""

    def __init__(self, backbone, *, break_at=None):
        super().__init__(backbone)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.break_at = break_at

    def project(self, views):
        return tuple(self.backbone(view) for view in views)

    def compare(self, projections, batch):
        first, second = projections
        logits = first @ second.T / 4
        loss = nn.functional.cross_entropy(logits, torch.arange(len(first)))
        if self.break_at == int(self.steps):
            loss = loss * math.nan
        return Step(loss, {"logit": logits.detach().mean()})

    def forward(self, batch):
        return self.compare(self.project(batch.views), batch)

    def after_step(self, step, progress):
        self.steps += 1


class Noise:
    """Batches of random images, a function of epoch and number alone."""

    count = IMAGES
    waited = 0.0

    def __init__(self, on_batch=lambda number: None):
        self.on_batch = on_batch

    def epoch(self, epoch, *, start, stop):
        for number in range(start, stop):
            self.on_batch(epoch * stop + number)
            generator = torch.Generator().manual_seed(1000 * epoch + number)
            first = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator)
            noise = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator)
            index = torch.arange(BATCH)
            yield Batch((first, first + 0.1 * noise), -torch.ones_like(index), index)


PACED = partial(sgd, lr=0.1)


@pytest.fixture
def make(tmp_path):
    folders = []

    def make_loop(name, *, batches=None, break_at=None, optimizer=PACED, **changes):
        for folder in folders:
            folder.close()
        folder = RunFolder(tmp_path / name)
        folders.append(folder)
        if not folder.open(overwrite=False):
            folder.start({}, [], "cpu")
        torch.manual_seed(0)
        method = Pull(Flat(), break_at=break_at)
        steps = EPOCHS * IMAGES // BATCH
        settings = {
            "epochs": EPOCHS,
            "steps_an_epoch": IMAGES // BATCH,
            "batch_size": BATCH,
            "rate_share": lambda step: warmup_cosine(step, steps=steps, warmup=2, base=1.0),
            "precision": torch.float32,
            "accumulate": 1,
            "compile": False,
            "save_every": math.inf,
            "log_every": 5,
            "monitor_every": 1,
        }
        return Loop(
            method,
            optimizer(method),
            batches or Noise(),
            None,
            pace=Pace(**{**settings, **changes}),
            folder=folder,
            world=World(0, 1, torch.device("cpu")),
            progress=Progress(None, printing=False),
        )

    yield make_loop
    for folder in folders:
        folder.close()


def ending(loop):
    """Everything a finished run leaves: its checkpoint's state and its metrics."""
    return load_checkpoint(loop.folder.checkpoints).state, loop.folder.metrics.read_bytes()


def same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def test_stopped_anywhere_and_resumed_it_ends_as_if_never_stopped(make):
    whole = make("whole")
    whole.run()
    state, metrics = ending(whole)
    assert int(state["method"]["steps"]) == 12
    for stop_at in (1, 4, 5, 7, 11):

        class StopError(Exception):
            pass

        def die(number, stop_at=stop_at):
            if number == stop_at:
                raise StopError

        name = f"stopped-{stop_at}"
        with pytest.raises(StopError):  # like a kill -9: nothing is saved on the way out
            make(name, batches=Noise(die), save_every=-1).run()
        again = make(name)
        assert again.resume()
        assert again.step == stop_at
        again.run()
        resumed_state, resumed_metrics = ending(again)
        assert same(state, resumed_state)
        assert metrics == resumed_metrics


def test_groups_keep_their_own_rates_through_a_resume(make):
    """A row of metrics has the first's; the checkpoint holds rates half way, never a new peak."""

    def by_part(method):
        first, *others = (p for p in method.parameters() if p.requires_grad)
        groups = [{"params": [first], "lr": 0.01}, {"params": others, "lr": 0.1}]
        return torch.optim.SGD(groups, lr=1.0)

    loop = make("broken", break_at=7, optimizer=by_part, save_every=-1)
    with pytest.raises(TrainingError):
        loop.run()
    resumed = make("broken", optimizer=by_part)
    assert resumed.resume()
    resumed.run()
    share = warmup_cosine(11, steps=12, warmup=2, base=1.0)
    rates = [group["lr"] for group in resumed.optimizer.param_groups]
    assert rates == [0.01 * share, 0.1 * share]


def test_a_signal_saves_and_stops(make):
    loop = make(
        "run", batches=Noise(lambda number: number == 6 and os.kill(os.getpid(), signal.SIGTERM))
    )
    with pytest.raises(PreemptedError, match="SIGTERM at step 7 of 12"):
        loop.run()
    again = make("run")
    assert again.resume()
    assert again.step == 7
    again.run()
    whole = make("whole")
    whole.run()
    assert same(ending(again)[0], ending(whole)[0])


def test_rows_hold_means_since_the_last_row(make):
    every = make("every", log_every=1)
    every.run()
    fifth = make("fifth", log_every=5)
    fifth.run()
    rows = read_lines(every.folder.metrics)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert [row["epoch"] for row in rows] == [1] * 4 + [2] * 4 + [3] * 4
    assert rows[1]["lr"] == pytest.approx(0.1)
    means = read_lines(fifth.folder.metrics)
    assert [row["step"] for row in means] == [5, 10]
    for row, part in zip(means, (rows[:5], rows[5:10]), strict=True):
        for name in ("loss", "logit"):
            assert row[name] == pytest.approx(sum(each[name] for each in part) / 5)


def test_a_loss_that_is_not_finite_stops_before_the_step(make):
    loop = make("run", break_at=3, save_every=-1)
    before = {}

    def remember(number):
        if number == 3:
            before.update({k: v.clone() for k, v in loop.method.state_dict().items()})

    loop.batches = Noise(remember)
    with pytest.raises(TrainingError, match=r"step 4 \(epoch 1\): the loss is not finite"):
        loop.run()
    for name, tensor in loop.method.state_dict().items():
        if "running" not in name and "tracked" not in name:
            assert tensor.equal(before[name])
    assert load_checkpoint(loop.folder.checkpoints).step == 3


def test_weights_that_are_not_finite_are_never_saved(make):
    loop = make("run")
    with torch.no_grad():
        next(loop.method.parameters()).fill_(math.inf)
    with pytest.raises(TrainingError, match="not finite"):
        loop.save()
    assert load_checkpoint(loop.folder.checkpoints) is None


def test_cached_gradients_are_those_of_the_whole_batch(make):
    """Without batch normalisation and dropout, which see parts, both ways agree."""
    gradients, averages = [], []
    for parts in (1, 2, 3):
        loop = make(f"parts-{parts}", accumulate=parts)
        loop.method.eval()
        step = loop._gradients(next(loop.batches.epoch(0, start=0, stop=1)))
        assert step.loss.isfinite()
        gradients.append([p.grad.clone() for p in loop.method.parameters()])
        averages.append(loop.method.backbone.layers[2].num_batches_tracked.item())
    for parts in gradients[1:]:
        for whole, part in zip(gradients[0], parts, strict=True):
            torch.testing.assert_close(whole, part)


def test_cached_gradients_move_averages_once_and_repeat_dropout(make):
    loop = make("run", accumulate=2)
    loop.method.train()
    loop._gradients(next(loop.batches.epoch(0, start=0, stop=1)))
    norm = loop.method.backbone.layers[2]
    assert norm.num_batches_tracked.item() == 4  # two parts of two views, each counted once
    assert norm.momentum == 0.1


def test_progress_reaches_one(make):
    seen = []
    loop = make("run")
    loop.method.after_step = lambda step, progress: seen.append(progress)
    loop.run()
    assert seen == [step / 12 for step in range(1, 13)]


def test_speed_is_kept_apart_from_the_metrics(make):
    loop = make("run")
    loop.run()
    rows = read_lines(loop.folder.speed)
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert all(row["images_per_second"] > 0 and 0 <= row["wait_share"] <= 1 for row in rows)
    assert "seconds" not in loop.folder.metrics.read_text()


def test_each_process_takes_up_its_own_random_numbers():
    before = torch.get_rng_state()
    states = torch.stack([torch.Generator().manual_seed(seed).get_state() for seed in (0, 1)])
    try:
        _set_random_state(states, World(1, 2, torch.device("cpu")))
        assert torch.equal(torch.get_rng_state(), states[1])
    finally:
        torch.set_rng_state(before)
