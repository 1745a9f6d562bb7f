"""A calibration as tables on the terminal, 80 columns wide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from axsim.fidelity.calibrate import Calibration, LeftOut, Parameter
from axsim.show.validation_table import summary_table


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
        lines += [f"  {share:4.0%}  {label}" for label, share in each.determined_by]
    return lines


def kept_lines(calibration: Calibration) -> list[str]:
    """What was not fitted."""
    lines = [f"{name}: {why}" for name, why in calibration.kept]
    sections = "npu, dram, cpu, host"
    return [*lines, f"structure ({sections}): from sources, see `axsim show {_name(calibration)}`"]


def accuracy_table(calibration: Calibration) -> Table:
    """Errors of the fitted rows by metric."""
    return summary_table(calibration.validation)


def left_out_table(folds: Sequence[LeftOut]) -> Table:
    """Errors on models that the fit did not see."""
    table = _table("model left out", "rows", "MAPE", "worst", "not determined without it")
    for fold in folds:
        worst = fold.accuracy.worst
        table.add_row(
            fold.models,
            str(len(fold.accuracy.errors)),
            f"{fold.accuracy.mape:.1%}",
            "–" if worst is None else f"{worst.error:+.1%}",
            ", ".join(fold.leaned_on),
        )
    return table


def left_out_line(calibration: Calibration) -> str:
    """The mean of the errors on models that the fit did not see."""
    honest = [fold for fold in calibration.left_out if not fold.leaned_on]
    errors = [error for fold in honest for error in fold.accuracy.errors]
    text = f"MAPE of the models left out: {calibration.cross_validation.mape:.1%}"
    if errors and len(honest) < len(calibration.left_out):
        text += f"; {sum(errors) / len(errors):.1%} where the others determine every parameter"
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
