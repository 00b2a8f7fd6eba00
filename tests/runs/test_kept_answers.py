"""Answers that are kept are those that the teacher would give, in every step and after a break."""

import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from lookalike.backbones.build import build_backbone
from lookalike.data.resident import Resident, load_squares
from lookalike.data.sources import open_source
from lookalike.errors import LookalikeError
from lookalike.methods.distillation import Distillation
from lookalike.methods.embedding_distillation import EmbeddingDistillation
from lookalike.methods.feature_distillation import FeatureDistillation
from lookalike.nn.gather import world_size
from lookalike.nn.teacher import Teacher
from lookalike.runs.building import load_method
from lookalike.runs.job import train
from lookalike.runs.kept_answers import InOrder, KeptAnswers
from lookalike.training.batches import ResidentBatches, Viewing
from lookalike.training.distributed import World
from lookalike.training.progress import Progress
from lookalike.views.plans import METRIC, SUPERVISED_SMALL

TINY = {
    "backbone": "small_conv",
    "backbone_arguments": {"width": 2},
    "size": 16,
    "batch_size": 8,
    "quiet": True,
    "device": "cpu",
    "evaluate": False,
    "workers": 0,
    "monitor_every": 9,
}
TEACHER = {**TINY, "method": "supervised", "epochs": 1}
FIXED = {"views_arguments": {"translation": 0.0, "flip": 0.0, "area": (1.0, 1.0)}, "epochs": 3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """26 images: the last batch of 8 is not full."""
    images = open_source("hands")
    images = images.select(np.arange(0, 1536, 60))
    squares, kept = load_squares(images, 24)
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    np.savez(path, images=squares.transpose(0, 2, 3, 1), labels=images.labels[kept])
    return path


@pytest.fixture(scope="module")
def teachers(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        str(train(photos, out=folder / str(seed), seed=seed, **TEACHER).path) for seed in (1, 2)
    ]


@pytest.fixture(scope="module")
def whole(photos, teachers, tmp_path_factory):
    return train_student(photos, tmp_path_factory.mktemp("runs") / "whole", teachers[0])


def train_student(photos, out, teacher, method="distillation", **settings):
    settings = {**TINY, **FIXED, "log_every": 1, **settings}
    return train(photos, out=out, method=method, teacher=teacher, **settings)


def losses(run):
    return [row["loss"] for row in run.metrics if "loss" in row]


def told(run):
    (choice,) = (each for each in run.record["choices"] if each["name"] == "teacher's answers")
    return f"{choice['value']} ({choice['reason']})"


def said(run):
    return (run.path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("scheme", "method", "count", "resident_mb"),
    [
        (Distillation, "distillation", 1, 64),
        (Distillation, "densely_guided", 2, 64),
        (EmbeddingDistillation, "embedding_distillation", 1, 64),
        (EmbeddingDistillation, "embedding_distillation", 1, 0),  # decoded when their turn comes
    ],
)
def test_training_is_that_with_the_teacher_asked_in_every_step(
    photos, teachers, tmp_path, monkeypatch, scheme, method, count, resident_mb
):
    """But for rounding: the teacher has seen the images in other batches."""
    settings = {"method": method, "resident_mb": resident_mb}
    kept = train_student(photos, tmp_path / "kept", teachers[:count], **settings)
    monkeypatch.setattr(scheme, "asks_by_index", False)
    monkeypatch.setattr(Teacher, "remember", None)
    asked = train_student(photos, tmp_path / "asked", teachers[:count], **settings)
    assert told(kept) == "kept on disk, 1 MB (views are fixed)"
    assert "needs the teacher itself" in told(asked)
    assert losses(kept) == pytest.approx(losses(asked), rel=1e-5)
    assert len(losses(kept)) == 9
    one, other = (load_method(run.path).state_dict() for run in (kept, asked))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-4, atol=1e-5)
    assert {path.name for path in kept.path.iterdir()} - {
        path.name for path in asked.path.iterdir()
    } == {"teacher.npy", "teacher.json"}


def test_the_network_is_asked_about_every_image_once(photos, teachers, tmp_path, monkeypatch):
    seen, ask = [], Teacher.forward

    def count(teacher, images, index=None):
        known = index is not None and teacher._known is not None
        seen.append(0 if known else len(images))
        return ask(teacher, images, index)

    monkeypatch.setattr(Teacher, "forward", count)
    monkeypatch.setattr(Teacher, "width", lambda teacher: 10)
    train_student(photos, tmp_path / "run", teachers[0])
    assert seen == [8] * 4 + [0] * 9, "26 images and 6 again, then 9 steps by heart"


