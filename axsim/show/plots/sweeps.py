"""The picture of a sweep that its varied keys and objectives ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from axsim.errors import InputError
from axsim.show.plots.heat_map import Marks, heat_map
from axsim.show.plots.tradeoff import tradeoff
from axsim.study.objective import Objective
from axsim.system.metrics import WAITS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OTHERS = ("cosine", "decode_tokens_per_s", "weights_bytes")
"""What is set against the first of :data:`WAITS` that has values, likewise."""


def sweep_picture(
    frame: pd.DataFrame,
    vary: Mapping[str, Sequence[Any]],
    objectives: Sequence[Objective] = (),
    marks: Marks | None = None,
) -> Figure:
    """A heat map of the first objective when two numeric keys vary, of one chip and one variant;
    else the trade-off between the first two objectives.

    Without objectives, image to first token, and against it the similarity when the kernels ran,
    decode speed otherwise (or the next in :data:`WAITS` and :data:`OTHERS` that has values).

    Raises:
        InputError: as :func:`heat_map` and :func:`tradeoff`; no row has a value to draw.
    """
    chosen = [each.column for each in objectives[:2]]
    several = [key for key, values in vary.items() if len(values) > 1]
    ways = {each.column: each.direction for each in objectives}
    rows = frame[frame["error"].isna()]
    numeric = [key for key in several if all(_number(value) for value in vary[key])]
    if len(numeric) == len(several) == 2 and not rows.duplicated(several).any():
        value = chosen[0] if chosen else _first(rows, WAITS)
        x, y = several
        return heat_map(rows, x, y, value, marks=marks, title=_title(rows))
    if len(chosen) < 2:
        chosen = list(dict.fromkeys([*chosen, _first(rows, WAITS), _first(rows, OTHERS)]))[:2]
    labels = _telling(rows, [["variant"], several, ["variant", *several]])
    x, y = chosen
    return tradeoff(
        rows, x, y, label=labels, x_direction=ways.get(x), y_direction=ways.get(y),
        title=_title(rows),
    )  # fmt: skip


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _telling(frame: pd.DataFrame, choices: Sequence[list[str]]) -> list[str]:
    """The first choice of columns that tells the rows of a chip apart, else the last one."""
    for names in choices:
        if names and not frame.duplicated(["chip", *names]).any():
            return [name for name in names if frame[name].nunique() > 1] or names
    return choices[-1]


def _first(frame: pd.DataFrame, names: Iterable[str]) -> str:
    for name in names:
        if name in frame.columns and frame[name].notna().any():
            return name
    raise InputError(f"there is nothing to draw: no row has {' or '.join(names)}")


def _title(frame: pd.DataFrame) -> str:
    """Model, and chip and variant where there is one."""
    parts = [frame[name].iloc[0] for name in ("model", "chip", "variant")
             if name in frame.columns and len(frame) and frame[name].nunique() == 1]  # fmt: skip
    return " ".join(map(str, parts))
