"""DRAM bandwidth over time, and below it what the on-chip memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from axsim.compiler.program import TaskKind
from axsim.machine.timeline import Timeline
from axsim.runs.results import VariantResult
from axsim.show.palette import LOST, TRANSFERS, Fill
from axsim.show.plots.stage_panels import Panel, Window, panels, subject
from axsim.show.plots.style import SMALL, area, grid, legend, new_figure
from axsim.show.traffic import dram_rates, ocm_use

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

LOST_BANDWIDTH = "lost: inefficient access"
"""What transfers of less than full efficiency leave unused while they keep the DRAM busy."""

INTERVALS = 200
"""Intervals of time over which the bandwidth is averaged."""


def dram_bandwidth(
    source: Timeline | VariantResult,
    *,
    stages: Sequence[str] | None = None,
    window_ms: Window | None = None,
) -> Figure:
    """DRAM bandwidth over time in GB/s, by kind of transfer, under the chip's effective bandwidth,
    and below it the on-chip memory in use, MiB, against its size (which a variant knows).

    Arguments as those of :func:`axsim.show.plots.eu_timeline.eu_timeline`. The bandwidth is the
    mean over a two-hundredth of the time shown. Tiles of activations move less efficiently than
    weights: what that wastes is drawn too, and only the white below the line is free.

    Raises:
        InputError: there is no such stage, or the window is empty.
    """
    shown = panels(source, stages, window_ms)
    figure = new_figure(8.5, 0.8 + 2.5 * len(shown))
    ratios = [2.2, 1] * len(shown)
    subplots = figure.subplots(2 * len(shown), 1, squeeze=False, height_ratios=ratios)[:, 0]
    shown_kinds: dict[str, Fill] = {}
    for index, panel in enumerate(shown):
        upper, lower = subplots[2 * index : 2 * index + 2]
        shown_kinds |= _bandwidth(upper, panel)
        _memory(lower, panel)
        for axes in (upper, lower):
            axes.set_xlim(panel.start_us / 1e3, panel.end_us / 1e3)
            axes.tick_params(labelsize=SMALL)
            grid(axes)
        upper.tick_params(labelbottom=False)
        lower.set_xlabel("time, ms", fontsize=SMALL + 1)
    order = [*TRANSFERS, LOST_BANDWIDTH]
    used = {kind: shown_kinds[kind] for kind in order if kind in shown_kinds}
    legend(figure, used, f"DRAM traffic and on-chip memory: {subject(source)}")
    return figure


def rates_by_kind(panel: Panel) -> tuple[Values, dict[str, Values]]:
    """Edges of the intervals, microseconds, and for each kind of transfer its mean useful rate in
    each interval, bytes per microsecond; :data:`LOST_BANDWIDTH` is the rest of the time in which
    anything is transferred."""
    import numpy as np

    edges = np.linspace(panel.start_us, panel.end_us, INTERVALS + 1)
    width = edges[1] - edges[0]
    moved: dict[str, Values] = {LOST_BANDWIDTH: np.zeros(INTERVALS)}
    bandwidth = panel.timeline.program.dram_bytes_per_us
    for start, end, rates in _stretches(panel):
        overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
        overlap = np.maximum(overlap, 0.0)
        for kind, rate in rates.items():
            sums = moved.setdefault(kind, np.zeros(INTERVALS))
            sums += rate * overlap
        moved[LOST_BANDWIDTH] += (bandwidth - sum(rates.values())) * overlap
    order = [*TRANSFERS, LOST_BANDWIDTH]
    return edges, {kind: moved[kind] / width for kind in order if kind in moved}


def _stretches(panel: Panel) -> Iterator[tuple[float, float, dict[TaskKind, float]]]:
    """Start, end, and the rates between, of what overlaps the panel."""
    timeline = panel.timeline
    program = timeline.program
    rows = zip(program.segments, timeline.offsets_us, timeline.timings, strict=True)
    for segment, offset, timing in rows:
        if offset >= panel.end_us or offset + timing.end_us <= panel.start_us:
            continue
        previous: tuple[float, dict[TaskKind, float]] | None = None
        for time, rates in dram_rates(segment, timing, program.dram_bytes_per_us):
            if previous is not None and previous[1]:
                yield offset + previous[0], offset + time, previous[1]
            previous = time, dict(rates)


def _bandwidth(axes: Any, panel: Panel) -> dict[str, Fill]:
    """The upper part of a panel; returns what its areas mean."""
    import numpy as np
    from matplotlib.patches import StepPatch

    edges, rates = rates_by_kind(panel)
    ceiling = panel.timeline.program.dram_bytes_per_us / 1e3
    base = np.zeros(INTERVALS)
    shown: dict[str, Fill] = {}
    for kind, rate in rates.items():
        values = np.maximum(rate / 1e3, 0.0)
        if kind == LOST_BANDWIDTH and values.max() < 1e-3 * ceiling:
            continue
        shown[kind] = LOST if kind == LOST_BANDWIDTH else TRANSFERS[kind]
        look: Any = {"fill": True, "label": kind, "baseline": base, **area(shown[kind])}
        # axes.stairs would look at every edge for limits that are set below
        axes.add_artist(StepPatch(base + values, edges / 1e3, **look))
        base = base + values
    useful = sum(float(rate.mean()) for kind, rate in rates.items() if kind != LOST_BANDWIDTH) / 1e3
    axes.axhline(ceiling, color="black", linewidth=1, linestyle="--")
    axes.annotate(
        f"effective bandwidth {ceiling:.3g} GB/s",
        (1, ceiling),
        (-4, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        fontsize=SMALL,
    )
    axes.set_ylim(0, 1.3 * ceiling)
    axes.set_ylabel("DRAM, GB/s", fontsize=SMALL + 1)
    title = f"{panel.title}; on average {useful:.3g} GB/s"
    axes.set_title(title, fontsize=SMALL + 1, loc="left")
    return shown


def _memory(axes: Any, panel: Panel) -> None:
    """Residency as steps; the line to the capacity, where it is known."""
    timeline = panel.timeline
    times, sizes = [panel.start_us / 1e3], [0.0]
    rows = zip(timeline.program.segments, timeline.offsets_us, timeline.timings, strict=True)
    for segment, offset, timing in rows:
        for time, size in ocm_use(segment, timing):
            times.append((offset + time) / 1e3)
            sizes.append(size / 2**20)
    times.append(panel.timeline.duration_us / 1e3)
    sizes.append(sizes[-1])
    axes.step(times, sizes, where="post", color="black", linewidth=1)
    axes.fill_between(times, sizes, step="post", color="0.85")
    top = max(sizes)
    if panel.ocm_bytes is not None:
        size = panel.ocm_bytes / 2**20
        axes.axhline(size, color="black", linewidth=1, linestyle="--")
        axes.annotate(
            f"on-chip memory {size:.3g} MiB",
            (1, size),
            (-4, 2),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=SMALL,
        )
        top = max(top, size)
    axes.set_ylim(0, 1.6 * top or 1)
    axes.set_ylabel("OCM, MiB", fontsize=SMALL + 1)
