"""Where the time of each variant goes, as stacked bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from axsim.analysis.plots.style import SMALL, STAGES, grid, new_figure
from axsim.analysis.tables import number
from axsim.errors import InputError
from axsim.runtime.results import RunResult, VariantResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results: TypeAlias = Union[RunResult, VariantResult, "Iterable[RunResult | VariantResult]"]

PARTS = {
    "preprocess": "image preprocess (CPU)",
    "vision": "vision encode",
    "prefill": "prefill",
    "post": "post",
}
"""Stages of the way to the first token, with their names in the legend."""
TOKEN_PARTS = {"decode": "decode layers", "post": "post"}
"""Stages of one decode step."""


def latency_bars(results: Results) -> Figure:
    """A stacked bar for each variant of one or several runs: preprocess, vision encode, prefill and
    post up to the first token, and beside it decode layers and post of one further token.

    Milliseconds; several images or prefill chunks count together. Behind a bar stand its total and
    the interval of that prediction.

    Raises:
        InputError: matplotlib is not installed, or there is no variant.
    """
    variants = list(_flat(results))
    if not variants:
        raise InputError("there is nothing to draw: no variant")
    figure = new_figure(8.5, 1.5 + 0.42 * len(variants))
    first = [first_token_parts(each) for each in variants]
    token = [token_parts(each) for each in variants]
    decodes = any(token)
    columns = figure.subplots(
        1,
        2 if decodes else 1,
        squeeze=False,
        sharey=True,
        width_ratios=(2.6, 1) if decodes else None,
    )[0]
    whole = [
        each.image_to_first_token_ms or each.ttft_ms or each.vision_encode_ms for each in variants
    ]
    _bars(columns[0], first, PARTS, [each.interval if each else None for each in whole])
    columns[0].set_xlabel(_goal(variants))
    if decodes:
        steps = [each.token_ms for each in variants]
        _bars(columns[1], token, TOKEN_PARTS, [each.interval if each else None for each in steps])
        columns[1].set_xlabel("one decode token, ms")
    chips = len({each.chip.name for each in variants}) > 1
    names = [f"{each.chip.name}  {each.name}" if chips else each.name for each in variants]
    columns[0].set_yticks(range(len(variants)), names)
    columns[0].set_ylim(len(variants) - 0.5, -0.5)
    handles: dict[str, Any] = {}
    for axes in columns:
        for container in axes.containers:
            handles.setdefault(container.get_label(), container)
    figure.legend(
        handles.values(),
        handles,
        loc="outside upper center",
        ncols=len(handles),
        fontsize=SMALL + 1,
        frameon=False,
    )
    return figure


def first_token_parts(variant: VariantResult) -> dict[str, float]:
    """Milliseconds of each of :data:`PARTS` that the workload has; they sum to image to first token
    (to the vision result, without decoder)."""
    found: dict[str, float] = {}
    for stage in variant.breakdown:
        name = stage.name.split()[0]
        if name in PARTS:
            found[name] = found.get(name, 0.0) + stage.count * stage.ms
    return found


def token_parts(variant: VariantResult) -> dict[str, float]:
    """Milliseconds of one decode step by :data:`TOKEN_PARTS`; empty without decoder."""
    stages = {stage.name: stage.ms for stage in variant.breakdown}
    return {name: stages[name] for name in TOKEN_PARTS} if "decode" in stages else {}


def _flat(results: Results) -> Iterable[VariantResult]:
    if isinstance(results, VariantResult):
        yield results
    else:
        for each in results:
            yield from _flat(each)


def _goal(variants: list[VariantResult]) -> str:
    if not any(each.image_to_first_token_ms for each in variants):
        decodes = any(each.ttft_ms for each in variants)
        return "prompt to first token, ms" if decodes else "image to result, ms"
    return "image to first token, ms"


def _bars(
    axes: Any, rows: list[dict[str, float]], names: Mapping[str, str], intervals: list[Any]
) -> None:
    """One bar for each row; a part's milliseconds stand in it where there is room."""
    largest = max((sum(row.values()) for row in rows), default=0.0) or 1.0
    ends = [0.0] * len(rows)
    for part, label in names.items():
        fill = STAGES[part]
        widths = [row.get(part, 0.0) for row in rows]
        if not any(widths):
            continue
        bars = axes.barh(
            range(len(rows)),
            widths,
            left=ends,
            height=0.66,
            color=fill.color,
            hatch=fill.hatch,
            edgecolor="black",
            linewidth=0.6,
            label=label,
        )
        texts = [number(width) if width > 0.09 * largest else "" for width in widths]
        axes.bar_label(bars, texts, label_type="center", color=fill.text, fontsize=SMALL)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    for place, (end, interval) in enumerate(zip(ends, intervals, strict=True)):
        text = number(end)
        if interval is not None:
            text += f" ±{max(map(abs, interval)):.0%}"
        axes.annotate(
            text,
            (end, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            fontweight="bold",
        )
    axes.set_xlim(0, 1.3 * largest)
    axes.tick_params(labelsize=SMALL + 1)
    grid(axes, axis="x")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
