"""Reading figures: what a test wants to know of a picture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any


def texts(figure: Any) -> list[str]:
    """Every text that is drawn."""
    return [each.get_text() for each in drawn_texts(figure)]


def drawn_texts(figure: Any) -> list[Any]:
    from matplotlib.text import Text

    figure.draw_without_rendering()
    beyond = set(_ticks_beyond(figure))
    return [
        each
        for each in figure.findobj(Text)
        if each.get_visible() and each.get_text().strip() and each not in beyond
    ]


def _ticks_beyond(figure: Any) -> Iterator[Any]:
    """Labels of ticks outside the limits, which matplotlib keeps but does not draw."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    yield from (tick.label1, tick.label2)


def legend_names(figure: Any) -> list[str]:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text() for each in legends if each for text in each.get_texts()]


def overlapping(artists: list[Any]) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other by more than a pixel."""
    boxes = [(each.get_text(), each.get_window_extent()) for each in artists]
    return [
        (a, b)
        for (a, one), (b, other) in combinations(boxes, 2)
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 1
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    ]


def smallest_text(figure: Any) -> float:
    return min(each.get_fontsize() for each in drawn_texts(figure))
