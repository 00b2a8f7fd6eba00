"""`reproduce` runs the claims that are asked for, and tells how they came out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lookalike.cli.app import main
from lookalike.papers import base


def test_tells_how_claims_came_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}
    outcome = SimpleNamespace(
        claim=SimpleNamespace(name="head"),
        lines=lambda: ["a table", "reproduced"],
        to_json=lambda: {"verdict": "reproduced"},
    )

    def run(paper: str, **settings: object) -> list[SimpleNamespace]:
        asked.update(settings, paper=paper)
        return [outcome]

    monkeypatch.setattr(base, "reproduce", run)
    words = ["simclr", "--claim", "head", "--seeds", "2", "--out", str(tmp_path)]
    assert main(["reproduce", *words]) == 0
    shown = capsys.readouterr()
    assert asked == {"paper": "simclr", "claim": "head", "seeds": 2, "out": tmp_path}
    assert shown.out == "a table\nreproduced\n"
    assert f"wrote  {tmp_path / 'simclr' / 'head.json'}" in shown.err
    assert main(["reproduce", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"outcomes": [{"verdict": "reproduced"}]}


def test_an_unknown_claim_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "simclr", "--claim", "haed"]) == 2
    assert "Did you mean head?" in capsys.readouterr().err
