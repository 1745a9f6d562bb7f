"""Writing fitted values into a chip's file; every other character of it stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from axsim.errors import InputError, Problem
from axsim.spec.located import read

MARK = "calibrated:"


def with_calibrated(source: Path, values: Mapping[str, float], notes: Mapping[str, str]) -> str:
    """The text of the chip file ``source`` with the ``calibrated`` block's ``values`` replaced.

    ``notes`` (``± 2 %``) stand behind the values as ``# calibrated: ± 2 %``, before a comment of
    the author's own, where a value has its own line.

    Raises:
        InputError: ``source`` is no chip file, or a value is not written there as a plain number.
    """
    block = read(source).child("calibrated")
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    for name, value in values.items():
        found = None if block is None else block.child(name)
        number = 0 if found is None else int(found.origin.rpartition(":")[2])
        pattern = rf"(?P<before>(?:^\s*|[{{,]\s*){name}\s*:\s+)(?P<value>[-+.0-9eE_]+)"
        match = re.search(pattern, lines[number - 1]) if number else None
        if match is None:
            what = "is not written as a plain number, so that it cannot be replaced"
            raise InputError(Problem(str(source), f"calibrated.{name}", what))
        lines[number - 1] = _replaced(lines[number - 1], match, value, notes.get(name, ""))
    return "".join(lines)


def with_power(source: Path, block: Mapping[str, object], notes: Mapping[str, str]) -> str:
    """The text of the chip file ``source`` with ``block`` as its ``power``, in place of one that is
    there, else at its end. ``notes`` stand behind the values as comments."""
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    new = ["power:\n", *_block(block, notes, "", "  ")]
    first = next((n for n, line in enumerate(lines) if re.match(r"power\s*:", line)), None)
    if first is None:
        return "".join([*lines, "\n", *new])
    after = first + 1
    while after < len(lines) and re.match(r"\s+\S", lines[after]):
        after += 1
    return "".join([*lines[:first], *new, *lines[after:]])


def _block(
    block: Mapping[str, object], notes: Mapping[str, str], under: str, indent: str
) -> Iterator[str]:
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:\n"
            yield from _block(value, notes, f"{key}.", f"{indent}  ")
            continue
        note = notes.get(f"{under}{key}")
        shown = json.dumps(value, ensure_ascii=False)
        yield f"{indent}{key}: {shown}{f'  # {note}' if note else ''}\n"


def _replaced(line: str, match: re.Match[str], value: float, note: str) -> str:
    rest = line[match.end() :]
    text = f"{line[: match.start()]}{match['before']}{value:.6g}"
    alone = re.fullmatch(r"[ \t]*(?:#[ \t]*(?P<comment>.*?))?[ \t]*(?P<end>\r?\n?)", rest)
    if alone is None:
        return text + rest
    own = [part for part in re.split(r";\s*", alone["comment"] or "") if part]
    comments = [part for part in own if not part.startswith(MARK)]
    if note:
        comments.insert(0, f"{MARK} {note}")
    tail = f"  # {'; '.join(comments)}" if comments else ""
    return text + tail + alone["end"]
