"""Where the time of each variant goes, as stacked bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from axsim.errors import InputError
from axsim.fidelity.prediction import Prediction, number
from axsim.runs.results import RunResult, VariantResult
from axsim.show.extrapolated import MARK, mark
from axsim.show.palette import ACCENT, STAGES
from axsim.show.plots.style import SMALL, entitle, grid, new_figure
from axsim.show.words import first_goal
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
NETWORK_PARTS: dict[Stage, str] = {"graph": "graph"}
"""The stage of a network from an ONNX file."""
TOKEN_PARTS: dict[Stage, str] = {"decode": "decode layers", "post": "post"}
"""Stages of one decode step."""

WIDTHS = (5.2, 2.3)
"""Inches of the two panels."""
TOTAL = 1.7
"""Inches that are left for the total behind a bar, a little less than it is given."""
HEIGHT = 0.5
"""Inches of a bar and the space around it."""
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
    figure = new_figure(width + 1.6, 1.6 + HEIGHT * (heights[-1] + 1))
    networks = any(each.workload.model.onnx for each in variants)
    names = PARTS | NETWORK_PARTS if networks else PARTS
    panels = [(first, names, [_whole(each) for each in variants])]
    if any(token):
        panels.append((token, TOKEN_PARTS, [each.token_ms for each in variants]))
    widths = WIDTHS[: len(panels)]
    columns = figure.subplots(1, len(panels), squeeze=False, sharey=True, width_ratios=widths)[0]
    for axes, inches, (rows, parts, whole) in zip(columns, widths, panels, strict=True):
        narrow = _bars(axes, heights, rows, parts, inches)
        _totals(axes, heights, rows, whole, narrow)
    _measurements(columns, heights, variants)
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
    entitle(figure, "Where the time goes", f"{models} on {', '.join(chips)}")
    handles: dict[str, Any] = {}
    for axes in columns:
        for container in axes.containers:
            handles.setdefault(container.get_label(), container)
        for line in axes.lines:
            handles.setdefault(str(line.get_label()), line)
    totals = [prediction for *_, whole in panels for prediction in whole if prediction]
    figure.legend(
        handles.values(),
        handles,
        title=f"{MARK} extrapolated" if any(map(mark, totals)) else None,
        title_fontsize=SMALL,
        loc="outside lower center",
        ncols=3 if len(handles) > 5 else len(handles),
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
    """What the first panel's bars lead from and to, as explanations call it."""
    goals = " or ".join(dict.fromkeys(map(first_goal, variants)))
    return f"{goals[0].lower()}{goals[1:]}, ms"


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
) -> list[list[str]]:
    """One bar for each row; a part's milliseconds stand in it where there is room, those of the
    others are returned. ``inches`` is the width of the panel."""
    limit = max((sum(row.values()) for row in rows), default=0.0) * (1 + TOTAL / inches) or 1.0
    ends = [0.0] * len(rows)
    narrow: list[list[str]] = [[] for _ in rows]
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
        for row, width in enumerate(widths):
            if (len(texts[row]) + 1) * LETTER >= inches * width / limit:
                narrow[row] += [f"{part} {texts[row]}"] if width else []
                texts[row] = ""
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
    return narrow


def _totals(
    axes: Any,
    heights: list[float],
    rows: list[dict[Stage, float]],
    whole: list[Prediction | None],
    narrow: list[list[str]],
) -> None:
    """The sum of each bar and the interval of its prediction, and below it the parts that were too
    narrow for their numbers."""
    for height, row, prediction, parts in zip(heights, rows, whole, narrow, strict=True):
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
        if parts:
            axes.annotate(
                ", ".join(parts),
                (sum(row.values()), height),
                (4, -10),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
            )


def _measurements(
    columns: Sequence[Any], heights: list[float], variants: list[VariantResult]
) -> None:
    """A tick where a measurement of the same configuration ends: of the vision part after
    preparation, of a network, of one decode token."""
    for height, variant in zip(heights, variants, strict=True):
        found: list[tuple[Any, float]] = []
        vision = variant.vision_encode_ms
        if vision is not None and vision.measured is not None:
            found.append((columns[0], variant.preprocess_ms + vision.measured.value))
        network = variant.graph_ms
        if network is not None and network.measured is not None:
            found.append((columns[0], network.measured.value))
        speed = variant.decode_tokens_per_s
        if speed is not None and speed.measured is not None and len(columns) > 1:
            found.append((columns[1], 1e3 / speed.measured.value))
        for axes, x in found:
            axes.plot(
                [x],
                [height - 0.42],
                marker="v",
                markersize=6,
                color=ACCENT,
                markeredgecolor="black",
                markeredgewidth=0.6,
                linestyle="none",
                zorder=4,
                clip_on=False,
                label="measured",
            )
