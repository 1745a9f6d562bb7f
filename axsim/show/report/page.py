"""The whole page: one HTML document that loads nothing."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from axsim.show.report import (
    accuracy,
    assumptions,
    colours,
    engine_chart,
    headline,
    occupancy,
    variants_table,
    where_time_goes,
)
from axsim.show.report.content import Report
from axsim.show.report.markup import Html, element, join
from axsim.show.tables import heading
from axsim.study.fingerprint import code_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SECTIONS = {
    "answer": "Answer",
    "variants": "Variants",
    "limits": "Limits",
    "breakdown": "Breakdown",
    "timeline": "Timeline",
    "memory": "Memory",
    "validation": "Validation",
    "assumptions": "Assumptions",
}
"""Anchors, in the order of the page, and what links to them say."""


SCRIPTS = {
    "page": ("page.js",),
    "timeline": ("timeline_data.js", "timeline_draw.js", "timeline_move.js"),
}
"""The files of each script."""


def page(report: Report) -> str:
    """The document as text. Equal reports give equal bytes."""
    result = report.result
    title = f"{result.workload} on {result.chip}"
    main = element(
        "main",
        headline.section(report),
        variants_table.section(report),
        headline.limits(report),
        where_time_goes.section(report),
        engine_chart.section(report),
        occupancy.section(report),
        accuracy.section(report),
        assumptions.section(report),
    )
    return document(title, join(_header(report, title), _bar(report), main, _footer(report)))


def document(title: str, body: Html, *, timeline: bool = True) -> str:
    """A page of this style that loads nothing, with the engines' timeline or without."""
    scripts = {name: _script(parts) for name, parts in SCRIPTS.items()}
    if not timeline:
        scripts["timeline"] = ""
    return Template(_file("page.html")).substitute(
        generator=f"axsim {version('axsim')}",
        policy=_policy(scripts.values()),
        title=join(f"{title}: axsim report"),
        style=f"{_file('page.css')}\n{colours.style()}",
        body=body,
        page_script=scripts["page"],
        timeline_script=scripts["timeline"],
    )


def _file(name: str) -> str:
    return files("axsim.show.report").joinpath(name).read_text(encoding="utf-8").strip()


def _script(names: Sequence[str]) -> str:
    """The files as one script that shares no names with another."""
    return "\n".join(['(() => {\n"use strict";', *map(_file, names), "})();"])


def _policy(scripts: Iterable[str]) -> str:
    """Nothing is loaded from anywhere, and no script but the page's own runs."""
    hashes = []
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        hashes.append(f"'sha256-{digest}'")
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {' '.join(hashes)}"


def _header(report: Report, title: str) -> Html:
    chip = report.chip_of_run
    request = heading(report.result).removeprefix(title).lstrip(", ")
    return element(
        "header",
        element("p", "axsim report", class_="kicker"),
        element("h1", _unbroken(report.result.workload), " on ", _unbroken(report.result.chip)),
        element("p", f"{request}.", class_="lead"),
        element("p", f"{chip.description}.", class_="note") if chip.description else None,
        class_="top",
    )


def _unbroken(name: str) -> Html:
    return element("span", name, class_="name")


def _bar(report: Report) -> Html:
    """Links to the sections, the choice of the variant, the switch of the theme."""
    choice = None
    if len(report.result) > 1:
        options = [element("option", each.name, value=each.name) for each in report.result]
        select = element("select", *options, id="variant", autocomplete="off")
        choice = element("label", "Variant ", select)
    return bar(SECTIONS, choice)


def bar(sections: Mapping[str, str], choice: Html | None = None) -> Html:
    """Links to sections by their anchors, a choice if there is one, the switch of the theme."""
    links = [
        element("li", element("a", name, href=f"#{anchor}")) for anchor, name in sections.items()
    ]
    theme = element("button", "Dark", type="button", id="theme", aria_pressed="false")
    return element(
        "nav",
        element("ul", *links),
        element("div", choice, theme, class_="controls"),
        class_="bar",
        aria_label="Sections and view",
    )


def _footer(report: Report) -> Html:
    return footer(report.command)


def footer(command: str) -> Html:
    """The command that makes the page, and who made it."""
    made = f"axsim {version('axsim')}, code {code_fingerprint()}. Equal inputs give an equal page."
    again = element("p", "Made by ", element("code", command)) if command else None
    return element("footer", again, element("p", made))
