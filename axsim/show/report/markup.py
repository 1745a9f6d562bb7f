"""HTML by small functions: text is escaped unless it is :class:`Html` already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple, TypeAlias

VOID = frozenset({"br", "col", "input", "meta"})
"""Elements that have neither content nor an end tag."""


class Html(str):
    """Text that is markup."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"
"""What an element may hold: text, markup, any number of them, or nothing."""


def join(*children: Child) -> Html:
    """Everything one after the other, plain text escaped."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            parts.append(child if isinstance(child, Html) else escape(child, quote=False))
        else:
            parts.append(join(*child))
    return Html("".join(parts))


def element(name: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """``<name …>children</name>``.

    Attributes lose a trailing underscore (``class_``), and the others become hyphens
    (``aria_label``). True gives one without a value; False and None leave it out.
    """
    head = name
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        head += f" {key.rstrip('_').replace('_', '-')}"
        if value is not True:
            head += f'="{escape(str(value))}"'
    if name in VOID:
        return Html(f"<{head}>")
    return Html(f"<{head}>{join(*children)}</{name}>")


class Column(NamedTuple):
    """A table's column: its heading, and whether it holds numbers, prose, or values of any length;
    the lines of the latter two may break."""

    heading: Child
    number: bool = False
    wide: bool = False
    value: bool = False

    @property
    def css(self) -> str | None:
        """The classes of its cells."""
        return "n" if self.number else "w" if self.wide else "v" if self.value else None


class Row(NamedTuple):
    """A table's row: its cells, the first of which names it; ``id`` can be linked to; ``css`` are
    classes."""

    cells: Sequence[Child]
    id: str | None = None
    css: str | None = None


def table(caption: str, columns: Sequence[Column], rows: Iterable[Row]) -> Html:
    """A table in a box of its own, which scrolls when the page is narrower; ``caption`` is what
    screen readers call it."""
    head = [element("th", c.heading, scope="col", class_=c.css) for c in columns]
    body = []
    for row in rows:
        first, *others = zip(columns, row.cells, strict=True)
        cells = [element("th", first[1], scope="row", class_=first[0].css)]
        cells += [element("td", cell, class_=column.css) for column, cell in others]
        body.append(element("tr", *cells, id=row.id, class_=row.css))
    inner = element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    return element("div", inner, class_="scroll", role="region", aria_label=caption, tabindex=0)


def section(name: str, title: str, *children: Child) -> Html:
    """A part of the page under a heading; ``name`` is its anchor."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def note(*children: Child, id_: str | None = None) -> Html:
    """A paragraph in small type."""
    return element("p", *children, class_="note", id_=id_)
