"""Where the time of each variant goes, as stacked bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from axsim.errors import InputError
from axsim.fidelity.prediction import Prediction, number
from axsim.runs.results import RunResult, VariantResult
from axsim.show.extrapolated import MARK, mark
from axsim.show.plots.style import SMALL, STAGES, grid, new_figure
from axsim.system.metrics import WAITS
from axsim.system.request import Stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results: TypeAlias = Union[RunResult, VariantResult, "Iterable[RunResult | VariantResult]"]

PARTS: dict[Stage, str] = {
    "preprocess": "image preprocess (CPU)",
    "vision": "vision encode",
    "prefill": "prefill",
    "post": "post",
}
"""Stages of the way to the first token, with their names in the legend."""
NETWORK_PARTS: dict[Stage, str] = {"graph": "network"}
"""The stage of a network from an ONNX file."""
TOKEN_PARTS: dict[Stage, str] = {"decode": "decode layers", "post": "post"}
"""Stages of one decode step."""

WIDTHS = (5.2, 2.3)
"""Inches of the two panels."""
TOTAL = 1.0
"""Inches that are left for the total behind a bar, a little less than it is given."""
LETTER = 0.068
"""Inches of a digit."""


def latency_bars(results: Results) -> Figure:
    """A stacked bar for each variant of one or several runs: preprocess, vision encode, prefill and
    post up to the first token, and beside it decode layers and post of one further token.

    Milliseconds; several images or prefill chunks count together. Behind a bar stand its total and
    the interval of that prediction, with a mark where it is extrapolated.

    Raises:
        InputError: there is no variant.
    """
    variants = list(_flat(results))
    if not variants:
        raise InputError("there is nothing to draw: no variant")
    first = [first_token_parts(each) for each in variants]
    token = [token_parts(each) for each in variants]
    heights = _heights(variants)
    width = sum(WIDTHS) if any(token) else WIDTHS[0]
    figure = new_figure(width + 1.6, 1.6 + 0.4 * (heights[-1] + 1))
    networks = any(each.workload.model.onnx for each in variants)
    names = PARTS | NETWORK_PARTS if networks else PARTS
    panels = [(first, names, [_whole(each) for each in variants])]
    if any(token):
        panels.append((token, TOKEN_PARTS, [each.token_ms for each in variants]))
    widths = WIDTHS[: len(panels)]
    columns = figure.subplots(1, len(panels), squeeze=False, sharey=True, width_ratios=widths)[0]
    for axes, inches, (rows, parts, whole) in zip(columns, widths, panels, strict=True):
        _bars(axes, heights, rows, parts, inches)
        _totals(axes, heights, rows, whole)
    columns[0].set_xlabel(_goal(variants))
    if any(token):
        columns[1].set_xlabel("one decode token, ms")
    chips = list(dict.fromkeys(each.chip.name for each in variants))
    labels = [
        f"{each.chip.name}  {each.name}" if len(chips) > 1 else each.name for each in variants
    ]
    columns[0].set_yticks(heights, labels)
    columns[0].set_ylim(heights[-1] + 0.6, -0.6)
    models = ", ".join(dict.fromkeys(each.workload.name for each in variants))
    figure.suptitle(f"{models} on {', '.join(chips)}", fontsize=SMALL + 2)
    handles: dict[str, Any] = {}
    for axes in columns:
        for container in axes.containers:
            handles.setdefault(container.get_label(), container)
    totals = [prediction for *_, whole in panels for prediction in whole if prediction]
    figure.legend(
        handles.values(),
        handles,
        title=f"{MARK} extrapolated" if any(map(mark, totals)) else None,
        title_fontsize=SMALL,
        loc="outside lower center",
        ncols=len(handles),
        fontsize=SMALL + 1,
        frameon=False,
    )
    return figure


def first_token_parts(variant: VariantResult) -> dict[Stage, float]:
    """Milliseconds of each of :data:`PARTS` (of a network :data:`NETWORK_PARTS`) that the workload
    has; they sum to image to first token, or to the vision result or the network's."""
    found: dict[Stage, float] = {}
    for each in variant.breakdown:
        stage = each.part.stage
        if stage in PARTS or stage in NETWORK_PARTS:
            found[stage] = found.get(stage, 0.0) + each.count * each.ms
    return found


def token_parts(variant: VariantResult) -> dict[Stage, float]:
    """Milliseconds of one decode step by :data:`TOKEN_PARTS`; empty without decoder."""
    stages = {each.part.stage: each.ms for each in variant.breakdown}
    return {stage: stages[stage] for stage in TOKEN_PARTS} if "decode" in stages else {}


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


def _whole(variant: VariantResult) -> Prediction | None:
    """What the first panel's bars show."""
    return next((found for name in WAITS if (found := variant.predictions.get(name))), None)


def _heights(variants: list[VariantResult]) -> list[float]:
    """Where the bars are, from the top; chips stand apart."""
    found = [0.0]
    for before, after in pairwise(variants):
        found.append(found[-1] + (1.0 if after.chip.name == before.chip.name else 1.5))
    return found


def _bars(
    axes: Any,
    heights: list[float],
    rows: list[dict[Stage, float]],
    names: Mapping[Stage, str],
    inches: float,
) -> None:
    """One bar for each row; a part's milliseconds stand in it where there is room. ``inches`` is
    the width of the panel."""
    limit = max((sum(row.values()) for row in rows), default=0.0) * (1 + TOTAL / inches) or 1.0
    ends = [0.0] * len(rows)
    for part, label in names.items():
        fill = STAGES[part]
        widths = [row.get(part, 0.0) for row in rows]
        if not any(widths):
            continue
        bars = axes.barh(
            heights,
            widths,
            left=ends,
            height=0.7,
            color=fill.color,
            hatch=fill.hatch,
            edgecolor="black",
            linewidth=0.6,
            label=label,
        )
        texts = [number(width) for width in widths]
        texts = [
            text if (len(text) + 1) * LETTER < inches * width / limit else ""
            for text, width in zip(texts, widths, strict=True)
        ]
        notes = axes.bar_label(
            bars, texts, label_type="center", color=fill.text, fontsize=SMALL, zorder=3
        )
        if fill.hatch:
            for note in notes:
                note.set_bbox({"facecolor": fill.color, "edgecolor": "none", "pad": 0.6})
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    axes.set_xlim(0, limit)
    axes.tick_params(labelsize=SMALL + 1)
    grid(axes, axis="x")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _totals(
    axes: Any,
    heights: list[float],
    rows: list[dict[Stage, float]],
    whole: list[Prediction | None],
) -> None:
    """The sum of each bar and the interval of its prediction."""
    for height, row, prediction in zip(heights, rows, whole, strict=True):
        if not row:
            continue
        text = number(sum(row.values()))
        if prediction is not None and prediction.interval is not None:
            text += f" ±{max(map(abs, prediction.interval)):.0%}{mark(prediction)}"
        axes.annotate(
            text,
            (sum(row.values()), height),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            fontweight="bold",
        )
