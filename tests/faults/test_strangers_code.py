"""Code that a run or a model names: run on the word of the person who named the folder, or never.

A file counts how often it is imported. Its name is put into every string of run.json and of
config.json, and every command that reads them is asked to.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import registry
from lookalike.cli.app import main
from lookalike.errors import UsageError
from lookalike.inference import load_encoder
from lookalike.runs.building import load_method, start_from
from lookalike.runs.few_labels import learn_from_few

CLASSES, A_CLASS, SIDE = 3, 8, 16
SMALL = (
    *("--epochs", "1", "--batch-size", "8", "--size", "16", "--device", "cpu"),
    *("--no-evaluate", "--quiet"),
)
NETWORK = ("--backbone", "small_conv", "--backbone.width", "4")
CODE = """
with open({ran!r}, "a") as file:
    file.write("ran\\n")
from lookalike.backbones.small import small_conv
from lookalike.losses.supcon import supcon_loss
from lookalike.methods.simclr import SimCLR

def x(*, width: int = 4):
    return small_conv(width=width)

def y(embeddings, labels):
    return supcon_loss(embeddings, labels)

def x_loss(*anything):
    return 0
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 24 small pictures in three class folders."""
    folder = tmp_path_factory.mktemp("strangers") / "photos"
    random = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class {label}").mkdir(parents=True)
        for number in range(A_CLASS):
            pixels = random.integers(0, 120, (SIDE, SIDE, 3), np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(folder / f"class {label}" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def evil(photos: Path) -> Path:
    """Return a file of code that leaves a line in the file `ran` whenever it is imported."""
    path = photos.parent / "evil.py"
    path.write_text(CODE.format(ran=str(path.with_name("ran"))))
    return path


def times_run(evil: Path) -> int:
    ran = evil.with_name("ran")
    return len(ran.read_text().splitlines()) if ran.exists() else 0


def a_run(photos: Path, name: str, *words: str) -> Path:
    out = photos.parent / name
    network = () if "--backbone" in words else NETWORK
    assert main(["train", str(photos), "--out", str(out), *SMALL, *network, *words]) == 0
    return out


@pytest.fixture(scope="module")
def taught(photos: Path) -> Path:
    """Return a run that tells the three classes apart."""
    return a_run(photos, "taught", "--method", "supervised")


@pytest.fixture(scope="module")
def learnt(photos: Path) -> Path:
    """Return a run with a head of several layers."""
    return a_run(photos, "learnt", "--method", "simclr", "--method.layers", "2")


@pytest.fixture(scope="module")
def collection(photos: Path, learnt: Path) -> Path:
    out = photos.parent / "photos.vec"
    assert main(["embed", str(learnt), str(photos), "--out", str(out)]) == 0
    return out


def strings(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Yield where the strings of a JSON value are, and what is null and could be one."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts:
        if isinstance(part, dict | list):
            yield from strings(part, *path, key)
        elif part is None or isinstance(part, str):
            yield (*path, key)


def changed(value: Any, path: tuple[Any, ...], to: str) -> Any:
    value = json.loads(json.dumps(value))
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return value


def copy_with(folder: Path, out: Path, file: str, *paths: tuple[Any, ...], to: str) -> Path:
    """Copy a folder, but with these strings of a JSON file replaced."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder, out)
    content = json.loads((out / file).read_text())
    for path in paths:
        content = changed(content, path, to)
    (out / file).write_text(json.dumps(content))
    return out


