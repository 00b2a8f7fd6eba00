"""At full size a claim keeps its arms and its rule, and leaves its size behind."""

import pytest

from lookalike import registry
from lookalike.papers.base import claims_of
from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.full import BATCH, EPOCHS, SOURCE, full_scale

CLAIM = Claim(
    name="c",
    says="s",
    where="w",
    arms=(
        Arm(name="as it is"),
        Arm(name="half", settings={"epochs": 5, "batch_size": 32}),
        Arm(name="another", settings={"method": "npid", "base_lr": 0.1}),
        Arm(name="wider", settings={"backbone_arguments": {"width": 64}}),
        Arm(name="computed", experiment="somewhere:something"),
    ),
    comparisons=(Comparison(better="as it is", worse="half"),),
    settings={
        "method": "moco",
        "method_arguments": {"temperature": 0.2},
        "epochs": 10,
        "batch_size": 64,
        "backbone": "resnet18",
        "backbone_arguments": {"width": 16},
        "base_lr": 0.015,
    },
)


def test_what_was_chosen_for_the_size_is_left_to_the_method():
    assert full_scale(CLAIM).settings == {
        "method": "moco",
        "method_arguments": {"temperature": 0.2},
        "epochs": EPOCHS,
        "batch_size": BATCH,
    }
    assert full_scale(CLAIM).source == SOURCE


def test_arms_keep_their_proportions_and_what_they_are_about():
    arms = {arm.name: arm for arm in full_scale(CLAIM).arms}
    assert arms["half"].settings == {"epochs": EPOCHS // 2, "batch_size": BATCH // 2}
    assert arms["another"].settings == {"method": "npid"}
    assert arms["wider"].settings == {"backbone_arguments": {"width": 64}}
    assert arms["computed"] == CLAIM.arms[-1]


@pytest.mark.parametrize("paper", registry.names("papers"))
def test_every_claim_keeps_its_arms_and_rule(paper):
    for claim in claims_of(paper):
        full = full_scale(claim)
        assert [arm.name for arm in full.arms] == [arm.name for arm in claim.arms]
        assert full.comparisons == claim.comparisons
        if claim.trains:
            assert full.settings["epochs"] == EPOCHS
            assert "backbone" not in full.settings


def test_teachers_grow_too_and_keep_their_size_beside_the_student():
    (claim,) = [each for each in claims_of("takd") if each.name == "assistant"]
    full = full_scale(claim)
    arm = full.arms[0].settings
    assistant, teacher = arm["taught_by"], arm["taught_by"]["taught_by"]
    assert [each["backbone_arguments"]["width"] for each in (arm, assistant, teacher)] == [2, 8, 24]
    assert assistant["epochs"] == teacher["epochs"] == 200
    assert teacher["batch_size"] == 512
    assert "taught_by" not in teacher
