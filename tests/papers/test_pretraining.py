"""The experiment trains what it says, in the order it says, and judges the last."""

import pytest

from lookalike.papers import pretraining


@pytest.mark.parametrize("epochs", [0, 6])
def test_triplets_start_from_self_supervision_if_there_is_any(monkeypatch, epochs):
    trained = []
    monkeypatch.setattr(
        pretraining, "train", lambda source, **settings: trained.append(settings) or settings["out"]
    )
    monkeypatch.setattr(pretraining, "recall_at_1", lambda run, source: run.name)
    assert pretraining.recall_of_triplets(pretraining=epochs, epochs=4, seed=3) == "triplets"
    *before, last = trained
    assert [(each["method"], each["epochs"], each["seed"]) for each in before] == (
        [("simclr", epochs, 3)] if epochs else []
    )
    assert (last["method"], last["epochs"], last["seed"]) == ("facenet", 4, 3)
    assert last.get("from_") == (before[0]["out"] if before else None)
    assert (last["backbone"] is None) == bool(before)