def edited(folder: Path, out: Path, **resolved: Any) -> Path:
    """Copy a run, but with these settings in its run.json."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder, out)
    record = json.loads((out / "run.json").read_text())
    record["resolved"] |= resolved
    (out / "run.json").write_text(json.dumps(record))
    return out


def test_the_file_counts(evil, tmp_path, taught):
    copy = edited(taught, tmp_path / "copy", backbone=f"{evil}:x")
    before = times_run(evil)
    load_method(copy, trust_code=True)
    copied = evil.with_name("copied.py")  # for a file is imported once in a process
    shutil.copy(evil, copied)
    registry.load(registry.locate("backbones", f"{copied}:x"))
    assert times_run(evil) == before + 2
    evil.with_name("ran").unlink()


REQUIRED = {"class_count": CLASSES, "image_count": CLASSES * A_CLASS, "dim": 8}


def named(room: str) -> list[tuple[str, str]]:
    """Return every option of every entry of a room, and what may come without being one."""
    told = []
    for name in registry.names(room):
        given = [each.name for each in registry.options(registry.locate(room, name))]
        told += [(name, option) for option in (*given, "backbone", "checkpoint_path")]
    return told


def test_no_argument_of_a_method_or_backbone_runs_code_that_a_run_names(evil, tmp_path, taught):
    """What a run says, the loaders hand to methods and backbones, and these to the registry."""
    before, refused = times_run(evil), 0
    copy = edited(taught, tmp_path / "copy")
    record = json.loads((copy / "run.json").read_text())
    for text in (f"{evil}:x", str(evil)):
        for room, kind in (("methods", "method"), ("backbones", "backbone")):
            for name, option in named(room):
                needed = {
                    each.name: REQUIRED[each.name]
                    for each in registry.options(registry.locate(room, name))
                    if each.name in REQUIRED
                }
                wanted = {kind: name, f"{kind}_arguments": {**needed, option: text}}
                resolved = {**record["resolved"], **wanted}
                (copy / "run.json").write_text(json.dumps({**record, "resolved": resolved}))
                for load in (load_method, start_from_the_head):
                    try:
                        load(copy)
                    except UsageError as problem:
                        refused += "needs the code of" in str(problem)
    assert times_run(evil) == before
    assert refused >= 8, "loss of metric, student of sftn, response and feature of distillation"


def start_from_the_head(run: Path) -> None:
    start_from(run, layer="projector 1")


@pytest.mark.parametrize("file", ["run.json", "model/config.json", "model/preprocessor.json"])
def test_no_string_of_a_run_runs_code_when_it_is_loaded(evil, tmp_path, learnt, file):
    before = times_run(evil)
    for path in strings(json.loads((learnt / file).read_text())):
        copy = copy_with(learnt, tmp_path / "copy", file, path, to=f"{evil}:x")
        for load in (load_encoder, load_method, start_from_the_head):
            try:
                load(copy)
            except UsageError:
                continue
    assert times_run(evil) == before


COMMANDS = {
    "evaluate": "evaluate RUN --data PHOTOS",
    "layers": "evaluate RUN --data PHOTOS --layers",
    "beside": "evaluate TAUGHT --data PHOTOS --teacher RUN",
    "teacher": "train PHOTOS --out OUT --method distillation --teacher RUN SMALL",
    "vectors": "train PHOTOS --out OUT --method embedding_distillation --teacher RUN SMALL",
    "from": "train PHOTOS --out OUT --method simclr --from RUN SMALL",
    "layer": "train PHOTOS --out OUT --method simclr --from RUN --from-layer LAYER SMALL",
    "again": "train PHOTOS --out RUN --method METHOD SMALL",
    "distill": "distill RUN --data PHOTOS --student small_conv --epochs 1 --out OUT",
    "embed": "embed RUN PHOTOS --out OUT",
    "cluster": "cluster RUN PHOTOS --out OUT",
    "duplicates": "duplicates RUN PHOTOS --out OUT",
    "leaks": "leaks RUN PHOTOS PHOTOS --out OUT",
    "outliers": "outliers RUN PHOTOS --out OUT",
    "select": "select RUN PHOTOS --out OUT --count 3",
    "export": "export RUN --to safetensors --out OUT",
    "verify": "verify RUN PAIRS --data PHOTOS",
    "report": "report RUN",
    "compare": "report RUN TAUGHT --out OUT",
    "watch": "watch RUN --once",
    "search": "search COLLECTION IMAGE",
    "search with": "search COLLECTION IMAGE --run RUN",
    "add": "index COLLECTION --add MORE",
    "serve": "serve COLLECTION --run RUN --port 99999",
}
TRUSTING = [name for name in COMMANDS if name not in ("again", "report", "compare", "watch")]


def line(name: str, run: Path, places: dict[str, Path], *, classifies: bool) -> list[str]:
    """Return the words of a command."""
    words = []
    for word in COMMANDS[name].split():
        if word == "SMALL":
            words += [*SMALL, *NETWORK]
        elif word == "LAYER":
            words.append("projector 1")
        elif word == "METHOD":
            words.append("supervised" if classifies else "simclr")
        else:
            words.append(str({**places, "RUN": run}.get(word, word)))
    if name in ("from", "layer"):
        words = words[: words.index("--backbone")]
    return words


@pytest.fixture
def places(photos, taught, collection, tmp_path, monkeypatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    pairs = tmp_path / "pairs.csv"
    rows = [f"class 0/{n}.png,class {n % 2}/{n + 1}.png,{int(n % 2 == 0)}\n" for n in range(6)]
    pairs.write_text("path_a,path_b,same\n" + "".join(rows))
    (tmp_path / "more").mkdir()
    shutil.copy(photos / "class 0/0.png", tmp_path / "more/another.png")
    shutil.copytree(collection, tmp_path / "collection.vec")
    return {
        "PHOTOS": photos,
        "TAUGHT": taught,
        "OUT": tmp_path / "out",
        "PAIRS": pairs,
        "IMAGE": photos / "class 0/0.png",
        "COLLECTION": tmp_path / "collection.vec",
        "MORE": tmp_path / "more",
    }


def ask(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command; return its exit code and what it complained of."""
    capsys.readouterr()
    code = main(words)
    return code, capsys.readouterr().err.partition("error: ")[2]


