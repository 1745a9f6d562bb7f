"""YAML whose every value remembers where it was written.

PyYAML gives plain Python objects and forgets the lines. Here each value is a :class:`Located`, so
that an error found later, by pydantic or by a cross-check, can still name file and line, and so
that overrides can replace values without losing the place of the others.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from axsim.errors import InputError, Problem, printable, unprintable

LARGEST_FILE = 4 << 20
"""Bytes of a file that somebody may have written by hand."""
MOST_VALUES = 20_000
"""Values of a document, those that aliases repeat included."""
LONGEST_LINE = 10_000
"""Characters of a line beyond which no comment is looked for in it."""
MOST_BITS = 1100
"""Of a whole number: more than a double has room for."""

_SCALARS = str, int, float, type(None)

Key: TypeAlias = "str | int"
"""One step of a key path: a mapping's key or a list's position."""


@dataclass(slots=True)
class Located:
    """A value with the place it came from.

    ``value`` is a scalar, a ``dict[str, Located]`` or a ``list[Located]``; ``origin`` is
    ``file:line`` of its key, or ``--set key=value``; ``comment`` is the YAML comment that stands
    beside it or directly above its key, for the whole document the one that the file begins with.
    """

    value: Any
    origin: str
    comment: str = ""

    def plain(self) -> Any:
        """The value as ordinary Python objects; lists become tuples, as frozen models hold them."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return tuple(child.plain() for child in self.value)
        return self.value

    def copy(self) -> Located:
        """The same document, to be changed without changing this one."""
        value = self.value
        if isinstance(value, dict):
            value = {key: child.copy() for key, child in value.items()}
        elif isinstance(value, list):
            value = [child.copy() for child in value]
        return Located(value, self.origin, self.comment)

    def child(self, key: Key) -> Located | None:
        """The value under one key or list position, or None."""
        if isinstance(self.value, dict):
            return self.value.get(str(key)) if key not in self.value else self.value[key]
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return self.value[key]  # type: ignore[no-any-return]
        return None

    def nearest(self, path: tuple[Key, ...]) -> tuple[Located, int]:
        """The deepest value that exists along ``path``, and how many steps of it were taken."""
        here = self
        for depth, key in enumerate(path):
            child = here.child(key)
            if child is None:
                return here, depth
            here = child
        return here, len(path)

    def leaves(self, path: tuple[Key, ...] = ()) -> Iterator[tuple[tuple[Key, ...], Located]]:
        """Every value that holds no further ones, with its key path, in the order written."""
        children: Any = ()
        if isinstance(self.value, dict):
            children = self.value.items()
        elif isinstance(self.value, list) and any(
            isinstance(item.value, dict | list) for item in self.value
        ):
            children = enumerate(self.value)
        if not children:
            yield path, self
        for key, child in children:
            yield from child.leaves((*path, key))


def locate(value: Any, origin: str) -> Located:
    """Give plain Python objects one common place of origin."""
    if isinstance(value, _SCALARS):  # most values, and the check for a Mapping is slow
        return Located(value, origin)
    if isinstance(value, Mapping):
        return Located({str(k): locate(v, origin) for k, v in value.items()}, origin)
    if isinstance(value, list | tuple):
        return Located([locate(item, origin) for item in value], origin)
    return Located(value, origin)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader with the scalars of YAML 1.2.

    1.1 reads ``on`` as true, ``1e3`` as text and ``1:30`` as 90; people who write descriptors
    expect none of that.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_TAGS = {
    f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")
}

for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*\.[0-9]*)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)"
        r"|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        [c if c != "\0" else "" for c in _first],
    )


