"""A claim's picture says what its table says, and is a picture."""

import xml.etree.ElementTree as ET

import pytest

from lookalike.papers.base import Outcome
from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.figure import claim_figure

SVG = "{http://www.w3.org/2000/svg}"


def draw(scores, *, unit="%", says="more is better, even <here> & there"):
    claim = Claim(
        name="more",
        says=says,
        where="section 1",
        arms=tuple(Arm(name=name) for name in scores),
        comparisons=(Comparison(better="much", worse="little"),),
        unit=unit,
    )
    outcome = Outcome(
        paper="mine",
        claim=claim,
        source="hands",
        seeds=tuple(range(len(scores["much"]))),
        scores=scores,
        verdict=claim.judge(scores),
        seconds=1.0,
    )
    return ET.fromstring(claim_figure(outcome.to_json()))


def texts(picture):
    return [each.text for each in picture.iter(f"{SVG}text")]


def bars(picture):
    """Return the rectangles but the ground they stand on."""
    return list(picture.iter(f"{SVG}rect"))[1:]


def test_it_shows_every_arm_every_seed_and_the_verdict():
    picture = draw({"little": (0.2, 0.4), "much": (0.5, 0.7)})
    said = texts(picture)
    assert "reproduced" in said
    assert said.index("much") < said.index("little"), "the best comes first"
    assert {"60.0\u00a0%", "30.0\u00a0%"} <= set(said)
    assert len(list(picture.iter(f"{SVG}circle"))) == 4


def test_a_bar_is_as_long_as_its_mean():
    much, little = bars(draw({"little": (0.2, 0.4), "much": (0.5, 0.7)}))
    ratio = float(much.get("width")) / float(little.get("width"))
    assert ratio == pytest.approx(2, rel=0.01)


def test_scores_below_nothing_go_to_the_other_side():
    picture = draw({"little": (-1.0, -3.0), "much": (2.0, 2.0)}, unit="nats")
    much, little = bars(picture)
    assert float(little.get("x")) + float(little.get("width")) == pytest.approx(
        float(much.get("x")), abs=0.2
    )


def test_a_long_title_is_broken_into_lines_and_pushes_the_bars_down():
    scores = {"little": (0.2,), "much": (0.5,)}
    short, long = draw(scores, says="short"), draw(scores, says="many words " * 20)
    assert float(bars(long)[0].get("y")) > float(bars(short)[0].get("y"))


def test_scores_of_nothing_at_all_can_be_drawn():
    assert bars(draw({"little": (0.0,), "much": (0.0,)}))
