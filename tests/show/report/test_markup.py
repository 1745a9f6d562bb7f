"""Markup from small functions."""

from __future__ import annotations

import pytest

from axsim.show.report.markup import Column, Html, Row, element, join, section, table
from tests.show.report.reading import Page


def test_text_is_escaped_and_markup_is_not() -> None:
    inner = element("b", "a < b & c")
    assert inner == "<b>a &lt; b &amp; c</b>"
    assert element("p", inner, " <", None, ["x", [Html("<br>")]]) == f"<p>{inner} &lt;x<br></p>"


def test_attributes() -> None:
    found = element("input", type="checkbox", checked=True, disabled=False, id=None, data_role='"')
    assert found == '<input type="checkbox" checked data-role="&quot;">'
    assert element("label", "x", for_="y", class_="z") == '<label for="y" class="z">x</label>'


def test_a_table_tells_screen_readers_what_it_is() -> None:
    columns = [Column("name"), Column("ms", number=True), Column("why", wide=True)]
    page = Page(table("Times", columns, [Row(["a", "1", "<"], id="r"), Row(["b", "2", None])]))
    (found,) = page.tables
    assert found.caption == "Times"
    assert found.rows == [["name", "ms", "why"], ["a", "1", "<"], ["b", "2", ""]]
    assert found.scopes == ["col", "col", "col", "row", "row"]
    assert page.ids() == ["r"]
    box = page.elements[0][1]
    assert (box["role"], box["aria-label"], box["tabindex"]) == ("region", "Times", "0")


def test_a_row_that_is_too_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        table("x", [Column("a"), Column("b")], [Row(["1"])])


def test_a_section_is_named_by_its_heading() -> None:
    page = Page(section("part", "Part & more", join("text")))
    assert page.elements[0][1] == {"id": "part", "aria-labelledby": "part-title"}
    assert page.text == "Part & moretext"
