"""A campaign: many seeded inputs of one kind, and what went wrong with which."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.bounded import Outcome, limits, outcome
from tests.fuzz.kinds.kind import POST, Kind

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that once went wrong: a folder each, its files and ``arguments.txt``."""

ARGUMENTS = "arguments.txt"
SMALL = 20_000
"""Bytes of a file that the corpus keeps."""


@dataclass(frozen=True)
class Failure:
    """The input ``number`` of a kind went wrong."""

    kind: str
    seed: int
    number: int
    outcome: Outcome
    faults: list[str]

    def __str__(self) -> str:
        shown = " ".join(
            each if len(each) < 200 else f"{each[:200]}…"
            for each in map(ascii, self.outcome.arguments)
        )
        lines = [f"{self.kind} {self.seed}/{self.number}: axsim {shown}"]
        return "\n".join([*lines, *(f"  {fault}" for fault in self.faults)])


def campaign(
    kind: Kind,
    seed: int,
    count: int,
    start: int = 0,
    after: Callable[[Outcome], None] = lambda outcome: None,
    keep: Path | None = None,
) -> Iterator[Failure]:
    """Inputs ``start`` to ``start + count`` of a kind, each of which depends on its number alone;
    yields those that went wrong, with their files copied to a folder of ``keep``."""
    with tempfile.TemporaryDirectory(prefix="axsim-fuzz-") as name, limits(), _server_ends():
        for number in range(start, start + count):
            folder = Path(name) / str(number)
            folder.mkdir()
            arguments = kind.make(Random(f"{kind.name} {seed} {number}"), folder)
            found = _done(arguments, folder)
            after(found)
            if found.faults:
                failure = Failure(kind.name, seed, number, found, found.faults)
                if keep is not None:
                    _keep(failure, folder, keep)
                yield failure
            shutil.rmtree(folder)


def _keep(failure: Failure, folder: Path, keep: Path) -> None:
    target = keep / f"{failure.kind.replace(' ', '-')}-{failure.seed}-{failure.number}"
    shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)
    text = "\n".join(map(ascii, failure.outcome.arguments))
    (target / ARGUMENTS).write_text(
        text + "\n" + "\n".join(f"# {each}" for each in map(ascii, failure.faults)) + "\n"
    )


def replay(case: Path, folder: Path) -> Outcome:
    """An input of the corpus, in a ``folder`` of its own."""
    from ast import literal_eval

    shutil.copytree(case, folder, symlinks=True, dirs_exist_ok=True)
    lines = (folder / ARGUMENTS).read_text().splitlines()
    arguments = [literal_eval(line) for line in lines if not line.startswith("#")]
    with limits(), _server_ends():
        return _done(arguments, folder)


def _done(arguments: list[str], folder: Path) -> Outcome:
    """What became of an input."""
    if arguments[0] != POST:
        return outcome(arguments, folder)
    from tests.fuzz.served import posted

    return posted(arguments, folder)


@contextmanager
def _server_ends() -> Iterator[None]:
    """The server that has been asked, if any has, ends with the block."""
    try:
        yield
    finally:
        served = sys.modules.get("tests.fuzz.served")
        if served is not None:
            served.end()


def paced(share: float) -> Callable[[Outcome], None]:
    """Waits so that the process has about that share of one core."""
    last = time.process_time()

    def wait(outcome: Outcome) -> None:
        nonlocal last
        used = time.process_time() - last
        time.sleep(used * (1 / share - 1))
        last = time.process_time()

    return wait
