"""Axes that carry a column of a sweep: name, unit, scale and ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axsim.show.plots.style import plain_numbers
from axsim.system.metrics import METRICS

UNITS = {
    "_macs_per_cycle": "MACs per cycle",
    "_bytes_per_cycle": "bytes per cycle",
    "_ms": "ms",
    "_us": "µs",
    "_bytes": "MB",
    "_gbps": "GB/s",
    "_mtps": "MT/s",
    "_mhz": "MHz",
    "_tops": "TOPS",
    "_bits": "bits",
    "_size": "pixels",
}
"""Units at the ends of names; bytes are drawn in millions."""

NAMES = {
    "cosine": "cosine similarity to float32",
    "perplexity": "perplexity as deployed",
    "float32_perplexity": "perplexity in float32",
    "kl_divergence": "divergence from float32, nats a token",
    "top1_agreement": "same likeliest token as float32, share",
    **{metric.name: metric.title for metric in METRICS.values()},
}
"""Names of columns that do not read well as they are."""

WIDE = 8.0
"""From this ratio of the greatest to the least value an axis is logarithmic."""

SIMILAR = 0.9
"""Similarities that reach this are drawn by their distance from 1, logarithmically."""


def axis_name(column: str) -> str:
    """A column's name as people read it, with its unit: ``image to first token, ms``; a dotted key
    stays as it is written."""
    if column in NAMES:
        return NAMES[column]
    for suffix, unit in UNITS.items():
        if column.endswith(suffix):
            if "." in column:
                return f"{column}, {unit}"
            return f"{column.removesuffix(suffix).replace('_', ' ')}, {unit}"
    return column


def fit_axis(axes: Any, which: str, column: str, values: Sequence[float]) -> None:
    """Name the axis ``x`` or ``y`` of a column with these values, and choose its scale."""
    from matplotlib.ticker import FuncFormatter

    axis = getattr(axes, f"{which}axis")
    set_scale, set_label = getattr(axes, f"set_{which}scale"), getattr(axes, f"set_{which}label")
    if column.endswith("cosine") and SIMILAR < max(values) < 1 and min(values) > 0:
        set_scale("logit")
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
        axis.set_minor_formatter(FuncFormatter(_halfway))
    elif min(values) > 0 and max(values) >= WIDE * min(values):
        set_scale("log", subs=(2, 5))
        plain_numbers(axis)
        axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if column.endswith("_bytes"):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:g}"))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:g}"))
    major = axis.majorTicks[0]
    axes.tick_params(axis=which, which="minor", pad=major.get_pad(), length=3.5)
    set_label(axis_name(column))


def _halfway(value: float, _: object) -> str:
    """0.95, 0.995, …"""
    text = f"{1 - value:.0e}"
    return f"{value:.10g}" if text.startswith("5") else ""
