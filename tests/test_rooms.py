"""The house: which room may ask which, and that every name says one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import axsim

ROOT = Path(axsim.__file__).parent
ROOMS = (
    "errors", "files", "kernels", "graph", "models", "network", "numerics", "spec", "compiler",
    "machine", "system", "inputs", "fidelity", "runs", "export", "study", "axmodel", "show",
    "axengine", "server", "cli",
)  # fmt: skip
"""From the ground up: a room imports those before it, never those after it. Two of them are single
files."""
ABOVE_ALL = ("__init__", "__main__", "pytest_plugin")
"""Made of every room: the names of ``import axsim``, ``python -m axsim``, and the plugin."""

NAMESAKES = {
    "cli": "a command is named like the room that does its work",
    "graph/ops": "an operator is named as in ONNX, and its kernel like it",
}
"""Folders whose modules may be called like one elsewhere, and why."""

FILES = sorted(path for path in ROOT.rglob("*.py"))


def module(path: Path) -> str:
    """``graph/ops/add`` of axsim/graph/ops/add.py."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


def room(name: str) -> str:
    return name.split("/")[0]


MODULES = {module(path).removesuffix("/__init__") for path in FILES}


@cache
def imported(path: Path) -> set[str]:
    """The modules of axsim that a file imports, anywhere in it, for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {n.removeprefix("axsim.").replace(".", "/") for n in names if n[:6] == "axsim."}
    return found & MODULES


def test_every_file_is_in_a_room() -> None:
    assert {room(module(path)) for path in FILES} == {*ROOMS, *ABOVE_ALL}


@pytest.mark.parametrize("name", ROOMS)
def test_imports_point_down(name: str) -> None:
    below = set(ROOMS[: ROOMS.index(name) + 1])
    upwards = [
        f"{module(path)} imports {other}"
        for path in FILES
        if room(module(path)) == name
        for other in sorted(imported(path))
        if room(other) not in below
    ]
    assert not upwards


def test_no_module_is_imported_in_a_circle() -> None:
    edges = {module(path).removesuffix("/__init__"): imported(path) for path in FILES}
    done: set[str] = set()
    circles: set[frozenset[str]] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circles.add(frozenset(way[way.index(name) :]))
        elif name not in done:
            for other in sorted(edges[name] - {name}):
                visit(other, (*way, name))
            done.add(name)

    for name in set(edges) - {*ABOVE_ALL}:
        visit(name, ())
    assert not circles


def test_no_name_stands_twice() -> None:
    places = defaultdict(list)
    for path in FILES:
        name = module(path)
        if path.stem != "__init__" and not name.startswith(tuple(f"{n}/" for n in NAMESAKES)):
            places[path.stem].append(name)
    assert {stem: names for stem, names in places.items() if len(names) > 1} == {}


def test_the_map_shows_every_room_in_the_order_of_imports() -> None:
    text = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text[text.index("| room |") : text.index("## The flow")]
    first = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    named = " ".join(first).replace("`", "").replace(",", " ").split()
    assert tuple(name.removesuffix("/").removesuffix(".py") for name in named) == ROOMS
