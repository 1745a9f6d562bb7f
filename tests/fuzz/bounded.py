"""One command inside this process, within bounds of time and memory, and what is wrong with it."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from typer import testing

from axsim.cli.app import app

# Otherwise typer makes all commands anew for each input, which takes longer than most inputs do.
testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]

SECONDS, WAITING = 30, 300
"""A command on a small input takes more of a core, or more time, only if it hangs."""

MEMORY = 6 << 30
"""Bytes of address space beyond what the process has when a campaign begins."""

MAY_FAIL = frozenset({"validate", "check", "sweep"})
"""Commands whose exit status 1 says that a limit is broken."""

LINES, CHARACTERS = 13, 6000
"""Of errors, at most: ten and how many more, with the lines around them."""

LONGEST_MS = 1e9
"""Eleven days: no time of a small workload on a chip that could exist."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Hang(BaseException):
    """A command that took longer than :data:`SECONDS` or :data:`WAITING`."""


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit status, or the exception that ended it, and what it said."""

    arguments: Sequence[str]
    code: int
    stdout: str
    stderr: str
    error: str
    seconds: float

    @property
    def faults(self) -> list[str]:
        """What no input may lead to."""
        return [*_faults(self)]


@contextmanager
def limits() -> Iterator[None]:
    """At most :data:`MEMORY` more for what runs inside; warnings are silent."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def outcome(arguments: Sequence[str], folder: Path) -> Outcome:
    """Run ``axsim`` with ``arguments`` in ``folder``."""

    def hangs(signum: int, frame: FrameType | None) -> None:
        raise Hang

    home = Path.cwd()
    os.chdir(folder)
    clocks = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    earlier = {each: signal.signal(each, hangs) for each in clocks}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    start = time.perf_counter()
    code, stdout, stderr, error = -1, "", "", ""
    try:
        result = testing.CliRunner().invoke(
            app, list(arguments), prog_name="axsim", env={"COLUMNS": "80"}
        )
        code, stdout, stderr = result.exit_code, result.stdout, result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            error = _where(result.exception)
    except Hang as hang:
        error = _where(hang)
    except UnicodeError as unreadable:  # what was said is no text at all
        error = _where(unreadable)
    finally:
        for each, clock in clocks.items():
            signal.setitimer(clock, 0)
            signal.signal(each, earlier[each])
        os.chdir(home)
    return Outcome(arguments, code, stdout, stderr, error, time.perf_counter() - start)


def _where(error: BaseException) -> str:
    """The exception and the deepest line of axsim that it passed."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/axsim/" in f.filename]
    place = (
        f" at {frames[-1].filename.rpartition('/axsim/')[2]}:{frames[-1].lineno}" if frames else ""
    )
    return f"{type(error).__name__}{place}: {str(error)[:200]}"


def _faults(found: Outcome) -> Iterator[str]:
    if found.error:
        yield f"traceback: {found.error}"
        return
    command = next(iter(found.arguments), "")
    allowed = {0, 1, 2} if command in MAY_FAIL else {0, 2}
    if found.code not in allowed:
        yield f"exit status {found.code}"
    said = re.search("error|Usage", found.stderr, re.IGNORECASE)
    if found.code and not said and not (found.code == 1 and command == "check"):
        yield f"exit status {found.code} without a word"
    if found.code == 2 and (found.stderr.count("\n") > LINES or len(found.stderr) > CHARACTERS):
        yield f"a flood: {found.stderr.count(chr(10))} lines, {len(found.stderr)} characters"
    if "Traceback" in found.stderr:
        yield "a traceback on stderr"
    control = _CONTROL.search(found.stdout + found.stderr)
    if control:
        yield f"the character {control[0]!r} is echoed"
    if found.code == 0 and "--json" in found.arguments:
        yield from _nonsense(found.stdout)


def _nonsense(text: str) -> Iterator[str]:
    """Numbers that no chip could have."""
    try:
        document = json.loads(text, parse_constant=lambda name: _refuse(name))
    except ValueError as error:
        yield f"no JSON: {error}"
        return
    for variant in document.get("variants", ()) if isinstance(document, dict) else ():
        for name, prediction in variant["predictions"].items():
            value = prediction["value"]
            if not (math.isfinite(value) and value > 0) or (
                name.endswith("_ms") and value > LONGEST_MS
            ):
                yield f"nonsense: {name} is {value}"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
