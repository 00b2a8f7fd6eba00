"""What is left open is chosen for the images and the machine, each choice with its reason."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lookalike.data.pairs import Pairs
from lookalike.errors import DataError, UsageError
from lookalike.methods.drlim import DrLIM
from lookalike.methods.exemplar import Exemplar
from lookalike.methods.metric import Metric
from lookalike.methods.npid import NPID
from lookalike.methods.proxy_nca import ProxyNCA
from lookalike.methods.sftn import SFTN
from lookalike.methods.simclr import SimCLR
from lookalike.runs.defaults import resolve
from lookalike.runs.facts import Facts
from lookalike.runs.job import asked_for
from lookalike.views.plans import EXEMPLAR

CPU, GPU = torch.device("cpu"), torch.device("cuda")
HANDS = Facts(count=1546, side=64, resident=True, class_names=5)
PHOTOS = Facts(count=100_000, side=375, resident=False)
CIFAR = Facts(count=50_000, side=32, resident=True)


def resolved(facts=HANDS, device=CPU, **given):
    return resolve(asked_for("photos", **{"method": "simclr", **given}), SimCLR, facts, device)


@pytest.mark.parametrize("device", [CPU, GPU], ids=str)
@pytest.mark.parametrize("facts", [HANDS, PHOTOS, CIFAR, Facts(2, 8, resident=True)], ids=str)
def test_every_choice_has_its_reason(facts, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    settings = resolved(facts, device)
    assert all(choice.reason for choice in settings.choices)
    assert settings.batch_size <= facts.count
    assert settings.size <= max(facts.side, 16)
    names = {choice.name for choice in settings.choices}
    assert names >= {"size", "views", "batch_size", "epochs", "backbone", "optim", "optim.lr"}


def test_another_optimizer_takes_a_rate_of_its_own():
    settings = resolved(optim="adamw", method="simclr")  # whose recipe is for SGD, at 0.24
    rate = next(choice for choice in settings.choices if choice.name == "optim.lr")
    assert settings.optim_arguments["lr"] == rate.value == 1e-3
    assert rate.reason.startswith("adamw's own")
    scaled = resolved(optim="adamw", method="simclr", base_lr=0.01, lr_scaling="none")
    assert scaled.optim_arguments["lr"] == 0.01


def test_what_is_given_is_no_choice():
    given = {
        "size": 40,
        "views": "byol",
        "batch_size": 64,
        "epochs": 7,
        "backbone": "small_conv",
        "optim": "adamw",
        "optim_arguments": {"lr": 0.3, "weight_decay": 0.1},
        "method_arguments": {"temperature": 0.7},
        "views_arguments": {"area": (0.5, 1.0)},
        "warmup_epochs": 2.0,
        "precision": "float32",
        "workers": 1,
        "monitor_every": 3,
    }
    settings = resolved(**given)
    assert settings.choices == ()
    assert settings.plan.name.startswith("byol")
    assert {view.area for view in settings.plan.views} == {(0.5, 1.0)}
    assert settings.optim_arguments == {"lr": 0.3, "weight_decay": 0.1}
    assert settings.method_arguments == {"temperature": 0.7}
    assert settings.backbone_arguments == {}


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({"lr_scaling": "linear", "base_lr": 0.3, "batch_size": 512}, 0.6),
        ({"lr_scaling": "square_root", "base_lr": 0.1, "batch_size": 256}, 1.6),
        ({"lr_scaling": "none", "base_lr": 0.3, "batch_size": 512}, 0.3),
    ],
)
def test_the_learning_rate_scales_with_the_batch(given, rate):
    assert resolved(**given).optim_arguments["lr"] == pytest.approx(rate)


def test_a_gpu_has_the_papers_views_and_a_larger_network(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    settings = resolved(CIFAR, GPU)
    assert settings.backbone_arguments == {"stem": "cifar"}
    assert settings.epochs == 200
    assert {view.area for view in settings.plan.views} == {(0.08, 1.0)}
    large = resolved(PHOTOS, GPU)
    assert (large.size, large.backbone, large.optim) == (224, "resnet50", "lars")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"batch_size": 2000}, "more than the 1546 images"),
        ({"views": "simclr_smal"}, "Did you mean simclr_small"),
        ({"views_arguments": {"area": (0.0, 2.0)}}, "area"),
    ],
)
def test_nonsense_is_refused(given, told):
    with pytest.raises(UsageError, match=told):
        resolved(**given)


def test_one_image_is_too_few():
    with pytest.raises(DataError, match="1 image is too few"):
        resolved(Facts(1, 64, resident=True))


class Bank(SimCLR):
    """Stands for methods that hold something for each image, on a backbone of their own."""

    default_backbone = "small_conv"

    @classmethod
    def fit(cls, images, classes):
        return {"out_dim": (images // 2, f"half of {images} images of {classes} classes")}


def test_a_method_may_say_what_fits_the_data_and_its_backbone():
    settings = resolve(asked_for("photos"), Bank, HANDS, CPU)
    assert settings.method_arguments["out_dim"] == 773
    assert settings.backbone == "small_conv"
    reasons = {choice.name: choice.reason for choice in settings.choices}
    assert reasons["method.out_dim"] == "half of 1546 images of 5 classes"
    given = {"method": "simclr", "method_arguments": {"out_dim": 5}}
    assert resolve(asked_for("photos", **given), Bank, HANDS, CPU).method_arguments["out_dim"] == 5


def test_patches_are_the_papers_and_are_not_cropped_further():
    """A GPU's 224 px, and a CPU's crops from a fifth of the image, are for whole photos."""
    for facts in (HANDS, PHOTOS, CIFAR):
        settings = resolve(asked_for("photos", method="exemplar"), Exemplar, facts, CPU)
        assert (settings.size, settings.backbone) == (32, "exemplar_small")
        assert settings.method_arguments == {"image_count": facts.count}
        assert settings.plan == EXEMPLAR
        assert settings.optim_arguments == {"lr": 0.1, "weight_decay": 0.0}


def test_a_bank_must_hold_every_image():
    asked = asked_for("photos", method="npid", method_arguments={"image_count": 5})
    with pytest.raises(UsageError, match="5 is less than the 1546 images"):
        resolve(asked, NPID, HANDS, CPU)


def test_proxies_are_as_many_as_classes_and_not_fewer():
    def settled(**given):
        return resolve(asked_for("photos", method="proxy_nca", **given), ProxyNCA, HANDS, CPU)

    assert settled().method_arguments == {"class_count": 5}
    for count in (5, 8):
        given = {"method_arguments": {"class_count": count}}
        assert settled(**given).method_arguments["class_count"] == count
    with pytest.raises(UsageError, match="4 is less than the 5 classes"):
        settled(method_arguments={"class_count": 4})


def test_a_method_that_looks_at_one_view_may_look_twice_as_often():
    """Minutes are counted in pictures: half as many an image, twice as many epochs."""
    facts = Facts(count=10_000, side=32, resident=True)
    one, two = (
        resolve(asked_for("photos", views=views), SimCLR, facts, CPU).epochs
        for views in ("npid", "simclr_small")
    )
    assert (one, two) == (24, 12)


def test_a_student_reaches_the_method_that_trains_for_one():
    given = {"student": "resnet18", "student_arguments": {"width": 8}}
    settings = resolve(asked_for("photos", method="sftn", **given), SFTN, HANDS, CPU)
    assert settings.method_arguments == {**given, "class_count": 5}


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ({"loss": "triplet"}, "--method metric"),
        ({"student": "small_conv"}, "--method sftn"),
        ({"student_arguments": {"width": 8}}, "--method sftn"),
    ],
)
def test_what_a_method_does_not_take_is_refused_with_one_that_does(given, fix):
    with pytest.raises(UsageError, match=f"--{next(iter(given))[:4]}.*: simclr .*\n.*{fix}"):
        resolved(**given)


@pytest.mark.parametrize("method", [Metric, ProxyNCA])
def test_with_labels_a_cpu_gets_the_small_network(method):
    labelled = replace(HANDS, classes=10, largest_class=155)
    settings = resolve(asked_for("photos", method="metric"), method, labelled, CPU)
    assert (settings.backbone, settings.backbone_arguments) == ("small_conv", {})
    larger = resolve(asked_for("photos", method="metric"), method, labelled, torch.device("cuda"))
    assert larger.backbone == "resnet18"


def test_pairs_are_counted_as_the_images_they_show():
    """Minutes stay minutes with a long list, and a GPU shows images about as often as ever."""
    asked = asked_for("photos", method="drlim")
    listed = {}
    for count in (100, 6000, 60_000):
        same = np.arange(count) % 2 == 0
        pairs = Pairs(np.zeros(count), np.ones(count), same, np.full(count, -1))
        facts = Facts(count=10_000, side=32, resident=True, pairs=pairs)
        listed[count] = [resolve(asked, DrLIM, facts, device) for device in (CPU, GPU)]
    assert [on_cpu.epochs for on_cpu, _ in listed.values()] == [200, 20, 5]
    assert [on_gpu.epochs for _, on_gpu in listed.values()] == [200, 167, 17]
    reasons = {each.name: each.reason for each in listed[60_000][1].choices}
    assert reasons["epochs"] == "60,000 pairs: images come about as often as in 200 epochs of them"
