"""A percentage as people write it: one meaning wherever axsim takes one."""

from __future__ import annotations

from math import isfinite

from axsim.errors import InputError, Problem


def percentage(given: str | float, name: str) -> float:
    """``2%``, ``"2"`` and ``2`` as the fraction 0.02; ``0.02`` is a fiftieth of a percent.

    Raises:
        InputError: ``given`` is no such number, or negative; ``name`` says whose value it is.
    """
    text = str(given).strip().removesuffix("%")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if isinstance(given, bool) or not (isfinite(value) and value >= 0):
        raise InputError(Problem(name, "", f"found {given!r}", "a percentage, such as 2% or 0.5%"))
    return value / 100


def percent_text(fraction: float) -> str:
    """``2%``: the inverse of :func:`percentage`."""
    return f"{100 * fraction:.6g}%"
