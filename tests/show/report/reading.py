"""Reads a report as a browser would, as far as that goes without one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from axsim.show.report.markup import VOID

Attributes = dict[str, str | None]


@dataclass
class Table:
    """A table's caption and the texts of its rows' cells; ``scopes`` are those of its headings."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    scopes: list[str | None] = field(default_factory=list)

    def row(self, name: str) -> list[str]:
        """The row whose first cell is ``name``."""
        (found,) = (row for row in self.rows if row[0] == name)
        return found


class Page(HTMLParser):
    """Elements, tables and text of a document; raises AssertionError when tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, Attributes]] = []
        self.tables: list[Table] = []
        self.scripts: list[tuple[Attributes, str]] = []
        self.styles: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def ids(self) -> list[str]:
        """Every id, in order."""
        return [a["id"] for _, a in self.elements if a.get("id")]  # type: ignore[misc]

    def table(self, caption: str) -> Table:
        """The first table of that caption."""
        return next(table for table in self.tables if table.caption == caption)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag in VOID:
            return
        self._open.append(tag)
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
            if tag == "th":
                self.tables[-1].scopes.append(attributes.get("scope"))
        elif tag in ("small", "span", "div") and {"td", "th"} & set(self._open):
            self.tables[-1].rows[-1][-1] += " "  # it stands below what is before it
        elif tag == "script":
            self.scripts.append((attributes, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> ends nothing"
        assert self._open.pop() == tag, tag
        if tag in ("td", "th"):
            row = self.tables[-1].rows[-1]
            row[-1] = re.sub(" +", " ", row[-1]).strip(" ")

    def handle_data(self, data: str) -> None:
        last = self._open[-1] if self._open else ""
        if last == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif last == "style":
            self.styles.append(data)
        else:
            self.text += data
            if "caption" in self._open:
                self.tables[-1].caption += data
            elif {"td", "th"} & set(self._open):
                self.tables[-1].rows[-1][-1] += data
