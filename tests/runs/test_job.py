import json

import numpy as np
import pytest
from PIL import Image

from lookalike.checkpoint import load_checkpoint
from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.inference import load_encoder
from lookalike.runs.building import build_method, load_method
from lookalike.runs.job import train
from lookalike.training.run_folder import Run

TINY = {
    "backbone": "small_conv",
    "backbone_arguments": {"width": 4},
    "size": 16,
    "batch_size": 8,
    "epochs": 1,
    "quiet": True,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    images = open_source("hands")
    images = images.select(np.arange(0, 1536, 48))
    squares, kept = load_squares(images, 24)
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    np.savez(path, images=squares.transpose(0, 2, 3, 1), labels=images.labels[kept])
    return path


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    return train(photos, out=tmp_path_factory.mktemp("runs") / "run", **TINY)


def test_a_run_leaves_what_it_promises(run):
    names = {path.name for path in run.path.iterdir()}
    assert names >= {
        "run.json",
        "metrics.jsonl",
        "speed.jsonl",
        "unreadable.csv",
        "checkpoints",
        "model",
        "views.png",
        "evaluation.json",
        "gallery.npz",
        "log.txt",
    }
    model = {path.name for path in (run.path / "model").iterdir()}
    assert model == {"model.safetensors", "config.json", "preprocessor.json"}
    assert run.status == "done"
    assert run.config["backbone_arguments"] == {"width": 4}
    for choice in run.record["choices"]:
        assert choice["reason"]


def test_the_scorecard_has_the_names_that_scripts_rely_on(run):
    card = run.evaluation
    for name in ("knn_top1", "linear_top1", "raw_pixels_knn_top1", "untrained_knn_top1"):
        assert 0 <= card[name] <= 1


def test_the_method_comes_back_as_it_was(run):
    method = load_method(run.path)
    assert type(method).__name__ == "SimCLR"
    assert method.temperature == 0.5
    assert method.projector[0].weight.isfinite().all()


def test_the_same_call_on_a_finished_run_does_nothing(run, photos):
    before = (run.path / "run.json").read_bytes()
    again = train(photos, out=run.path, **TINY)
    assert again.path == run.path
    assert (run.path / "run.json").read_bytes() == before


def test_other_settings_are_refused_and_shown(run, photos):
    before = (run.path / "run.json").read_bytes()
    with pytest.raises(UsageError, match="seed: 0 -> 1"):
        train(photos, out=run.path, **TINY, seed=1)
    assert (run.path / "run.json").read_bytes() == before


def test_other_images_are_refused(run, photos, tmp_path):
    with np.load(photos) as table:
        np.savez(tmp_path / "photos.npz", images=table["images"][1:], labels=table["labels"][1:])
    with pytest.raises(UsageError, match="images: 32 -> 31"):
        train(tmp_path / "photos.npz", out=run.path, **TINY)


def test_streamed_and_resident_images_train_alike(photos, tmp_path):
    """Their crops differ by rounding to 8 bits, so the first losses are close and no more."""
    settings = {**TINY, "evaluate": False, "log_every": 1}
    resident = train(photos, out=tmp_path / "resident", **settings)
    streams = [
        train(photos, out=tmp_path / f"{count}", **settings, resident_mb=0, workers=count)
        for count in (0, 2)
    ]
    here, streamed, by_workers = (
        [row["loss"] for row in run.metrics if "loss" in row] for run in (resident, *streams)
    )
    assert streamed == by_workers
    assert here[0] == pytest.approx(streamed[0], rel=0.02)
    assert here != streamed


def test_accumulation_needs_a_method_that_compares_projections(photos, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        '"""Mine."""\n'
        "from lookalike.methods.base import Method, Step\n\n\n"
        "class Mine(Method):\n"
        '    """Mine."""\n\n'
        "    def forward(self, batch):\n"
        "        return Step(self.backbone(batch.views[0]).mean())\n"
    )
    with pytest.raises(UsageError, match="needs its whole batch at once"):
        train(photos, out=tmp_path / "run", **TINY, method=f"{path}:Mine", accumulate=2)
    assert not (tmp_path / "run").exists()


def test_accumulation_trains(photos, tmp_path):
    run = train(photos, out=tmp_path / "run", **TINY, accumulate=2, evaluate=False)
    assert run.status == "done"


def test_one_image_is_too_few(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "photos" / "a.png")
    with pytest.raises(DataError, match="1 image is too few"):
        train(tmp_path / "photos", out=tmp_path / "run", quiet=True)


def test_too_many_unreadable_images_stop_the_run(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(9):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    settings = {**TINY, "batch_size": 4, "evaluate": False}
    with pytest.raises(DataError, match=r"1 of 10 images cannot be read"):
        train(tmp_path / "photos", out=tmp_path / "run", **settings)
    assert "broken.jpg" in (tmp_path / "run" / "unreadable.csv").read_text()
    run = train(tmp_path / "photos", out=tmp_path / "run", **settings, max_unreadable=0.2)
    assert "broken.jpg" in (run.path / "unreadable.csv").read_text()
    assert run.config["unreadable"] == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 33}, "--batch-size 33 is more than the 32 images"),
        ({"batch_size": 1}, "--batch-size must be at least 2"),
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"limit": 1}, "--limit must be at least 2"),
        ({"size": 4}, "--size must be at least 8"),
        ({"views": "simclrr"}, "is no plan"),
        ({"method": "simclrr"}, "simclr"),
        ({"optim": "sdg"}, "sgd"),
        ({"device": "nonsense"}, "is no device"),
        ({"views_arguments": {"flip": 2.0}}, "flip"),
        ({"method_arguments": {"temperature": 0.0}}, "temperature"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(photos, tmp_path, settings, said):
    with pytest.raises(UsageError, match=said):
        train(photos, out=tmp_path / "run", **{**TINY, **settings})


def test_arguments_that_a_method_refuses_leave_no_run_behind(photos, tmp_path):
    with pytest.raises(UsageError, match="temperature"):
        train(photos, out=tmp_path / "run", **TINY, method_arguments={"temperature": 0.0})
    assert not (tmp_path / "run" / "run.json").exists()
    again = train(photos, out=tmp_path / "run", **TINY, evaluate=False)
    assert again.status == "done"


def test_the_record_is_json(run):
    record = json.loads((run.path / "run.json").read_text())
    assert record["resolved"]["images"] == 32
    assert record["resolved"]["views"]["name"] == "simclr_small"
    assert Run(run.path).config == record["resolved"]


def test_a_limit_draws_images_with_the_seed(photos, tmp_path):
    """As many as asked for, the same for the same seed, others for another."""
    digests = []
    for number, seed in enumerate((0, 0, 1)):
        run = train(photos, out=tmp_path / str(number), limit=16, evaluate=False, seed=seed, **TINY)
        assert run.config["images"] == 16
        digests.append(run.config["images_sha256"])
    assert digests[0] == digests[1] != digests[2]


MINE = (
    '"""Mine."""\n'
    "from lookalike.methods.base import Method, Step\n\n\n"
    "class Mine(Method):\n"
    '    """Pulls the images of a class together."""\n\n'
    "    needs_labels = True\n"
    '    sampling = "classes"\n'
    "    images_per_class = 2\n\n"
    "    def forward(self, batch):\n"
    "        one, other = self.backbone(batch.views[0]).unflatten(0, (-1, 2)).unbind(1)\n"
    "        assert batch.labels.min() >= 0\n"
    "        assert batch.labels[::2].equal(batch.labels[1::2])\n"
    "        return Step((one - other).square().mean())\n"
)
BY_CLASS = {**TINY, "log_every": 1, "evaluate": False}


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return f"{path}:Mine"


@pytest.fixture
def partly(photos, tmp_path):
    """As `photos`, but the label of every fifth image is unknown."""
    with np.load(photos) as table:
        labels = table["labels"].copy()
        labels[::5] = -1
        np.savez(tmp_path / "partly.npz", images=table["images"], labels=labels)
    return tmp_path / "partly.npz"


@pytest.mark.parametrize("resident_mb", [64, 0])
def test_a_method_with_labels_sees_classes_and_no_image_without_a_label(
    partly, tmp_path, mine, resident_mb
):
    settings = {**BY_CLASS, "method": mine, "resident_mb": resident_mb, "workers": 0}
    run = train(partly, out=tmp_path / "run", **settings)
    assert run.config["images"] == 25
    assert run.config["unlabelled"] == 7
    assert (run.config["sampling"], run.config["images_per_class"]) == ("classes", 2)
    assert len([row for row in run.metrics if "loss" in row]) == 25 // 8
    log = (run.path / "log.txt").read_text()
    assert "classes, which training learns from, 7 without a label left out" in log
    assert "never sees" not in log


def test_a_run_by_class_that_broke_off_ends_as_one_that_did_not(photos, tmp_path, monkeypatch):
    settings = {**BY_CLASS, "sampling": "classes", "epochs": 2, "save_every": 0}
    whole = train(photos, out=tmp_path / "whole", **settings)
    assert "classes, which only the batches are drawn by" in (whole.path / "log.txt").read_text()
    scheme, steps = type(load_method(whole.path)), []

    def fall(method, step, progress):
        steps.append(progress)
        if len(steps) == 3:
            raise KeyError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(scheme, "after_step", fall)
        with pytest.raises(KeyError, match="power cut"):
            train(photos, out=tmp_path / "broken", **settings)
    broken = train(photos, out=tmp_path / "broken", **settings)
    losses = [[row["loss"] for row in run.metrics if "loss" in row] for run in (whole, broken)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 8
    one, other = (load_method(run.path).state_dict() for run in (whole, broken))
    assert all(tensor.equal(other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(("labels", "told"), [([-1] * 8, "no labels"), ([3] * 8, "one class only")])
def test_labels_that_tell_nothing_apart_are_too_few(tmp_path, mine, labels, told):
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=np.array(labels))
    for settings in ({"method": mine}, {"sampling": "identities"}):
        with pytest.raises(DataError, match=f"has {told}, and this training compares classes"):
            train(tmp_path / "few.npz", out=tmp_path / "run", **{**BY_CLASS, **settings})


def test_images_that_cannot_be_laid_out_are_told_before_a_run_begins(photos, tmp_path):
    settings = {**BY_CLASS, "sampling": "identities", "images_per_class": 8}
    with pytest.raises(UsageError, match=r"--sampling identities: batch_size must be above"):
        train(photos, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run" / "run.json").exists()


OWN_OPTIMIZER = (
    '"""Mine."""\n'
    "from torch.optim import SGD\n\n\n"
    "def apart(module, constant_rate=(), *, lr: float = 1.0):\n"
    '    """A backbone\'s rate below a head\'s."""\n'
    "    body = list(module.backbone.parameters())\n"
    "    head = list(module.projector.parameters())\n"
    "    return SGD([{'params': body, 'lr': 0.01}, {'params': head, 'lr': 0.1}], lr=lr)\n"
)


def test_an_optimizer_of_ones_own_keeps_the_rates_of_its_groups(photos, tmp_path):
    """Both follow the schedule, at 0.01 and 0.1 times the same share of their peaks."""
    path = tmp_path / "optimizers.py"
    path.write_text(OWN_OPTIMIZER)
    settings = {**BY_CLASS, "optim": f"{path}:apart", "warmup_epochs": 0}
    run = train(photos, out=tmp_path / "run", **settings)
    state = load_checkpoint(run.path / "checkpoints").state["optimizer"]
    low, high = (group["lr"] for group in state["param_groups"])
    assert 0 < low < 0.01
    assert high == pytest.approx(10 * low)
    assert [row["lr"] for row in run.metrics if "lr" in row][-1] == low


def start_from(run, photos, folder, **settings):
    changes = {"backbone": None, "backbone_arguments": None, "size": None, **settings}
    return train(photos, out=folder, from_=run.path, **{**TINY, **changes})


def test_training_starts_from_another_run_s_encoder(run, photos, tmp_path):
    still = {"lr": 0.0, "weight_decay": 0.0}  # what is not moved is what it started with
    later = start_from(run, photos, tmp_path / "later", method="metric", optim_arguments=still)
    before, after = load_encoder(run.path).backbone, load_encoder(later.path).backbone
    for name, weights in before.named_parameters():
        assert weights.equal(after.backbone.get_parameter(name)), name
    assert later.config["size"] == run.config["size"]
    assert later.config["mean"] == run.config["mean"]
    reasons = {choice["name"]: choice["reason"] for choice in later.record["choices"]}
    assert reasons["backbone"] == reasons["size"] == "as the encoder it starts from"


def test_the_encoder_it_started_from_is_a_baseline(run, photos, tmp_path):
    later = start_from(run, photos, tmp_path / "later", method="metric", images_per_class=2)
    assert later.evaluation["starting_knn_top1"] == run.evaluation["knn_top1"]
    assert later.evaluation["dim"] == 128, "the head is kept"


def test_a_slow_copy_starts_from_the_same_encoder(run, photos, tmp_path):
    later = start_from(run, photos, tmp_path / "later", method="byol", evaluate=False)
    config = later.config
    method = build_method(config, start=load_encoder(run.path))
    for own, copied in zip(
        method.backbone.parameters(), method.target[0].parameters(), strict=True
    ):
        assert own.equal(copied)


def test_another_start_is_another_run(run, photos, tmp_path):
    start_from(run, photos, tmp_path / "later", evaluate=False)
    other = train(photos, out=tmp_path / "other", seed=1, evaluate=False, **TINY)
    with pytest.raises(UsageError, match="start: "):
        start_from(other, photos, tmp_path / "later", evaluate=False)


@pytest.mark.parametrize(
    "changes", [{"backbone": "resnet18"}, {"backbone_arguments": {"width": 4}}]
)
def test_a_start_brings_its_own_backbone(run, photos, tmp_path, changes):
    with pytest.raises(UsageError, match="an encoder brings its own backbone"):
        start_from(run, photos, tmp_path / "later", **changes)


def test_a_start_that_is_no_run_is_refused(photos, tmp_path):
    settings = {**TINY, "backbone": None, "backbone_arguments": None}
    with pytest.raises(UsageError, match="no model"):
        train(photos, out=tmp_path / "later", from_=tmp_path / "nowhere", **settings)
