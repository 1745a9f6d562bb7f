"""What each execution unit does when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from axsim.errors import abridged
from axsim.machine.timeline import Timeline
from axsim.runs.results import VariantResult
from axsim.show.palette import TASKS, task_name
from axsim.show.plots.stage_panels import Panel, Window, panels, subject
from axsim.show.plots.style import SMALL, Span, area, joined_spans, legend, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.0
ROW = 0.2
"""Height of a row, inches."""
FINEST = 1 / 3000
"""Gaps between tasks of one kind that are shorter than this part of the window are closed."""
BUSY = 0.1
"""Part of its time in which a unit must be busy with an operator for it to be named."""
LETTER = 0.066
"""Width of a letter of a label, inches."""
SHORTEST = 12
"""Letters that a name from an ONNX file is cut to at least: those of paths tell little."""


def eu_timeline(
    source: Timeline | VariantResult,
    *,
    stages: Sequence[str] | None = None,
    window_ms: Window | None = None,
) -> Figure:
    """A Gantt chart with a row for each queue: CONV and TENG units, SDMA reads and writes.

    ``source`` is one subgraph's timeline or a variant, of which ``stages`` are shown (as
    :func:`axsim.show.plots.stage_panels.panels` has them). ``window_ms`` are start and end in
    milliseconds from the start of the invocation. Colours and hatches tell the kinds of tasks;
    what is computed is written where there is room.

    Raises:
        InputError: there is no such stage, or the window is empty.
    """
    shown = panels(source, stages, window_ms)
    rows = [len(panel.timeline.program.engines) for panel in shown]
    figure = new_figure(WIDTH, 1.0 + sum(0.75 + ROW * count for count in rows))
    subplots = figure.subplots(len(shown), 1, squeeze=False, height_ratios=rows)[:, 0]
    names: set[str] = set()
    for axes, panel in zip(subplots, shown, strict=True):
        names |= _draw(axes, panel)
    used = {name: fill for name, fill in TASKS.items() if name in names}
    legend(figure, used, f"What the engines do: {subject(source)}")
    return figure


def _draw(axes: Any, panel: Panel) -> set[str]:
    """One panel; returns the names of the tasks in it."""
    engines = panel.timeline.program.engines
    spans: dict[tuple[int, str], list[Span]] = {}
    work: dict[int, list[tuple[str, Span]]] = {}
    for segment, task, start, end in panel.timeline.slices():
        if end <= panel.start_us or start >= panel.end_us or end <= start:
            continue
        span = max(start, panel.start_us) / 1e3, min(end, panel.end_us) / 1e3
        name = task_name(task.kind, engines[task.engine].kind)
        spans.setdefault((task.engine, name), []).append(span)
        if task.kind == "compute":
            work.setdefault(task.engine, []).append((segment.steps[task.step].label, span))
    width = (panel.end_us - panel.start_us) / 1e3
    for (engine, name), found in spans.items():
        joined = joined_spans(found, width * FINEST)
        axes.broken_barh(
            [(start, end - start) for start, end in joined],
            (engine - 0.38, 0.76),
            label=name,
            **area(TASKS[name]),
        )
    letter = width / (WIDTH - 1.2) * LETTER
    for engine, tasks in work.items():
        for label, middle in _labels(tasks, letter):
            axes.text(
                middle,
                engine,
                label,
                ha="center",
                va="center_baseline",
                fontsize=SMALL,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.4},
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
    return {name for _, name in spans}


def _labels(tasks: list[tuple[str, Span]], letter: float) -> Iterator[tuple[str, float]]:
    """What a unit computes, with the middle of its time, where the words have room: consecutive
    tasks of one operator share a label, cut to its last part (of a path: its end) if need be.
    ``letter`` is the width of a letter in milliseconds."""
    runs: list[tuple[str, float, float, float]] = []  # label, start, end, busy
    for label, (start, end) in sorted(tasks, key=lambda task: task[1]):
        if runs and runs[-1][0] == label:
            _, first, last, busy = runs[-1]
            runs[-1] = label, first, max(end, last), busy + end - start
        else:
            runs.append((label, start, end, end - start))
    for label, start, end, busy in runs:
        if busy < BUSY * (end - start):
            continue
        room = int((end - start) / letter) - 1
        short = abridged(label, max(room, SHORTEST)) if "/" in label else label.rpartition(".")[2]
        text = label if len(label) <= room else short
        if len(text) <= room:
            yield text, (start + end) / 2
