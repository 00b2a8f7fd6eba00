"""Teachers by name: runs, model folders and own code; and what cannot teach."""

import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.data.sources import open_source
from lookalike.errors import UsageError
from lookalike.inference import Encoder
from lookalike.methods.distillation import Distillation
from lookalike.methods.embedding_distillation import EmbeddingDistillation
from lookalike.runs.answers import answer
from lookalike.runs.job import train
from lookalike.runs.teachers import load_teachers

OWN = """
from torch import nn

def network():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))

def answers():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))

def number():
    return 3
"""


def a_run(out, **settings):
    chosen = {"method": "supervised", "backbone_arguments": {"width": 2}, "size": 16, **settings}
    return train("hands", out=out, epochs=1, evaluate=False, quiet=True, **chosen)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    return a_run(tmp_path_factory.mktemp("runs") / "teacher", limit=300)


def test_a_run_tells_its_classes_as_it_did(taught):
    found = load_teachers([taught.path], method=Distillation, download=False)
    assert (found.size, found.mean) == (16, tuple(taught.config["mean"]))
    assert found.classes == tuple(taught.config["classes"])
    images = open_source("hands", split="test").select(range(4))
    squares = torch.from_numpy(images_as_squares(images))
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (found.mean, found.std))
    said = found.teachers[0]((squares / 255 - mean) / std)
    torch.testing.assert_close(said, answer(taught, images)[0], rtol=1e-4, atol=1e-5)


def images_as_squares(images):
    from lookalike.data.resident import load_squares

    return load_squares(images, 16)[0]


def test_any_encoder_tells_vectors(tmp_path):
    backbone = build_backbone("small_conv", width=2)
    Encoder(backbone, size=16, name="small_conv", arguments={"width": 2}).save(tmp_path / "model")
    found = load_teachers([tmp_path / "model"], method=EmbeddingDistillation, download=False)
    assert found.teachers[0].width() == 16
    with pytest.raises(UsageError, match="model"):
        load_teachers([tmp_path / "model"], method=Distillation, download=False)


def test_somebodys_own_network_teaches(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    found = load_teachers([f"{tmp_path}/mine.py:answers"], method=Distillation, download=False)
    assert found.size is None
    assert found.teachers[0].width() == 10
    with pytest.raises(UsageError, match="makes a int, not a torch module"):
        load_teachers([f"{tmp_path}/mine.py:number"], method=Distillation, download=False)


def test_a_run_that_tells_no_classes_cannot_teach_any(tmp_path):
    run = a_run(tmp_path / "run", method="simclr", backbone="small_conv", limit=64)
    with pytest.raises(UsageError, match="a run of simclr, which tells no classes apart"):
        load_teachers([run.path], method=Distillation, download=False)


def test_teachers_of_one_student_see_one_picture(taught, tmp_path):
    other = a_run(tmp_path / "other", size=20, limit=64)
    with pytest.raises(UsageError, match="its size 20 is not that of"):
        load_teachers([taught.path, other.path], method=Distillation, download=False)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"method": "distillation"}, "needs a teacher"),
        ({"method": "simclr", "teacher": "somewhere"}, "learns from no teacher"),
        ({"method": "distillation", "teacher": "nowhere"}, "nowhere"),
        ({"method": "distillation", "teacher": "timm:resnet19"}, "no model resnet19"),
        ({"method": "distillation", "teacher": "timm:resnet18.a1_in1k"}, "--download"),
    ],
)
def test_what_cannot_teach_is_told_in_a_line(tmp_path, settings, told):
    with pytest.raises(UsageError, match=told):
        train("hands", out=tmp_path / "run", limit=64, epochs=1, quiet=True, **settings)


def test_a_teacher_of_other_classes_is_refused(taught, tmp_path):
    with pytest.raises(UsageError, match="tells 10 classes apart"):
        train(
            "omniglot", out=tmp_path / "run", method="distillation", teacher=taught.path, quiet=True
        )


def test_a_student_resumes_and_another_teacher_is_another_run(taught, tmp_path):
    settings = {"method": "distillation", "teacher": taught.path, "limit": 64, "size": None}
    run = a_run(tmp_path / "student", **settings)
    assert run.status == "done"
    other = a_run(tmp_path / "other", limit=300, seed=1)
    with pytest.raises(UsageError, match="teachers:"):
        a_run(tmp_path / "student", **{**settings, "teacher": other.path})
