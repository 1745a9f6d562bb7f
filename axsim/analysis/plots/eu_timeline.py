"""What each execution unit does when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from axsim.analysis.plots.panels import Panel, Window, panels
from axsim.analysis.plots.style import SMALL, TASKS, new_figure
from axsim.compiler.program import TaskKind
from axsim.machine.timeline import Timeline
from axsim.runtime.results import VariantResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.0
ROW = 0.2
"""Height of a row, inches."""
FINEST = 1 / 3000
"""Gaps between tasks of one kind that are shorter than this part of the window are closed."""
ROOM = 0.085
"""Width of a letter of a label, inches."""

Span = tuple[float, float]


def eu_timeline(
    source: Timeline | VariantResult,
    *,
    stages: Sequence[str] | None = None,
    window_ms: Window | None = None,
) -> Figure:
    """A Gantt chart with a row for each queue: CONV and TENG units, SDMA reads and writes.

    ``source`` is one subgraph's timeline or a variant, of which ``stages`` are shown (as
    :func:`axsim.analysis.plots.panels.panels` has them). ``window_ms`` are start and end in
    milliseconds from the start of the invocation. Colours and hatches tell the kinds of tasks;
    what is computed is written where there is room.

    Raises:
        InputError: matplotlib is not installed, there is no such stage, or the window is empty.
    """
    shown = panels(source, stages, window_ms)
    rows = [len(panel.timeline.program.engines) for panel in shown]
    figure = new_figure(WIDTH, 0.7 + sum(0.75 + ROW * count for count in rows))
    subplots = figure.subplots(len(shown), 1, squeeze=False, height_ratios=rows)[:, 0]
    kinds: dict[TaskKind, None] = {}
    for axes, panel in zip(subplots, shown, strict=True):
        kinds |= _draw(axes, panel)
    _legend(figure, kinds)
    return figure


def _draw(axes: Any, panel: Panel) -> dict[TaskKind, None]:
    """One panel; returns the kinds of tasks in it."""
    engines = panel.timeline.program.engines
    spans: dict[tuple[int, TaskKind], list[Span]] = {}
    labels: dict[tuple[int, str], Span] = {}
    for segment, task, start, end in panel.timeline.slices():
        if end <= panel.start_us or start >= panel.end_us or end <= start:
            continue
        start, end = max(start, panel.start_us), min(end, panel.end_us)
        spans.setdefault((task.engine, task.kind), []).append((start / 1e3, end / 1e3))
        if task.kind == "compute":
            key = (task.engine, segment.steps[task.step].label)
            first, last = labels.get(key, (start, end))
            labels[key] = (min(first, start), max(last, end))
    width = (panel.end_us - panel.start_us) / 1e3
    for (engine, kind), found in spans.items():
        fill = TASKS[kind]
        bars = [(start, end - start) for start, end in _joined(found, width * FINEST)]
        axes.broken_barh(
            bars,
            (engine - 0.38, 0.76),
            facecolor=fill.color,
            hatch=fill.hatch,
            edgecolor="white" if fill.hatch else fill.color,
            linewidth=0,
            label=kind,
        )
    per_inch = width / (WIDTH - 1.3)
    for (engine, label), (start, end) in labels.items():
        if (end - start) / 1e3 > (len(label) + 1) * ROOM * per_inch:
            axes.text(
                (start + end) / 2e3,
                engine,
                label,
                ha="center",
                va="center_baseline",
                fontsize=SMALL,
                color="white",
                clip_on=True,
            )
    axes.set_yticks(range(len(engines)), [each.name for each in engines], fontsize=SMALL)
    axes.set_ylim(len(engines) - 0.5, -0.5)
    axes.set_xlim(panel.start_us / 1e3, panel.end_us / 1e3)
    groups = [each.group for each in engines]
    for place in range(1, len(engines)):
        if groups[place] != groups[place - 1]:
            axes.axhline(place - 0.5, color="0.6", linewidth=0.6)
    axes.set_xlabel("time, ms", fontsize=SMALL + 1)
    axes.tick_params(axis="x", labelsize=SMALL)
    axes.set_title(panel.title, fontsize=SMALL + 1, loc="left")
    return {kind: None for _, kind in spans}


def _joined(spans: list[Span], gap: float) -> list[Span]:
    """Spans in order of time; those closer than ``gap`` are one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] <= gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _legend(figure: Figure, kinds: dict[TaskKind, None]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=fill.color,
            hatch=fill.hatch,
            edgecolor="white" if fill.hatch else fill.color,
            label=kind,
        )
        for kind, fill in TASKS.items()
        if kind in kinds
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles) or 1,
        fontsize=SMALL + 1,
        frameon=False,
    )
