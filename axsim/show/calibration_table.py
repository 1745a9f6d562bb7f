"""A calibration as tables on the terminal, 80 columns wide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from axsim.fidelity.calibrate import Calibration, Parameter
from axsim.fidelity.cross_validation import Fold, pooled
from axsim.show.validation_table import summary_table

WIDTH = 80


def parameters_table(parameters: Sequence[Parameter]) -> Table:
    """Value, plausible range, standard error, value before, and what is doubtful."""
    table = _table("parameter", "value", "standard\nerror", "plausible\nrange", "before")
    for each in parameters:
        bounds = f"{each.range.low:.4g} – {each.range.high:.4g}"
        row = (each.name, f"{each.value:.4g}", error_text(each), bounds, f"{each.start:.4g}")
        table.add_row(*row)
    return table


def parameter_lines(parameters: Sequence[Parameter]) -> list[str]:
    """Of each parameter: the series of rows that determine it, and its flags."""
    lines = []
    for each in parameters:
        lines.append(each.name)
        lines += [f"  ! {flag}" for flag in each.flags]
        lines += [
            f"  {share:4.0%}  {label}: {span(ids)}"[:WIDTH]
            for label, ids, share in each.determined_by
        ]
    return lines


def span(ids: Sequence[str]) -> str:
    """Ids of rows, runs of a ladder by their ends: ``P016…P032``."""
    return (
        ids[0]
        if len(ids) == 1
        else f"{ids[0]}, {ids[1]}"
        if len(ids) == 2
        else (f"{ids[0]}…{ids[-1]}")
    )


def kept_lines(calibration: Calibration) -> list[str]:
    """What was not fitted."""
    lines = [f"{name}: {why}" for name, why in calibration.kept]
    sections = "npu, dram, cpu, host"
    return [*lines, f"structure ({sections}): from sources, see `axsim show {_name(calibration)}`"]


def accuracy_table(calibration: Calibration) -> Table:
    """Errors of the fitted rows by metric."""
    return summary_table(calibration.validation)


def left_out_table(folds: Sequence[Fold]) -> Table:
    """Errors on rows that the fit did not see."""
    table = _table("left out", "rows", "MAPE", "worst", "not determined without it")
    table.columns[0].max_width = 42
    for fold in folds:
        worst = fold.accuracy.worst
        table.add_row(
            fold.label,
            str(len(fold.accuracy.errors)),
            f"{fold.accuracy.mape:.1%}",
            "–" if worst is None else f"{worst.error:+.1%}",
            ", ".join(fold.leaned_on),
        )
    return table


def left_out_line(kind: str, folds: Sequence[Fold]) -> str:
    """The mean and the 90th percentile of the errors on rows that the fit did not see."""
    whole = pooled(folds)
    text = f"leave one {kind} out: MAPE {whole.mape:.1%}, p90 {whole.p90:.1%}"
    honest = [fold for fold in folds if not fold.leaned_on]
    if honest and len(honest) < len(folds):
        text += f"\n({pooled(honest).mape:.1%} where the others determine every parameter)"
    return text


def error_text(parameter: Parameter) -> str:
    """The relative standard error, in words where there is none."""
    if math.isnan(parameter.error):
        return "at bound"
    if parameter.error >= 1:
        return "open"
    return f"± {100 * parameter.error:.2g} %"


def _name(calibration: Calibration) -> str:
    return calibration.chip.name


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column(first)
    for heading in others[:-1]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(others[-1], justify="right" if others[-1] == "before" else "left")
    return table
