"""The pictures of a report, as SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from axsim.fidelity.validate import Validation
from axsim.runs.results import RunResult
from axsim.show.report.markup import Html, element

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(result: RunResult, validation: Validation | None) -> Mapping[str, Html]:
    """Every picture by name: ``latency``, ``roofline VARIANT`` for each variant, ``tradeoff`` of
    several whose kernels have run, and ``validation``."""
    from axsim.show import plots

    found = {"latency": inline(plots.latency_bars(result), "latency", "Latency of each variant")}
    for index, variant in enumerate(result):
        title = f"Roofline of {variant.name}: operators under the chip's ceilings"
        figure = plots.roofline(variant)
        found[f"roofline {variant.name}"] = inline(figure, f"roofline{index}", title)
    if len(result) > 1 and all(each.numerics is not None for each in result):
        figure = plots.accuracy_picture(result.to_pandas().reset_index())
        title = "Accuracy against time, variant by variant"
        found["tradeoff"] = inline(figure, "tradeoff", title)
    if validation is not None and any(each.predicted for each in validation.compared):
        figure = plots.predicted_measured(validation)
        found["validation"] = inline(figure, "validation", "Predicted against measured values")
    return found


def shown(pictures: Mapping[str, Html], name: str, caption: str) -> Html | None:
    """The picture with its caption."""
    if name not in pictures:
        return None
    box = element("div", pictures[name], class_="scroll picture", tabindex=0, role="region",
                  aria_label=caption)  # fmt: skip
    return element("figure", box, element("figcaption", caption))


def inline(figure: Figure, prefix: str, title: str) -> Html:
    """An SVG element whose ids no other picture of the page has, written in few bytes."""
    from axsim.show.plots import svg

    text = svg(figure, title)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = re.sub("<[^>]*>", lambda tag: re.sub(r"\d+\.\d{3,}", _short, tag[0]), text)
    text = text.replace(_FONTS, "sans-serif")
    text = re.sub(r'(viewBox="0 0 ([\d.]+) .*?)height:auto', _sized, text, count=1)
    return Html(re.sub(r"\s*\n\s*", " ", text))


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}"


def _sized(found: re.Match[str]) -> str:
    """The picture's style with limits of its width, in which its smallest text can be read."""
    points = float(found[2])
    least, most = f"min-width:{LEAST * points:.0f}px", f"max-width:{MOST * points:.0f}px"
    return f"{found[1]}height:auto;{least};{most}"


LEAST, MOST = 1.1, 1.4
"""Pixels for each of matplotlib's points."""
_FONTS = (
    "'DejaVu Sans', 'Bitstream Vera Sans', 'Computer Modern Sans Serif', 'Lucida Grande', "
    "'Verdana', 'Geneva', 'Lucid', 'Arial', 'Helvetica', 'Avant Garde', sans-serif"
)
"""Matplotlib's list of fonts; the page has its own."""