def test_a_run_that_broke_off_ends_as_one_that_did_not(
    photos, teachers, whole, tmp_path, monkeypatch
):
    steps, asked, ask = [], [], KeptAnswers._ask

    def fall(method, step, progress):
        steps.append(progress)
        if len(steps) == 4:
            raise KeyError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(Distillation, "after_step", fall)
        with pytest.raises(KeyError, match="power cut"):
            train_student(photos, tmp_path / "broken", teachers[0], save_every=0)
    monkeypatch.setattr(KeptAnswers, "_ask", lambda *given: asked.append(1) or ask(*given))
    broken = train_student(photos, tmp_path / "broken", teachers[0], save_every=0)
    assert not asked, "the table is there"
    assert losses(whole) == losses(broken)
    one, other = (load_method(run.path).state_dict() for run in (whole, broken))
    assert all(tensor.equal(other[name]) for name, tensor in one.items() if name != "progress")


def stop_early(photos, teachers, out, monkeypatch):
    """Begin a run that ends before its first step, so that its table is there and it can go on."""

    def fall(*given):
        raise KeyError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(Distillation, "forward", fall)
        with pytest.raises(KeyError, match="power cut"):
            train_student(photos, out, teachers[0])


def flip_a_bit(folder):
    content = bytearray((folder / "teacher.npy").read_bytes())
    content[-7] ^= 1
    (folder / "teacher.npy").write_bytes(content)


