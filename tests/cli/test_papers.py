"""What `papers` lists, against the claims that the papers' files hold."""

from __future__ import annotations

import json

import pytest

from lookalike.cli.app import main
from lookalike.papers.simclr import CLAIMS


def test_lists_every_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["papers"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert " simclr SimCLR: " in f" {shown}"
    assert all(f"{claim.says} ({claim.where})" in shown for claim in CLAIMS)


def test_lists_them_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["papers", "--json"]) == 0
    papers = {paper["name"]: paper for paper in json.loads(capsys.readouterr().out)["papers"]}
    assert [claim["name"] for claim in papers["simclr"]["claims"]] == [
        claim.name for claim in CLAIMS
    ]


def test_a_paper_that_is_not_there_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "simcrl"]) == 2
    assert "error: 'simcrl' is no paper. Did you mean simclr?" in capsys.readouterr().err
