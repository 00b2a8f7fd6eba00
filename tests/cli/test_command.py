"""A command's options against the signatures that they come from."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from lookalike.backbones.resnet import resnet18
from lookalike.backbones.small import small_conv
from lookalike.cli.app import COMMANDS
from lookalike.cli.command import read_command, title
from lookalike.errors import UsageError
from lookalike.training.optim import lars, sgd
from lookalike.views.plans import View

EVERY = [name for names in COMMANDS.values() for name in names]


def arguments_of(function: object) -> set[str]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


def group(name: str, *words: str) -> set[str]:
    options = read_command("train", ["photos", *words]).groups[name].options
    return {option.name for option in options.values()}


def test_a_choice_brings_its_own_options() -> None:
    assert group("backbone", "--backbone", "resnet18") == arguments_of(resnet18)
    assert group("backbone", "--backbone=small_conv") == arguments_of(small_conv)
    assert group("backbone", "backbone=small_conv") == arguments_of(small_conv)
    assert group("optim", "--optim", "lars") == arguments_of(lars)


def test_without_a_choice_every_choice_brings_its_options() -> None:
    assert group("optim") >= arguments_of(lars) | arguments_of(sgd)


def test_every_field_of_a_view_is_an_option() -> None:
    assert group("views") == {field.name for field in dataclasses.fields(View)}


def test_what_is_no_backbone_of_ours_takes_what_timm_takes() -> None:
    command = read_command("train", ["photos", "--backbone", "vit_tiny_patch16_224"])
    assert "backbone.pretrained" in command.options
    assert command.groups["backbone"].endless


def test_a_wrong_choice_is_refused_with_the_nearest_right_one() -> None:
    with pytest.raises(UsageError, match="Did you mean simclr"):
        read_command("train", ["photos", "--method", "simcrl"])


@pytest.mark.parametrize("name", EVERY)
def test_every_command_says_what_it_and_its_options_do(name: str) -> None:
    command = read_command(name, [])
    assert title(name).endswith(".")
    assert len(title(name)) <= 87, "one line of a terminal, after the command's name"
    silent = [option for option, each in command.options.items() if not each.help]
    assert not silent
    assert all(operand.help for operand in command.operands)


@pytest.mark.parametrize("name", EVERY)
def test_every_argument_of_the_command_is_on_the_command_line(name: str) -> None:
    command = read_command(name, [])
    parameters = inspect.signature(command.call).parameters.values()
    plain = {option.name for option in command.sections[0].options.values()}
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} <= plain
