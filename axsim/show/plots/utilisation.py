"""How busy a shared chip is over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axsim.runs.shared_results import ScenarioResult
from axsim.show.palette import INK, SERIES
from axsim.show.plots.style import SMALL, area, grid, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":")
LEAST = 0.002
"""Tenants that move less than this part of the bandwidth have no area."""


def utilisation(result: ScenarioResult) -> Figure:
    """Three parts over the same time: the NPU's partitions, the host's cores, and the memory's
    traffic by tenant under the bandwidth that it sustains."""
    from matplotlib.patches import Patch, StepPatch

    figure = new_figure(8.5, 6.0)
    npu, cpu, dram = figure.subplots(3, 1, sharex=True, height_ratios=[1.2, 0.8, 1.5])
    window = result.outcome.usage.window_us / 1e6
    edges = [window * index for index in range(result.outcome.usage.windows + 1)]
    busy = result.busy
    several = len(result.modes) > 1
    for number, name in enumerate(result.modes):
        values = [100 * each for each in busy[f"npu {name}"]]
        look: Any = {"color": (INK, "0.5", "#5f7fa8")[number % 3], "linestyle": LINES[number % 4]}
        npu.stairs(values, edges, baseline=None, linewidth=1.3, label=name, **look)
    if several:
        npu.legend(fontsize=SMALL, frameon=False, ncols=len(result.modes), loc="lower right",
                   bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1)  # fmt: skip
    npu.set_ylabel("NPU partition\nbusy, %" if several else "NPU busy, %", fontsize=SMALL)
    cpu.stairs([100 * each for each in busy["cpu"]], edges, baseline=None, color=INK, linewidth=1.3)
    cpu.set_ylabel(f"{result.chip.cpu.cores} cores\nbusy, %", fontsize=SMALL)
    most = result.chip.sustained_gbps
    base = [0.0] * (len(edges) - 1)
    handles = []
    shown = [pair for pair in result.dram_gbps.items() if max(pair[1]) > LEAST * most]
    for number, (name, rates) in enumerate(sorted(shown, key=lambda pair: -sum(pair[1]))):
        top = [below + rate for below, rate in zip(base, rates, strict=True)]
        fill = SERIES[number % len(SERIES)]
        look = {"baseline": base, "fill": True, **area(fill)}
        dram.add_artist(StepPatch(top, edges, **look))
        handles.append(Patch(label=name, **area(fill)))
        base = top
    dram.axhline(most, color="black", linewidth=1, linestyle="--")
    text = f"sustained {most:.1f} GB/s"
    dram.annotate(text, (1.0, most), xycoords=("axes fraction", "data"), xytext=(-4, 3),
                  textcoords="offset points", ha="right", fontsize=SMALL)  # fmt: skip
    dram.set_ylim(0, 1.18 * most)
    dram.set_ylabel("DRAM traffic, GB/s", fontsize=SMALL)
    dram.set_xlabel(f"simulated time, s (windows of {window:.3g} s)", fontsize=SMALL + 1)
    dram.set_xlim(0, edges[-1])
    for axes in (npu, cpu):
        axes.set_ylim(0, 105)
    for axes in (npu, cpu, dram):
        axes.tick_params(labelsize=SMALL)
        grid(axes)
    title = f"How busy the chip is: {result.scenario.name} on {result.chip.name}"
    npu.set_title(title, fontsize=SMALL + 2, loc="left")
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles) or 1),
                  fontsize=SMALL, frameon=False)  # fmt: skip
    return figure