def read(path: Path) -> Located:
    """Parse a YAML file into a located mapping.

    Raises:
        InputError: the file can't be read, is no YAML, repeats a key or holds no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            what = "is too large for a file written by hand"
            raise InputError(Problem(str(path), "", what, f"up to {LARGEST_FILE >> 20} MiB"))
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            Problem(str(path), "", f"not a text file (byte {error.start} is not UTF-8)", "YAML")
        ) from None
    except OSError as error:
        raise InputError(
            Problem(str(path), "", f"can't be read: {(error.strerror or str(error)).lower()}")
        ) from None
    return parse(text, display(path))


def parse(text: str, name: str) -> Located:
    """Parse YAML text; ``name`` is how errors call it. Raises like :func:`read`."""
    try:
        return _parsed(text, name).copy()
    except RecursionError:  # less of the stack is left than when the text was parsed
        raise InputError(Problem(name, "", "not usable: nested too deeply")) from None


@lru_cache(maxsize=32)
def _parsed(text: str, name: str) -> Located:
    """A run reads its few files again for every variant and for every key that is set."""
    root = _Tree(text, name).parse()
    if not isinstance(root.value, dict):
        what = "is empty" if root.value is None else f"holds {show(root.plain())}, not keys"
        raise InputError(Problem(name, "", what, "a YAML mapping of keys to values"))
    return root


def scalar(text: str) -> Any:
    """A value given on the command line, typed as YAML types it (``12``, ``true``, ``[1, 2]``).

    Raises:
        InputError: the text is no YAML value.
    """
    return _Tree(text, "").parse().plain()


def display(path: Path) -> str:
    """A path as messages show it: relative to the working directory where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def show(value: object, limit: int = 60) -> str:
    """A value as a user would write it in YAML, shortened to ``limit`` characters."""
    if isinstance(value, float) and not math.isfinite(value):
        text = {"inf": ".inf", "-inf": "-.inf"}.get(str(value), ".nan")
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{k}: {show(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(item) for item in value) + "]"
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


DEEPEST = 400
"""Collections inside each other."""


class _Tree:
    """One parse: turns PyYAML's nodes into Located values."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.lines = text.splitlines()
        self.problems: list[Problem] = []
        self.open: set[int] = set()
        self.built = 0

    def parse(self) -> Located:
        text = self.text.replace("\r\n", "\n")
        odd = unprintable(text)
        if odd:
            place = self.at(text[: text.index(odd)].count("\n"))
            what = f"not valid YAML: it holds the character {printable(odd)}"
            raise InputError(Problem(place, "", what))
        self.bounded(text)
        loader = _Loader(self.text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Located(None, self.at(0))
            located = self.build(loader, root, self.at(0), "", self.heading())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = " ".join(part for part in (error.problem, error.context) if part)
            line = mark.line if mark else 0
            raise InputError(
                Problem(self.at(line), "", f"not valid YAML: {what}{self.excerpt(line)}")
            ) from None
        except yaml.YAMLError as error:
            what = str(error).splitlines()[0]
            raise InputError(Problem(self.name, "", f"not valid YAML: {what}")) from None
        except RecursionError:
            raise InputError(Problem(self.name, "", "not usable: nested too deeply")) from None
        finally:
            loader.dispose()
        if self.problems:
            raise InputError(self.problems)
        return located

    def bounded(self, text: str) -> None:
        """Refuse what is nested so deeply that composing it would end the process. Each level takes
        one of a few characters, so that few texts have to be looked through."""
        if sum(map(text.count, "[{-?:")) <= DEEPEST:
            return
        depth = 0
        loader = _Loader(text)
        try:
            while loader.check_event():
                event = loader.get_event()
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > DEEPEST:
                    raise InputError(Problem(self.name, "", "not usable: nested too deeply"))
        except yaml.YAMLError:
            return  # composing it tells where
        finally:
            loader.dispose()

    def build(self, loader: Any, node: Any, origin: str, key: str, comment: str) -> Located:
        if id(node) in self.open:
            raise InputError(Problem(origin, key, "a YAML alias that contains itself"))
        self.built += 1
        if self.built > MOST_VALUES:
            what = f"not usable: more than {MOST_VALUES:,} values, with what aliases repeat"
            raise InputError(Problem(self.name, "", what))
        self.open.add(id(node))
        if node.tag not in _TAGS:
            what = f"the YAML tag {node.tag!r} means nothing here"
            self.problems.append(Problem(origin, key, what))
        try:
            if isinstance(node, yaml.MappingNode):
                value = self.mapping(loader, node, key)
                return Located(value, origin, comment or self.beside(node))
            if isinstance(node, yaml.SequenceNode):
                items = [
                    self.build(loader, item, self.at(item.start_mark.line), f"{key}.{i}", "")
                    for i, item in enumerate(node.value)
                ]
                return Located(items, origin, comment or self.beside(node))
            return Located(self.scalar(loader, node, origin, key), origin, self.beside(node))
        finally:
            self.open.discard(id(node))

    def mapping(self, loader: Any, node: Any, parent: str) -> dict[str, Located]:
        result: dict[str, Located] = {}
        for key_node, value_node in node.value:
            origin = self.at(key_node.start_mark.line)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(origin, parent, "a key must be a name"))
                continue
            name = str(key_node.value)
            if unprintable(name):
                what = f"the key {printable(name)!r} holds a control character"
                self.problems.append(Problem(origin, parent, what))
                continue
            path = f"{parent}.{name}" if parent else name
            if name in result:
                first = result[name].origin
                self.problems.append(Problem(origin, path, f"given twice, first at {first}"))
                continue
            block = value_node.start_mark.line > key_node.end_mark.line
            beside = self.beside(key_node) if block else ""
            located = self.build(loader, value_node, origin, path, beside)
            if not located.comment:
                located.comment = self.above(key_node.start_mark)
            result[name] = located
        return result

    def scalar(self, loader: Any, node: Any, origin: str, key: str) -> Any:
        try:
            value = loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            what = getattr(error, "problem", None) or str(error)
            self.problems.append(Problem(origin, key, f"found {node.value[:60]!r}: {what}"))
            return None
        what = ""
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            what = "a number of more than 300 digits"
        elif isinstance(value, str) and unprintable(value):
            odd = printable(unprintable(value))
            what = f"found {value[:60]!r}: it holds the control character {odd}"
        if what:
            self.problems.append(Problem(origin, key, what))
            return None
        return value

    def at(self, line: int) -> str:
        return f"{self.name}:{line + 1}" if self.name else ""

    def excerpt(self, line: int) -> str:
        text = self.lines[line].strip() if line < len(self.lines) else ""
        return f", at {text!r}" if text else ""

    def beside(self, node: Any) -> str:
        """The comment on the line where a node ends, after it."""
        mark = node.end_mark
        line = self.lines[mark.line] if mark.line < len(self.lines) else ""
        if "#" not in line or len(line) > LONGEST_LINE:
            return ""
        rest = line[mark.column :].lstrip(" :,]}")
        return rest[1:].strip() if rest.startswith("#") else ""

    def heading(self) -> str:
        """The comment lines that the file begins with, as they are broken there."""
        lines = itertools.takewhile(lambda line: line.startswith("#"), self.lines)
        return "\n".join(line[1:].strip() for line in lines)

    def above(self, mark: Any) -> str:
        """The comment lines directly above a key, at the key's own indentation."""
        found: list[str] = []
        for number in range(min(mark.line, len(self.lines)) - 1, -1, -1):
            line = self.lines[number]
            text = line.lstrip()
            if not text.startswith("#") or len(line) - len(text) != mark.column:
                break
            found.append(text[1:].strip())
        if len(found) == mark.line:
            return ""  # the heading of the file
        return " ".join(reversed(found))
