"""`few-labels` prints what each step's classifier gets right."""

import json

import pytest

from lookalike.cli.app import main

WORDS = "--epochs 1 --fine-epochs 1 --teach-epochs 1 --size 16 --limit 100 --quiet"
NET = "--backbone small_conv --backbone.width 2"


def test_it_prints_a_table_and_says_what_it_wrote(tmp_path, capsys):
    out = tmp_path / "few"
    words = ["few-labels", "hands", "--labels", "0.2", "--out", str(out), *WORDS.split()]
    assert main([*words, *NET.split(), "--no-compare"]) == 0
    shown = capsys.readouterr()
    assert "learnt without labels, then fine-tuned" in shown.out
    assert "the labels alone" not in shown.out
    assert f"wrote  {out / 'few_labels.json'}" in shown.err
    assert main([*words, *NET.split(), "--no-compare", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["accuracies"]) == {"finetuned", "distilled"}


@pytest.mark.parametrize(("words", "told"), [("--labels 0", "--labels"), ("--limit 1", "--limit")])
def test_what_cannot_be_is_told_in_a_line(tmp_path, words, told, capsys):
    assert main(["few-labels", "hands", "--out", str(tmp_path / "x"), *words.split()]) == 2
    assert told in capsys.readouterr().err
