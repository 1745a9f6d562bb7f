"""Numbers and small parts that several sections show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from axsim.fidelity.prediction import Prediction, number
from axsim.runs.results import VariantResult
from axsim.show.extrapolated import mark
from axsim.show.report.markup import Child, Html, element, join
from axsim.system.metrics import PREDICTED

SHOWN = {metric.name: metric for metric in PREDICTED if metric.column_heading}
"""The metrics of the report."""

KINDS = {
    "compute": "computing",
    "ld:param": "weights in",
    "ld:input": "inputs in",
    "ld:ddr_swap": "spilled activations in",
    "st:ddr_swap": "spilled activations out",
    "st:output": "outputs out",
}
"""What each kind of task does."""


def capitalised(label: str) -> str:
    """A metric's label at the beginning of a line."""
    return label[0].upper() + label[1:]


def percent(fraction: float, digits: int = 0) -> str:
    """``14%``, with a true minus sign; ``<1%`` for what would round to nothing."""
    least: float = 10.0 ** -(digits + 2)
    if 0 < fraction < least / 2:
        return f"<{least:.{digits}%}"
    return f"{fraction:.{digits}%}".replace("-", "−")


def signed(fraction: float, digits: int = 0) -> str:
    """``+3%`` or ``−4%``; what rounds to nothing is ``±0%``."""
    text = f"{fraction:+.{digits}%}"
    return f"±{text[1:]}" if not text.strip("+-0.%") else text.replace("-", "−")


def interval(found: Prediction) -> str:
    """``±14%``, with the mark of what is extrapolated; empty where nothing is known."""
    if found.interval is None:
        return ""
    low, high = found.interval
    if abs(low + high) < 0.005:
        return f"±{percent(high)}{mark(found)}"
    return f"{signed(low)} {signed(high)}{mark(found)}"


def measured(found: Prediction) -> Html | None:
    """``measured 145.0, −4%``, with links to the ledger's rows."""
    if found.measured is None or found.error is None:
        return None
    rows = found.measured.ids
    what = f"ledger {'row' if len(rows) == 1 else 'rows'} {', '.join(rows)}"
    link = element("a", number(found.measured.value), href=f"#row-{rows[0]}", title=what)
    return join("measured ", link, f", {signed(found.error)}")


def plain(value: float) -> str:
    """Four significant digits without exponent, thousands apart."""
    if value < 1e4:
        return f"{value:.4g}"
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def panels(variants: Iterable[VariantResult], parts: Iterable[Child]) -> Html:
    """One part of the page for each variant, of which the page shows the chosen one."""
    shown = list(zip(variants, parts, strict=True))
    several = len(shown) > 1
    found = []
    for variant, part in shown:
        heading = element("p", "Variant ", element("b", variant.name), class_="which")
        found.append(
            element(
                "div",
                heading if several else None,
                part,
                class_="variant",
                data_variant=variant.name,
            )
        )
    return join(found)


def legend(items: Sequence[tuple[str, str, str]]) -> Html:
    """Swatches: (class of the swatch, name, meaning)."""
    entries = [
        element("li", element("i", class_=f"swatch {css}"), element("b", name), f" {meaning}")
        for css, name, meaning in items
    ]
    return element("ul", *entries, class_="legend")
