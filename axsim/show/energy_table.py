"""Energy, where the chip's file says what the chip draws."""

from __future__ import annotations

from rich.table import Table

from axsim.fidelity.prediction import number
from axsim.runs.results import RunResult
from axsim.system.metrics import PREDICTED

ENERGY = tuple(metric for metric in PREDICTED if metric.needs == "power")
"""The metrics that follow from the chip's ``power`` block."""


def source_line(result: RunResult) -> str | None:
    """Where the watts are from; None on a chip that does not say what it draws."""
    power = result[0].chip.power
    if power is None:
        return None
    origin = power.source or "no source given"
    return f"Energy, from the power block of {result.chip}: {origin}"


def energy_table(result: RunResult) -> Table:
    """Millijoules of each variant."""
    shown = [m for m in ENERGY if any(m.name in each.predictions for each in result)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("variant", no_wrap=True)
    for metric in shown:
        table.add_column(metric.title, justify="right")
    for each in result:
        found = [each.predictions.get(metric.name) for metric in shown]
        table.add_row(each.name, *("–" if one is None else number(one.value) for one in found))
    return table
