"""A fitted ``power`` block as tables on the terminal, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.table import Table

from axsim.fidelity.power_fit import PowerFit, PowerParameter

WIDTH = 80


def parameters_table(fit: PowerFit) -> Table:
    """Each number with its standard error and the readings that determine it."""
    table = _table("power", "value", "standard\nerror", "determined by (share of its variance)")
    for each in fit.parameters:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in each.readings[:4])
        table.add_row(each.name, f"{each.value:.4g}", note(each), shares)
    return table


def note(parameter: PowerParameter) -> str:
    """The standard error, or in a word why there is none."""
    if parameter.open:
        return "open"
    if not parameter.value:
        return "at zero"
    if parameter.error is None:
        return "too few"
    return f"± {100 * parameter.error / parameter.value:.2g} %"


def remarks(fit: PowerFit) -> Iterator[str]:
    """What the readings do not tell."""
    groups = dict.fromkeys(
        tuple(each.name for each in fit.parameters if each.name in (one.name, *one.open))
        for one in fit.parameters
        if one.open
    )
    for names in groups:
        yield from _wrapped(f"open, no reading tells them apart: {', '.join(names)}")
    if groups:
        yield from _wrapped("  their values are some of many that fit; --keep NAME fixes one")
    if any(not each.value for each in fit.parameters):
        yield "at zero: the readings want nothing of it"
    if any(note(each) == "too few" for each in fit.parameters):
        yield "too few: as many numbers as readings, so that no error can be told"
    if fit.unseen:
        yield from _wrapped(f"left out, no reading depends on it: {', '.join(fit.unseen)}")
    if fit.kept:
        kept = ", ".join(f"{name} {value:g}" for name, value in fit.kept.items())
        yield from _wrapped(f"kept as it was: {kept}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def readings_table(fit: PowerFit) -> Table:
    """What the meter said, and what the block gives."""
    table = _table("reading", "read, W", "fitted, W", "difference")
    for each, watts in zip(fit.readings, fit.watts, strict=True):
        table.add_row(
            each.id, f"{each.watts:.3f}", f"{watts:.3f}", f"{watts / each.watts - 1:+.1%}"
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for heading in others:
        left = heading.startswith("determined")
        table.add_column(heading, justify="left" if left else "right")
    return table
