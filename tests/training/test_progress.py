import pytest

from lookalike.training.progress import Progress, duration, read_facts


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (60, "1 min"),
        (190, "3 min 10 s"),
        (3600, "1 h"),
        (4330, "1 h 12 min"),
        (86400 * 2 + 5 * 3600, "2 d 5 h"),
    ],
)
def test_duration_is_said_in_two_units(seconds, shown):
    assert duration(seconds) == shown


def test_lines_go_to_the_log_and_to_stderr(tmp_path, capsys):
    log = tmp_path / "log.txt"
    with Progress(log) as progress:
        progress.say("hello [bold]")
        progress.show(3, 10, {"loss": "1.2"})
    assert log.read_text() == "hello [bold]\nstep 3/10  loss 1.2\n"
    captured = capsys.readouterr()
    assert captured.err == log.read_text()
    assert captured.out == ""


def test_plain_lines_are_seldom_and_quiet_ones_are_kept(tmp_path, capsys):
    log = tmp_path / "log.txt"
    with Progress(log, printing=False) as progress:
        for step in range(100):
            progress.show(step, 100, {})
        progress.show(100, 100, {}, now=True)
    assert log.read_text() == "step 0/100\nstep 100/100\n"
    assert capsys.readouterr().err == ""


def test_a_line_of_progress_can_be_read_again(tmp_path):
    facts = {"epoch": "2/5", "loss": "5.310", "wait": "3%", "eta": "1 h 12 min"}
    log = tmp_path / "log.txt"
    with Progress(log, printing=False) as progress:
        progress.show(1200, 9200, facts, now=True)
        progress.show(7, 9, {}, noun="image", now=True)
        progress.say("warning: nothing of the kind")
    lines = log.read_text().splitlines()
    assert [read_facts(line) for line in lines] == [(1200, 9200, facts), None, None]
