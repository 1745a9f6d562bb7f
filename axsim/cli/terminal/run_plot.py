"""``axsim run --plot``: which picture of a run."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axsim.runs.results import RunResult


class PlotKind(str, Enum):
    """Pictures of a run."""

    latency = "latency"
    roofline = "roofline"
    timeline = "timeline"
    bandwidth = "bandwidth"


def check_picture(path: Path | None) -> None:
    """Find out before a long run that a picture can't be written.

    Raises:
        InputError: the folder, the format or matplotlib is missing.
    """
    if path is None:
        return
    from axsim.files import check_writable
    from axsim.show.plots import check_plot

    check_plot(path)
    check_writable(path)


def draw(result: RunResult, path: Path, kind: PlotKind, stages: list[str]) -> None:
    """Draw all variants' latency, or another picture of the first variant.

    Raises:
        InputError: the variant has no such stage, or the file cannot be written.
    """
    from axsim.show import plots

    first, chosen = result[0], stages or None
    if kind is PlotKind.latency:
        figure = plots.latency_bars(result)
    elif kind is PlotKind.roofline:
        figure = plots.roofline(first, stages=chosen)
    elif kind is PlotKind.timeline:
        figure = plots.eu_timeline(first, stages=chosen)
    else:
        figure = plots.dram_bandwidth(first, stages=chosen)
    plots.save(figure, path)
