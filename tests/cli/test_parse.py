"""A command's words against the keyword arguments that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.cli.command import Command, Section
from lookalike.cli.parse import flag, parse
from lookalike.errors import UsageError
from lookalike.options import Option

PLAIN = {
    "batch_size": Option("batch_size", int, None, optional=True, help="images a step"),
    "method": Option("method", str, "simclr"),
    "download": Option("download", bool, False),
    "evaluate": Option("evaluate", bool, True),
    "k": Option("k", int, 10),
}
METHOD = {
    "method.hidden_dim": Option("hidden_dim", int, 8),
    "method.normalise": Option("normalise", bool, True),
    "method.span": Option("span", float, (0.0, 1.0), many=2),
}
COMMAND = Command(
    name="train",
    title="Train.",
    call=lambda: None,
    operands=(Option("source", str, help="images"),),
    sections=(
        Section("", "Options", PLAIN),
        Section("method", "Of the method", METHOD),
        Section("backbone", "Of the backbone", {}, endless=True),
    ),
)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("photos", {}),
        ("photos --batch-size 8", {"batch_size": 8}),
        ("photos -k 8", {"k": 8}),
        ("photos --k 8", {"k": 8}),
        ("--batch_size=8 photos", {"batch_size": 8}),
        ("photos batch_size=8", {"batch_size": 8}),
        ("photos --batch-size 8 --batch-size 4", {"batch_size": 4}),
        ("photos --batch-size none", {"batch_size": None}),
        ("--download photos", {"download": True}),
        ("--download true photos", {"download": True}),
        ("photos --no-evaluate", {"evaluate": False}),
        ("photos evaluate=false", {"evaluate": False}),
        ("photos --method.hidden-dim 4", {"method_arguments": {"hidden_dim": 4}}),
        (
            "method.hidden_dim=4 photos --no-method.normalise",
            {"method_arguments": {"hidden_dim": 4, "normalise": False}},
        ),
        ("photos --method.span -0.5,1", {"method_arguments": {"span": (-0.5, 1.0)}}),
        (
            "photos --backbone.img-size 96 --backbone.kind deep --backbone.fast",
            None,
        ),
        (
            "photos --backbone.img-size 96 backbone.kind=deep backbone.fast=true",
            {"backbone_arguments": {"img_size": 96, "kind": "deep", "fast": True}},
        ),
    ],
)
def test_words_become_arguments(words: str, arguments: dict[str, object] | None) -> None:
    if arguments is None:
        with pytest.raises(UsageError, match=r"--backbone\.fast wants a value, got nothing"):
            parse(COMMAND, words.split())
    else:
        assert parse(COMMAND, words.split()) == (["photos"], arguments)


def test_what_follows_two_dashes_is_no_option() -> None:
    assert parse(COMMAND, ["--", "--odd-folder"]) == (["--odd-folder"], {})


def test_a_file_whose_name_has_an_equals_sign_is_an_operand() -> None:
    assert parse(COMMAND, ["dated=2024/photos"]) == (["dated=2024/photos"], {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("photos --batch-sise 8", r"--batch-sise is not an option\. Did you mean --batch-size\?"),
        ("photos --method.hiden_dim 8", r"Did you mean --method\.hidden-dim\?"),
        ("photos method.hidden=8", r"--method\.hidden is not an option"),
        ("photos --no-batch-size", "--no-batch-size is not an option"),
        ("photos -b 8", "-b is not an option"),
        ("photos --batch-size eight", "--batch-size wants a whole number, or none, got 'eight'"),
        ("photos --batch-size", "--batch-size wants a whole number, or none, got nothing"),
        ("photos --batch-size --download", "--batch-size wants a whole number, or none, got no"),
        ("photos --method.span 1", r"--method\.span wants 2 numbers"),
        ("", "SOURCE is missing: images"),
        ("photos --batch-size=", "--batch-size wants a whole number, or none, got ''"),
        ("photos more", "'more' is one argument too many: lookalike train takes SOURCE"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse(COMMAND, words.split())
    assert "\n" not in str(caught.value)


def test_an_option_without_a_default_must_be_given() -> None:
    needed = {"data": Option("data", str, help="images to ask about")}
    command = Command("evaluate", "", lambda: None, (), (Section("", "Options", needed),))
    with pytest.raises(UsageError, match="--data is missing: images to ask about"):
        parse(command, [])


def test_an_option_is_shown_with_dashes() -> None:
    assert flag("method.hidden_dim") == "--method.hidden-dim"


def test_the_last_operand_may_take_several_words() -> None:
    operands = (Option("first", str), Option("runs", Path, many=0, help="folders"))
    command = Command("report", "", lambda: None, operands, (Section("", "Options", PLAIN),))
    words = ["a", "b,c", "--batch-size", "8", "d"]  # a comma is part of a name
    assert parse(command, words) == (["a", (Path("b,c"), Path("d"))], {"batch_size": 8})
    assert parse(command, ["a", "b"]) == (["a", (Path("b"),)], {})
    with pytest.raises(UsageError, match="RUNS is missing: folders"):
        parse(command, ["a"])


@pytest.mark.parametrize("words", [[""], [" "], ["photos", "--out", ""], ["photos", "--out="]])
def test_an_empty_word_is_no_name_and_no_folder(words: list[str]) -> None:
    plain = {"out": Option("out", Path, default=None, optional=True)}
    operands = (Option("source", str),)
    command = Command("embed", "", lambda: None, operands, (Section("", "Options", plain),))
    with pytest.raises(UsageError, match=r"wants a (name|path, or none), got"):
        parse(command, words)
