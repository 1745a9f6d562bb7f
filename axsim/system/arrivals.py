"""When requests come that do not wait for earlier answers."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from itertools import count
from math import isfinite
from pathlib import Path
from random import Random
from typing import NamedTuple

from axsim.errors import InputError, Problem
from axsim.spec.tenant import Arrivals


class Arrival(NamedTuple):
    """A request that comes ``us`` microseconds from the beginning, with a prompt and a number of
    new tokens of its own where they are given."""

    us: float
    prompt_tokens: int | None = None
    new_tokens: int | None = None


COLUMNS = ("ms", "prompt_tokens", "new_tokens")
"""Of a CSV file of arrivals; the first is a must."""


def generator(seed: int, name: str) -> Random:
    """The random numbers of one tenant: the same whoever else is there."""
    return Random(seed << 32 | zlib.crc32(name.encode()))


def arrivals(way: Arrivals, random: Random) -> Iterator[Arrival]:
    """The requests in order of time, without end unless they come from a file.

    Raises:
        InputError: the file is wrong.
    """
    start = way.start_ms * 1e3
    if way.csv is not None:
        yield from (each._replace(us=start + each.us) for each in from_file(way.csv))
    elif way.poisson_per_s is not None:
        now, rate = start, way.poisson_per_s / 1e6
        while True:
            now += random.expovariate(rate)
            yield Arrival(now)
    elif way.per_s is not None:
        period = 1e6 / way.per_s if way.every_ms is None else way.every_ms * 1e3
        for number in count():
            yield Arrival(start + number * period)


def from_file(path: str | Path) -> list[Arrival]:
    """The arrivals of a CSV file.

    Raises:
        InputError: it can't be read, lacks a column, or has times that are negative or go back.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            unknown = [name for name in names if name not in COLUMNS]
            if unknown or "ms" not in names or len(set(names)) < len(names):
                what = f"found the columns {', '.join(names) or 'none'}"
                raise InputError(Problem(f"{path}:1", "", what, f"ms of {', '.join(COLUMNS)}"))
            rows = [(f"{path}:{reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or "not a text file in UTF-8"
        raise InputError(Problem(str(path), "", f"can't be read: {why.lower()}")) from None
    found: list[Arrival] = []
    problems: list[Problem] = []
    for where, row in rows:
        if None in row:
            what = f"has more cells than the {len(names)} columns"
            problems.append(Problem(where, "", what, ", ".join(names)))
            continue
        try:
            ms = _number(row["ms"])
            tokens = [_whole(row.get(name)) for name in COLUMNS[1:]]
        except ValueError as error:
            allowed = "a number of milliseconds, and whole numbers of tokens"
            problems.append(Problem(where, "", f"found {error}", allowed))
            continue
        before = found[-1].us / 1e3 if found else 0.0
        if ms < before:
            what = f"an arrival in the past: {ms:g} ms, after {before:g} ms"
            problems.append(Problem(where, "ms", what, "times that go on, from 0"))
        else:
            found.append(Arrival(ms * 1e3, *tokens))
    if not rows:
        problems.append(Problem(str(path), "", "has no arrivals", "a row for each request"))
    if problems:
        raise InputError(problems)
    return found


def _number(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise ValueError(repr(text)) from None
    if not isfinite(value):
        raise ValueError(repr(text))
    return value


def _whole(text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(repr(text))
    return int(text)
