import json

import pytest

from lookalike.errors import UsageError
from lookalike.training.run_folder import Choice, Run, RunFolder, differences, read_lines


@pytest.fixture
def opened():
    folders = []

    def open_folder(path, *, overwrite=False):
        folders.append(RunFolder(path))
        return folders[-1], folders[-1].open(overwrite=overwrite)

    yield open_folder
    for folder in folders:
        folder.close()


def test_a_new_folder_is_made_and_recorded(tmp_path, opened):
    folder, exists = opened(tmp_path / "a" / "run")
    assert not exists
    folder.start({"seed": 1}, [Choice("size", 32, "the images are 32 px")], "cpu")
    run = Run(folder.path)
    assert run.status == "running"
    assert run.config == {"seed": 1}
    assert run.record["choices"] == [
        {"name": "size", "value": 32, "reason": "the images are 32 px"}
    ]
    assert run.metrics == []
    assert run.evaluation is None


def test_a_second_writer_is_refused(tmp_path, opened):
    first, _ = opened(tmp_path / "run")
    assert first.path.exists()
    with pytest.raises(UsageError, match="another process is training"):
        opened(tmp_path / "run")


def test_a_folder_of_other_things_is_left_alone(tmp_path, opened):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="not empty and holds no run"):
            opened(tmp_path, overwrite=overwrite)
    assert (tmp_path / "photo.jpg").read_bytes() == b"x"


def test_a_file_is_no_run_folder(tmp_path, opened):
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        opened(path)


def test_overwrite_starts_anew(tmp_path, opened):
    folder, _ = opened(tmp_path / "run")
    folder.start({}, [], "cpu")
    (folder.path / "checkpoints").mkdir()
    folder.close()
    again, exists = opened(tmp_path / "run", overwrite=True)
    assert not exists
    assert sorted(entry.name for entry in again.path.iterdir()) == [".lock"]


def test_metrics_are_rewound_to_the_checkpoint(tmp_path, opened):
    folder, _ = opened(tmp_path / "run")
    folder.append(folder.metrics, {"step": 1})
    size = folder.metrics_size()
    folder.append(folder.metrics, {"step": 2})
    folder.append(folder.speed, {"step": 1})
    folder.append(folder.speed, {"step": 2})
    folder.rewind_metrics(size, 1)
    assert read_lines(folder.metrics) == [{"step": 1}]
    assert read_lines(folder.speed) == [{"step": 1}]


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1}) + '\n{"step": 2, "lo')
    assert read_lines(path) == [{"step": 1}]


def test_the_time_of_all_parts_is_added_up(tmp_path, opened):
    folder, _ = opened(tmp_path / "run")
    folder.start({}, [], "cpu")
    folder.finish("preempted", 2.0)
    folder.close()
    again, exists = opened(tmp_path / "run")
    assert exists
    again.start({}, [], "cpu")
    again.finish("done", 3.0)
    assert Run(again.path).record["seconds"] == 5.0
    assert Run(again.path).status == "done"


def test_differences_leave_out_what_is_harmless():
    old = {"seed": 0, "workers": 2, "views": {"area": (0.1, 1.0)}, "gone": 1}
    new = {"seed": 1, "workers": 0, "views": {"area": [0.1, 1.0]}, "new": 2}
    assert differences(old, new) == [("gone", 1, None), ("new", None, 2), ("seed", 0, 1)]


def test_no_run_is_said_so(tmp_path):
    with pytest.raises(UsageError, match=r"no run.json"):
        Run(tmp_path)


def test_printed_a_run_says_where_it_is(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    run = Run(tmp_path)
    assert eval(repr(run)).path == run.path


def a_record(**changes):
    resolved = {
        "method": "simclr",
        "backbone": "small_conv",
        "source": "photos",
        "method_arguments": {},
        "backbone_arguments": {},
        "size": 16,
        "mean": [0.5, 0.5, 0.5],
        "classes": ["a"],
    }
    return json.dumps({"format": 1, "status": "done", "resolved": resolved} | changes).encode()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff\x00", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[1]", "it is no JSON object"),
        (a_record(format=99), "is of format 99, and this lookalike reads up to 1\n  fix: update"),
        (a_record(format="new"), "is of format 'new'"),
        (a_record(resolved=None), "it holds no settings"),
        (a_record(resolved={"mean": "x"}), "mean cannot be 'x'"),
        (a_record(resolved={"mean": [1, 2]}), r"mean cannot be \[1, 2\]"),
        (a_record(resolved={"classes": [1]}), r"classes cannot be \[1\]"),
        (a_record(resolved={"size": True}), "size cannot be True"),
        (a_record(resolved={"method_arguments": "x"}), "method_arguments cannot be"),
        (a_record(resolved={"source": 7}), "source cannot be 7"),
    ],
)
def test_a_damaged_or_newer_record_is_said_to_be_so(tmp_path, content, told):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UsageError, match=told):
        _ = Run(tmp_path).config


def test_a_setting_that_is_missing_is_named(tmp_path):
    (tmp_path / "run.json").write_bytes(a_record())
    config = Run(tmp_path).config
    assert config["method"] == "simclr"
    assert config.get("from") is None
    assert "seed" not in config
    with pytest.raises(UsageError, match=r"run\.json cannot be read: it says nothing of seed"):
        _ = config["seed"]
    (tmp_path / "evaluation.json").write_text("[]")
    with pytest.raises(UsageError, match=r"evaluation\.json cannot be read"):
        _ = Run(tmp_path).evaluation
