"""A length of time as people write it: one meaning wherever axsim takes one."""

from __future__ import annotations

import re
from contextlib import suppress
from math import isfinite

from axsim.errors import InputError, Problem

_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_ZEROS = ("0", *(f"0{unit}" for unit in _UNITS))
_TEXT = re.compile(r"\s*(?P<value>[0-9.]+(?:e[-+]?[0-9]+)?)\s*(?P<unit>ms|s|min|h)?\s*", re.I)


def seconds(given: str | float, name: str) -> float:
    """``60s``, ``500ms``, ``5min``, ``1h`` and ``60`` in seconds.

    Raises:
        InputError: ``given`` is no such time, or not above zero; ``name`` says whose value it is.
    """
    match = _TEXT.fullmatch(str(given))
    try:
        value = float(match["value"]) * _UNITS[(match["unit"] or "s").lower()] if match else 0.0
    except ValueError:
        value = 0.0
    if not (isfinite(value) and value > 0):
        raise InputError(Problem(name, "", f"found {given!r}", "a time, such as 60s, 5min or 1h"))
    return value


def span(given: str, name: str) -> tuple[float, float]:
    """``1s..2s`` in seconds; the first may be 0.

    Raises:
        InputError: they are no times, or the second does not come after the first.
    """
    first, _, last = given.partition("..")
    begin = end = 0.0
    with suppress(InputError):
        begin = 0.0 if first.strip() in _ZEROS else seconds(first, name)
        end = seconds(last, name)
    if end <= begin:
        raise InputError(Problem(name, "", f"found {given!r}", "FROM..TO, such as 1s..2s"))
    return begin, end
