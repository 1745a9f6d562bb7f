"""A descriptor key by key: value, meaning, and where the value comes from."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from axsim.spec.descriptor import Section
from axsim.spec.located import Key, Located


@dataclass(frozen=True)
class Line:
    """One row of an explained descriptor.

    ``depth`` counts the sections around it; ``value`` is None for a section's heading. ``meaning``
    is the field's description. ``source`` is the comment beside the value in the file, the
    override that set it, or "default".
    """

    depth: int
    key: str
    value: Any
    meaning: str
    source: str
    heading: bool = False


def explain(section: Section, tree: Located, skip: Collection[str] = ()) -> list[Line]:
    """The lines of a validated descriptor; ``tree`` is the document that it was made from.

    ``skip`` has dotted keys to leave out.
    """
    return list(_lines(section, tree, (), skip))


def derived(section: Section) -> list[Line]:
    """The scalar properties of a descriptor: what follows from its keys."""
    lines = []
    for name, member in vars(type(section)).items():
        if name.startswith("_") or not isinstance(member, property | cached_property):
            continue
        value = getattr(section, name)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            meaning = (inspect.getdoc(member) or "").partition("\n\n")[0].replace("\n", " ")
            lines.append(Line(0, name, value, meaning, ""))
    return lines


def _lines(
    section: Section, tree: Located, path: tuple[Key, ...], skip: Collection[str] = ()
) -> Iterator[Line]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        here = (*path, name)
        if ".".join(map(str, here)) in skip:
            continue
        meaning = field.description or ""
        yield from _value(name, value, meaning, tree, here, skip)


def _value(
    name: str,
    value: Any,
    meaning: str,
    tree: Located,
    path: tuple[Key, ...],
    skip: Collection[str] = (),
) -> Iterator[Line]:
    depth, source = len(path) - 1, _source(tree, path)
    if isinstance(value, Section):
        yield Line(depth, name, None, meaning, source, heading=True)
        yield from _lines(value, tree, path, skip)
    elif isinstance(value, Mapping) and value:
        yield Line(depth, name, None, meaning, source, heading=True)
        for key, item in value.items():
            yield from _value(str(key), item, "", tree, (*path, key))
    elif isinstance(value, tuple) and any(isinstance(item, Section) for item in value):
        yield Line(depth, name, None, meaning, source, heading=True)
        for index, item in enumerate(value):
            yield from _value(str(index), item, "", tree, (*path, index))
    else:
        yield Line(depth, name, value, meaning, source)


def _source(tree: Located, path: tuple[Key, ...]) -> str:
    located, depth = tree.nearest(path)
    if located.origin.startswith("--set"):
        return located.origin
    if depth < len(path):
        return "default"
    return located.comment
