"""The values of varied keys: read from the command line, and held against what a key can have.

A value that a key can never have is refused before anything is computed; one that only other keys
forbid (an image size that is no multiple of this model's patches) is the affair of its points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from axsim.errors import InputError, Problem, path_of
from axsim.spec.descriptor import Section, load_mapping
from axsim.spec.diagnosis import accepts
from axsim.spec.located import scalar, show

_RANGE = re.compile(r"(?P<low>[^.]+(?:\.\d+)?)\.\.(?P<high>[^:]+):(?P<count>\d+)")


MOST_VALUES = 10_000
"""Of one key."""

SHOWN = 3
"""Wrong values of a key that are cited, of perhaps hundreds."""


class Spaced(float):
    """A fraction that a range's even spacing has made: where whole numbers are due, the nearest
    one is meant."""


def parse_vary(settings: Iterable[str]) -> dict[str, list[Any]]:
    """Key to list of values, from ``["build.vision_dtype=u8,u16", …]`` as the command line has it.

    Values are typed as YAML types them; ``low..high:count`` (``2133..4267:5``) is that many evenly
    spaced numbers, both ends included.

    Raises:
        InputError: a setting is no assignment, or its values are no list.
    """
    found: dict[str, list[Any]] = {}
    faults: list[Problem] = []
    for setting in settings:
        where = f"--vary {setting}"
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            allowed = "KEY=VALUE,VALUE,… or KEY=LOW..HIGH:COUNT"
            faults.append(Problem(where, "", "not an assignment", allowed))
        elif not key.isprintable():
            faults.append(Problem(where, "", "the key holds a control character"))
        elif key in found:
            faults.append(Problem(where, key, "is varied twice", "all its values in one --vary"))
        else:
            try:
                values = [each for item in scalar(f"[{text}]") for each in _spread(item)]
            except InputError as error:
                first = error.problems[0]
                faults.append(Problem(where, key, first.what, first.allowed))
                continue
            found[key] = values
            if not values:
                faults.append(Problem(where, key, "has no values", "VALUE,VALUE,…"))
            for value in _repeated(values):
                faults.append(Problem(where, key, f"{show(value)} is given twice", "each once"))
    if faults:
        raise InputError(faults)
    return found


def _repeated(values: Sequence[Any]) -> list[Any]:
    """The values that stand more than once; True and 1 are not the same."""
    texts = {repr(value): value for value in values}
    counts = Counter(map(repr, values))
    return [value for text, value in texts.items() if counts[text] > 1]


def usable(
    instance: Section, vary: Mapping[str, Sequence[Any]], under: str, option: str
) -> tuple[dict[str, tuple[Any, ...]], list[Problem]]:
    """The values that a descriptor's keys get, evenly spaced ones as the key wants them, and what
    is wrong: keys that do not exist, values that no other keys could make right.

    ``under`` and ``option`` are the prefix of the keys and the option that the messages cite.
    """
    cls, document = type(instance), instance.model_dump(exclude_unset=True)
    found: dict[str, tuple[Any, ...]] = {}
    faults: list[Problem] = []
    for key, values in vary.items():
        path = path_of(key)
        plain = [each.item() if hasattr(each, "item") else each for each in values]  # numpy's
        chosen = [
            round(each) if isinstance(each, Spaced) and not accepts(cls, path, each) else each
            for each in plain
        ]
        if chosen != plain:  # neighbours may have become equal
            chosen = [each for i, each in enumerate(chosen) if each not in chosen[:i]]
        wrong = [value for value in chosen if not accepts(cls, path, value)]
        for value in wrong[:SHOWN] or chosen[:1]:
            place = f"{option} {under}{key}={value if isinstance(value, str) else show(value)}"
            faults += [
                replace(problem, where=place)
                for problem in _problems(cls, document, key, value, under)
                if wrong or "unknown key" in problem.what
            ]
        found[f"{under}{key}"] = tuple(chosen)
    return found, faults


def _problems(
    cls: type[Section], document: Mapping[str, object], key: str, value: Any, under: str
) -> list[Problem]:
    """What is wrong with a descriptor's one key."""
    try:
        load_mapping(cls, document, "", {key: value}, under=under)
    except InputError as error:
        found = [(each.key.removeprefix(under), each) for each in error.problems]
        return [each for name, each in found if key == name or key.startswith(f"{name}.")]
    return []


def _spread(item: Any) -> list[Any]:
    """The numbers of a range, or the value itself."""
    match = _RANGE.fullmatch(item) if isinstance(item, str) else None
    if match is None:
        return [item]
    low, high = scalar(match["low"]), scalar(match["high"])
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        return [item]
    # A difference of finite ends may be infinite, too.
    if not isfinite(float(high) - float(low)):
        raise InputError(Problem("", "", f"{item!r} has no even spacing", "finite numbers"))
    count = int(match["count"]) if len(match["count"]) < 10 else MOST_VALUES + 1
    if not 1 <= count <= MOST_VALUES:
        what = f"found {match['count'][:20]} values"
        raise InputError(Problem("", "", what, f"LOW..HIGH:COUNT with up to {MOST_VALUES:,}"))
    if count == 1:
        return [low]
    values = [low + (high - low) * index / (count - 1) for index in range(count)]
    values[-1] = high
    return [int(each) if each == int(each) else Spaced(each) for each in values]
