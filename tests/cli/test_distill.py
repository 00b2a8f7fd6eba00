"""`distill` trains a small encoder and prints how it compares."""

import json

import pytest

from lookalike.cli.app import main


def test_it_prints_a_table_and_says_what_it_wrote(run, tmp_path, capsys):
    out = tmp_path / "small"
    words = ["--student", "small_conv", "--student.width", "2", "--epochs", "1", "--out", str(out)]
    assert main(["distill", str(run), *words]) == 0
    shown = capsys.readouterr()
    for told in ("parameters", "images a second", "the ten nearest in common"):
        assert told in shown.out
    for name in ("model", "comparison.json", "changed.csv"):
        assert f"wrote  {out / name}" in shown.err
    assert main(["distill", str(run), *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--student resnet19", "resnet19"),
        ("", "--student"),
        ("--student small_conv --student.depth 3", "depth"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(run, tmp_path, words, message, capsys):
    assert main(["distill", str(run), "--out", str(tmp_path / "x"), *words.split()]) == 2
    assert message in capsys.readouterr().err