DAMAGES = {
    "flipped bit": (flip_a_bit, "is damaged (it does not match its digest)"),
    "no table": (lambda folder: (folder / "teacher.npy").unlink(), "is damaged (FileNotFound"),
    "key cut short": (
        lambda folder: (folder / "teacher.json").write_text('{"size": 1'),
        "is damaged (JSONDecodeError)",
    ),
    "key of another kind": (
        lambda folder: (folder / "teacher.json").write_text("[]"),
        "is damaged (",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_table_is_told_and_made_anew(
    photos, teachers, whole, tmp_path, monkeypatch, damage
):
    stop_early(photos, teachers, tmp_path / "run", monkeypatch)
    harm, message = DAMAGES[damage]
    harm(tmp_path / "run")
    run = train_student(photos, tmp_path / "run", teachers[0])
    assert message in said(run)
    assert "the teacher is asked anew" in said(run)
    assert losses(run) == losses(whole)
    table = (run.path / "teacher.npy").read_bytes()
    assert table == (whole.path / "teacher.npy").read_bytes()


def test_the_table_of_another_teacher_is_told_and_made_anew(
    photos, teachers, tmp_path, monkeypatch
):
    stop_early(photos, teachers, tmp_path / "run", monkeypatch)
    run = train_student(photos, tmp_path / "run", teachers[1], allow_changes=True)
    assert "was made with other teachers: the teacher is asked anew" in said(run)
    other = train_student(photos, tmp_path / "other", teachers[1])
    assert losses(run) == losses(other)
    assert "warning" not in said(other)


@pytest.mark.parametrize(
    ("method", "settings", "reason"),
    [
        ("distillation", {"views_arguments": {"flip": 0.5}}, "(views are random)"),
        ("distillation", {"method_arguments": {"mixup": True}}, "needs the teacher itself"),
        ("feature_distillation", {}, "needs the teacher itself"),
        ("distillation", {"epochs": 1}, "every image is seen once"),
    ],
)
def test_where_it_cannot_or_need_not_be_kept_the_teacher_is_asked_in_every_step(
    photos, teachers, tmp_path, method, settings, reason
):
    run = train_student(photos, tmp_path / "run", teachers[0], method, **settings)
    assert told(run).startswith("asked for in every step")
    assert reason in told(run)
    assert not (run.path / "teacher.npy").exists()


def test_feature_distillation_never_lets_its_teacher_answer_by_heart():
    """Not where answers are compared as well: its layers would be nobody's."""
    assert not FeatureDistillation(
        build_backbone("small_conv", width=2), class_count=4
    ).asks_by_index


PLAN = METRIC.with_(area=(1.0, 1.0), flip=1.0)


class Squares:
    """Images in memory, as a `Collection` has them."""

    def __init__(self, count, unreadable=()):
        generator = np.random.default_rng(0)
        self.pixels = generator.integers(256, size=(count, 3, 12, 12), dtype=np.uint8)
        self.unreadable = unreadable

    def batches(self, viewing, *, workers):
        count = len(self.pixels)
        sizes, labels = np.full((count, 2), 12), np.full(count, -1)
        made = ResidentBatches(Resident(self.pixels, sizes, np.arange(count)), labels, viewing)
        plain = made.epoch

        def epoch(*given, **named):
            for batch in plain(*given, **named):
                instead = torch.isin(batch.index, torch.tensor(self.unreadable).long())
                yield batch._replace(index=torch.where(instead, 0, batch.index))

        made.epoch = epoch
        return made


def a_teacher(seed):
    torch.manual_seed(seed)
    return Teacher(build_backbone("small_conv", width=2), size=16).double()


def a_viewing(world, **changes):
    settings = {"plan": PLAN, "size": 16, "batch_size": 6, "seed": 0, **changes}
    return Viewing(mean=(0.5,) * 3, std=(0.2,) * 3, world=world, **settings)


def given(folder, world, images):
    """Return two teachers with a table of their answers, and those of one who is asked."""
    teachers = [a_teacher(seed).float() for seed in (1, 2)]
    record = {
        "images": len(images.pixels),
        "precision": "float32",
        **dict.fromkeys(("teachers", "images_sha256", "size", "mean", "std", "views"), "any"),
    }
    kept = KeptAnswers(folder, teachers, record)
    kept.give(images, a_viewing(world), workers=0, progress=Progress(None, printing=False))
    return teachers


def table(world, folder):
    teachers = given(folder, world, Squares(20))
    return torch.stack([each._known for each in teachers], 1).clone()


def on_each_process():
    rank, device = dist.get_rank(), torch.device("cpu")
    folder = [tempfile.mkdtemp() if rank == 0 else ""]
    dist.broadcast_object_list(folder)
    found = table(World(rank, world_size(), device), Path(folder[0]))
    dist.barrier()
    if rank == 0:
        shutil.rmtree(folder[0])
    return found


@functools.cache
def alone():
    with tempfile.TemporaryDirectory() as folder:
        return table(World(0, 1, torch.device("cpu")), Path(folder))


def test_several_processes_make_the_table_of_one(ranks):
    for found in ranks:
        torch.testing.assert_close(found, alone(), rtol=1e-5, atol=1e-6)


def test_a_row_is_what_each_teacher_says_of_that_image():
    images, world = Squares(20), World(0, 1, torch.device("cpu"))
    (batch,) = images.batches(a_viewing(world, order=InOrder(), batch_size=20), workers=0).epoch(
        7, start=0, stop=1
    )
    assert batch.index.tolist() == list(range(20))
    for number, seed in enumerate((1, 2)):
        want = a_teacher(seed).float()(*batch.views)
        torch.testing.assert_close(alone()[:, number], want, rtol=1e-5, atol=1e-6)


def test_of_an_image_that_could_not_be_read_the_network_is_asked_later(tmp_path):
    images, world = Squares(20, unreadable=(4, 13)), World(0, 1, torch.device("cpu"))
    teacher = given(tmp_path, world, images)[0]
    assert teacher._known.isnan().any(1).nonzero()[:, 0].tolist() == [4, 13]
    viewing = a_viewing(world, order=InOrder(), batch_size=20)
    (batch,) = Squares(20).batches(viewing, workers=0).epoch(0, start=0, stop=1)
    answers = teacher(*batch.views, batch.index)
    torch.testing.assert_close(answers, teacher(*batch.views), rtol=1e-5, atol=1e-6)


def test_a_process_that_cannot_reach_the_folder_says_so(tmp_path):
    """Another than the first, which looks whether the table is there."""
    kept_by_another = World(1, 1, torch.device("cpu"))
    with pytest.raises(LookalikeError, match=r"process 1 cannot read .*teacher\.npy"):
        given(tmp_path, kept_by_another, Squares(20))


@pytest.mark.parametrize(("count", "size"), [(20, 6), (18, 6), (7, 7)])
def test_every_batch_of_the_order_is_full(count, size):
    order, _ = InOrder().lay_out(np.zeros(count), batch_size=size, seed=0, epoch=0)
    assert len(order) % size == 0
    assert len(order) - count < size
    assert order.tolist() == [place % count for place in range(len(order))]


def test_the_plan_of_a_small_picture_is_fixed_once_it_neither_shifts_nor_flips():
    plan = SUPERVISED_SMALL.with_(**FIXED["views_arguments"])
    assert all(view.fixed for view in plan.views)
