"""The command `lookalike`: finds the command, runs it, and says how it ended."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import lookalike
from lookalike.cli.command import read_command
from lookalike.cli.help import manual, overview
from lookalike.cli.parse import parse
from lookalike.cli.terminal import paint
from lookalike.errors import LookalikeError, PreemptedError, UsageError
from lookalike.names import shown
from lookalike.registry import did_you_mean

COMMANDS: Final = {
    "Look at images": ("check", "views", "align"),
    "Learn from them": ("train", "watch", "distill", "few-labels"),
    "Judge what was learnt": ("evaluate", "verify", "report"),
    "Put it to use": (
        "embed",
        "search",
        "index",
        "serve",
        "cluster",
        "duplicates",
        "apply",
        "leaks",
        "outliers",
        "select",
        "export",
    ),
    "Read the papers": ("papers", "reproduce"),
}
"""Every command, under the heading that help shows it with."""

_PACKAGE: Final = Path(lookalike.__file__).parent
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
_BROKEN_PIPE: Final = 141  # 128 + SIGPIPE


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        words: what follows the word lookalike; none: what this process was given.
    """
    words = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in words
    try:
        code = _run([word for word in words if word != "--debug"])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit is quiet
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        _complain("interrupted", "stopped by Ctrl-C")
        return _INTERRUPTED
    except Exception as problem:
        if debug:
            traceback.print_exc()
        return _explain(problem, debug=debug)
    return code


def _run(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        print(overview(COMMANDS))
        return 0
    if words[0] in ("--version", "-V", "version"):
        print(f"lookalike {lookalike.__version__}")
        return 0
    name, *rest = words
    known = [each for commands in COMMANDS.values() for each in commands]
    if name not in known:
        near = did_you_mean(name, known)
        raise UsageError(f"{name} is not a command.{near}  (all: lookalike --help)")
    before_operands = rest[: rest.index("--")] if "--" in rest else rest
    if "--help" in before_operands or "-h" in before_operands:
        print(manual(read_command(name, rest)))
        return 0
    command = read_command(name, rest)
    operands, arguments = parse(command, rest)
    return command.call(*operands, **arguments) or 0


def _explain(problem: Exception, *, debug: bool) -> int:
    """Say what went wrong, and whose fault it is, in one line or two; return the exit code."""
    if isinstance(problem, LookalikeError):
        if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks for all
            asked_to = isinstance(problem, PreemptedError)
            _complain("interrupted" if asked_to else "error", str(problem))
        return problem.exit_code
    if isinstance(problem, ValueError) and _is_our_own(problem):
        _complain("error", str(problem))
        return UsageError.exit_code
    if isinstance(problem, OSError) and problem.filename is not None:
        _complain("error", f"{problem.filename}: {problem.strerror}")
        return 1
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        _complain("error", "memory ran out\n  fix: a smaller --batch-size, --size or backbone")
        return 1
    kept = "above" if debug else _keep_traceback(problem)
    reason = str(problem).strip().partition("\n")[0]
    _complain("internal error", f"{type(problem).__name__}: {reason}\n  traceback: {kept}")
    return 1


def _is_our_own(problem: BaseException) -> bool:
    """Return whether this package raised it itself, which is how it refuses an argument."""
    frames = traceback.extract_tb(problem.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(_PACKAGE)


def _keep_traceback(problem: BaseException) -> str:
    handle, path = tempfile.mkstemp(prefix="lookalike-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(traceback.format_exception(problem))
    return f"{path}  (--debug shows it here)"


def _complain(kind: str, message: str) -> None:
    first, *more = re.sub(r"\n *fix:", "\n  fix:", message).split("\n")
    head = paint(f"{kind}:", "red", "bold", stream=sys.stderr)
    with suppress(OSError):  # a terminal that is gone changes nothing of how it ended
        print(f"{head} {shown(first)}", file=sys.stderr)
        for line in more:  # none begins where a message of ours does
            print(f"{'' if line.startswith('  ') else '  '}{shown(line)}", file=sys.stderr)
