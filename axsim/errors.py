"""Errors that a user can act on.

Every fault in a user's input becomes a :class:`Problem` that says where it is, what was found and
what is allowed; an :class:`InputError` carries all problems of one input together. The command
line prints an InputError without a traceback and exits with status 2; any other exception is a
defect of axsim and keeps its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

M = TypeVar("M")

LONGEST = 1000
"""Characters of a message's part that are shown, whatever a file or the command line holds."""

SHOWN, CHARACTERS = 10, 5000
"""Problems of one input that are shown, of perhaps thousands, and how long they are together."""

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


_POSITION = re.compile("[0-9]{1,9}").fullmatch


def printable(text: str) -> str:
    """``text`` with an escape such as ``\\x1b`` for each character that would steer a terminal,
    turn the direction of writing, or that no encoding has (half of a surrogate pair)."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def unprintable(text: str) -> str:
    """The first such character of ``text``; empty when there is none."""
    found = _UNPRINTABLE.search(text)
    return found[0] if found else ""


def shortened(text: str, limit: int = LONGEST) -> str:
    """The first ``limit`` characters of ``text``."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def abridged(name: str, limit: int) -> str:
    """A name of at most ``limit`` characters: its end, for names of one network begin alike."""
    return name if len(name) <= limit else f"…{name[1 - limit :]}"


@dataclass(frozen=True)
class Problem:
    """One fault of the input.

    ``where`` is ``file:line`` or ``--set key=value``; ``key`` the dotted key path; ``what`` the
    complaint with the value found; ``allowed`` what would be accepted; ``nearest`` a valid name
    that resembles the one found. Empty strings leave their part of the message out.
    """

    where: str
    key: str
    what: str
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        parts = (shortened(self.where, 200), shortened(self.key, 200), shortened(self.what))
        place = ": ".join(part for part in parts if part)
        hints = [f"did you mean {self.nearest!r}?"] if self.nearest else []
        hints += [f"allowed: {shortened(self.allowed)}"] if self.allowed else []
        return printable("; ".join([place, *hints]))


class InputError(Exception):
    """A file, key, option or checkpoint is wrong; ``problems`` says what, where, what is allowed.

    Made from one message, one :class:`Problem` or several; printed one per line.
    """

    def __init__(self, problems: Problem | str | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem("", "", problems)
        if isinstance(problems, Problem):
            problems = (problems,)
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def lines(self) -> list[str]:
        """What a terminal shows: the first :data:`SHOWN` problems, and how many more there are."""
        shown = self.problems[:SHOWN]
        each = CHARACTERS // max(1, len(shown))
        found = [f"error: {shortened(str(problem), each)}" for problem in shown]
        more = len(self.problems) - len(shown)
        return found + ([f"error: … and {more} more"] if more else [])


class Fault(ValueError):
    """Raised inside a pydantic validator to blame particular keys.

    ``key`` and ``also`` are key paths relative to the model being validated, dotted or as tuples;
    ``also`` names the other keys that the value contradicts, whose values and places are cited
    too. :func:`axsim.spec.descriptor.load` turns a Fault into a :class:`Problem` with its place.
    """

    def __init__(
        self,
        key: str | Sequence[str | int],
        what: str,
        allowed: str = "",
        *,
        also: Sequence[str | Sequence[str | int]] = (),
    ) -> None:
        self.key = path_of(key)
        self.what = what
        self.allowed = allowed
        self.also = tuple(path_of(other) for other in also)
        super().__init__(f"{'.'.join(map(str, self.key))}: {what}")


class Faults(ValueError):
    """Several :class:`Fault` objects raised together from one validator."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


def checked(model: M, faults: Iterable[Fault]) -> M:
    """``model`` itself, for a validator to return; raises the faults together if there are any."""
    found = tuple(faults)
    if found:
        raise Faults(found)
    return model


def path_of(key: str | Sequence[str | int]) -> tuple[str | int, ...]:
    """A key path from its dotted text; whole numbers in it are list positions."""
    if isinstance(key, str):
        return tuple(int(part) if _POSITION(part) else part for part in key.split(".") if part)
    return tuple(key)
