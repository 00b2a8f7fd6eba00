"""What cannot be is refused before an image is read, and before torch is imported."""

import inspect
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields

import pytest
import timm

from lookalike.errors import UsageError
from lookalike.runs.asked import LOWEST, Asked, judge
from lookalike.runs.few_labels import learn_from_few
from lookalike.runs.job import asked_for, train


def test_it_holds_what_train_takes_of_the_same_kinds():
    parameters = inspect.signature(train).parameters.values()
    assert [each.name for each in fields(Asked)] == [each.name for each in parameters]
    kinds = {each.name: each.annotation for each in parameters} | {"method": "str"}  # settled first
    assert {each.name: each.type for each in fields(Asked)} == kinds


def test_it_does_not_change():
    asked = asked_for("photos", epochs=3)
    with pytest.raises(FrozenInstanceError):
        asked.epochs = 4


def test_every_bound_is_of_a_number_that_can_be_asked_for():
    known = {*inspect.signature(train).parameters, *inspect.signature(learn_from_few).parameters}
    assert known >= LOWEST.keys()


@pytest.mark.parametrize(("name", "least"), LOWEST.items())
def test_the_least_value_is_the_last_that_passes(name, least):
    judge({name: least})
    judge({name: None})
    for value in (least - 1, float("nan")):
        with pytest.raises(UsageError, match=f"^--{name.replace('_', '-')} must be at least"):
            judge({name: value})


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_of_labels_is_one(share):
    judge({"labels": 1.0})
    with pytest.raises(UsageError, match=r"--labels must lie in \(0, 1\]"):
        judge({"labels": share})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "simclrr"}, "'simclrr' is no method. Did you mean simclr"),
        ({"backbone": "resnet19"}, "no backbone 'resnet19', here or in timm. Did you mean resnet"),
        ({"backbone": "timm/resnet19"}, "here or in timm"),
        ({"student": "small_con"}, "Did you mean small_conv"),
        ({"loss": "tripletz"}, "Did you mean triplet"),
        ({"optim": "sdg"}, "'sdg' is no optimizer"),
        ({"views": "simclrr"}, "is no plan. Did you mean simclr"),
        ({"views": "simclr", "views_arguments": {"flip": 2.0}}, "--views: .*flip"),
        ({"backbone": "mine.py:Net"}, "there is no file mine.py"),
        ({"backbone": "resnet18", "from_": "run"}, "an encoder brings its own backbone"),
    ],
)
def test_names_are_looked_up_before_any_image(given, said):
    with pytest.raises(UsageError, match=said):
        train("there/are/no/images/here", **given)


def test_no_model_of_timm_is_refused():
    """Found in its source as text: all that timm itself lists, every hundredth of them asked."""
    for name in [*timm.list_models()[::100], "vit_small_patch16_224.dino", "timm/resnet10t"]:
        judge({"backbone": name})


def test_the_judgement_needs_no_torch():
    """Nor do the commands that train several times, or none."""
    code = (
        "import sys\n"
        "from lookalike.cli.app import main\n"
        "words = (\n"
        "    'train hands --epochs=-1', 'train hands --backbone resnet19',\n"
        "    'train hands --labels 2', 'train hands --views zzz',\n"
        "    'distill runs/none --student resnet19',\n"
        "    'distill runs/none --student patches --size 7',\n"
        "    'few-labels hands --fine-epochs 0', 'views hands --size 7',\n"
        ")\n"
        "print({main(each.split()) for each in words}, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{2} False\n"
    assert "--epochs must be at least 1, got -1" in done.stderr
    assert "no backbone 'resnet19'" in done.stderr