def of(name: str, taught: Path, learnt: Path) -> Path:
    return taught if name in ("beside", "teacher") else learnt


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_code_that_nobody_trusted(
    evil, places, taught, learnt, tmp_path, name, capsys
):
    run, code = of(name, taught, learnt), f"{evil}:x"
    before = times_run(evil)
    complaints = []
    for file in ("run.json", "model/config.json"):
        for where in (("backbone",), ("method",), ("everything",)):
            if where == ("method",) and file != "run.json":
                continue
            content = json.loads((run / file).read_text())
            within = where if file != "run.json" else ("resolved", *where)
            paths = list(strings(content)) if where == ("everything",) else [within]
            copy = copy_with(run, tmp_path / "copy", file, *paths, to=code)
            if file != "run.json":  # a collection has a model of its own
                shutil.copy(copy / file, places["COLLECTION"] / file)
            shutil.rmtree(places["OUT"], ignore_errors=True)
            exit_code, complaint = ask(line(name, copy, places, classifies=run == taught), capsys)
            assert exit_code in (0, 2), complaint
            assert (exit_code == 2) == bool(complaint)
            assert "Traceback" not in complaint
            complaints.append(complaint)
    assert times_run(evil) == before
    if name in TRUSTING:
        refused = [each for each in complaints if f"needs the code of {code}" in each]
        assert refused, complaints
        for each in refused:
            _, *fixes = each.strip().splitlines()
            assert [fix.strip().partition(":")[0] for fix in fixes] == ["fix"]
            assert "--trust-code" in fixes[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_runs_code_that_a_string_names_which_loading_passes_over(
    evil, places, taught, learnt, tmp_path, name, capsys
):
    """What the loaders do not refuse goes on into the command, which must not make code of it."""
    run, code = of(name, taught, learnt), f"{evil}:x"
    before = times_run(evil)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for file in ("run.json", "model/config.json"):
        content = json.loads((run / file).read_text())
        for path in list(strings(content)):
            attempt = changed(content, path, code)
            (copy / file).write_text(json.dumps(attempt))
            try:
                load_encoder(copy)
                load_method(copy)
            except UsageError:
                continue
            content = attempt
        (copy / file).write_text(json.dumps(content))
    exit_code, complaint = ask(line(name, copy, places, classifies=run == taught), capsys)
    assert exit_code in (0, 2), complaint
    assert times_run(evil) == before


@pytest.mark.parametrize("name", [each for each in TRUSTING if each != "serve"])
def test_the_other_way_round_trusted_code_works(photos, tmp_path, places, name, capsys):
    mine = tmp_path / "mine.py"
    mine.write_text(CODE.format(ran=str(tmp_path / "ran")))
    own = ["--backbone", f"{mine}:x", "--backbone.width", "4"]
    method = ["supervised"] if name in ("beside", "teacher") else ["simclr", "--method.layers", "2"]
    run = tmp_path / "own"
    words = ["train", str(photos), "--out", str(run), *SMALL, *own, "--method", *method]
    assert main(words) == 0
    assert times_run(mine) == 1
    if "COLLECTION" in COMMANDS[name]:
        shutil.rmtree(places["COLLECTION"])
        out = ["--out", str(places["COLLECTION"])]
        assert main(["embed", str(run), str(photos), *out, "--trust-code"]) == 0
    words = line(name, run, places, classifies=name in ("beside", "teacher"))
    exit_code, complaint = ask(words, capsys)
    assert (exit_code, "needs the code of" in complaint) == (2, True)
    exit_code, complaint = ask([*words, "--trust-code"], capsys)
    assert exit_code == 0, complaint


def test_a_loss_of_ones_own_is_trusted_likewise(photos, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(CODE.format(ran=str(tmp_path / "ran")))
    run = a_run(photos, f"metric {os.getpid()}", "--method", "metric", "--loss", f"{mine}:y")
    with pytest.raises(UsageError, match="needs the code of"):
        load_method(run)
    assert load_method(run, trust_code=True).loss.__name__ == "y"


def test_what_was_typed_is_trusted_also_where_a_file_repeats_it(photos, tmp_path, learnt):
    """`distill --student mine.py:x` reads the student back, which its caller has just named."""
    mine = tmp_path / "mine.py"
    mine.write_text(CODE.format(ran=str(tmp_path / "ran")))
    words = ["--student", f"{mine}:x", "--epochs", "1", "--out", str(tmp_path / "small")]
    assert main(["distill", str(learnt), "--data", str(photos), *words]) == 0
    assert main(["evaluate", str(tmp_path / "small"), "--data", str(photos)]) == 2
    found = learn_from_few(
        "hands",
        labels=0.5,
        out=tmp_path / "few",
        backbone=f"{mine}:x",
        **{"epochs": 1, "fine_epochs": 1, "teach_epochs": 1, "size": 16, "limit": 60},
        compare=False,
        quiet=True,
    )
    assert found.unlabelled > 0


def test_names_that_python_passes_are_the_callers(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(CODE.format(ran=str(tmp_path / "ran")))
    with registry.read_from("run.json", trust_code=False):
        with pytest.raises(UsageError, match=r"run\.json needs the code of"):
            registry.locate("backbones", f"{mine}:x")
        with registry.given(("a", {"backbone": f"{mine}:x"}), None):
            registry.locate("backbones", f"{mine}:x")
            with pytest.raises(UsageError, match="needs the code of"):
                registry.locate("backbones", f"{mine}:y")
        with registry.read_from("another", trust_code=True):
            registry.locate("backbones", f"{mine}:y")
        with pytest.raises(UsageError, match="needs the code of"):
            registry.locate("backbones", f"{mine}:x")
    assert registry.locate("backbones", f"{mine}:x").path == mine
