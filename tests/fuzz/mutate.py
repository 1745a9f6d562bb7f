"""Seeded damage: to trees of values, to text and to bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from random import Random
from typing import Any

INTEGERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    255,
    1 << 15,
    1 << 20,
    1 << 31,
    (1 << 31) - 1,
    1 << 40,
    1 << 53,
    1 << 63,
    (1 << 64) - 1,
    1 << 70,
    10**30,
    10**300,
    10**400,
    -(1 << 63),
)
FLOATS = (
    0.0,
    -0.0,
    0.5,
    -1.5,
    1e-300,
    5e-324,
    1e-30,
    1e-9,
    1e9,
    1e20,
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    float("-inf"),
)
TEXTS = (
    "",
    " ",
    "u8",
    "none",
    "null",
    "true",
    "NaN",
    "inf",
    "1e400",
    "0x10",
    "../../etc/passwd",
    "<b>bold</b>",
    "=1+1",
    "@SUM(A1)",
    "+1",
    "\x1b[31mred\x1b[0m",
    "\x07",
    "\u202eevil",
    "a\nb",
    "a\rb",
    "\x00",
    "é",
    "𝔘",
    "x" * 5000,
    "%s",
    "{}",
    "*",
    "[",
    "-",
    "CON",
    "C:\\a\\b",
    "\ud800",
)


def odd(rng: Random) -> Any:
    """A value that is seldom what a key wants."""
    return rng.choice(
        (
            lambda: None,
            lambda: rng.random() < 0.5,
            lambda: rng.choice(INTEGERS),
            lambda: rng.randint(-5, 5000),
            lambda: rng.choice(FLOATS),
            lambda: rng.uniform(-10, 1000),
            lambda: rng.choice(TEXTS),
            lambda: [],
            lambda: {},
            lambda: [rng.choice(INTEGERS)],
            lambda: [rng.choice(TEXTS), rng.choice(INTEGERS)],
            lambda: {rng.choice(TEXTS): rng.choice(INTEGERS)},
        )
    )()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys."""
    keys = (
        list(value)
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else ()
    )
    for key in keys:
        yield value, key
        yield from places(value[key])


def tree(rng: Random, document: Any, changes: int | None = None) -> Any:
    """The document with a few values replaced, scaled, removed, renamed or moved."""
    changed = copy.deepcopy(document)
    for _ in range(changes or rng.choice((1, 1, 1, 2, 3))):
        found = list(places(changed))
        if not found:
            break
        numbers = [(holder, key) for holder, key in found if _is_number(holder[key])]
        if numbers and rng.random() < 0.35:  # of the right type: further in than odd ones get
            holder, key = rng.choice(numbers)
            holder[key] = _nearby(rng, holder[key])
            continue
        holder, key = rng.choice(found)
        action = rng.random()
        value = holder[key]
        if action < 0.55:
            holder[key] = odd(rng)
        elif action < 0.75 and _is_number(value):
            holder[key] = _scaled(rng, value)
        elif action < 0.83:
            del holder[key]
        elif action < 0.9 and isinstance(holder, MutableMapping):
            holder[rng.choice(TEXTS) or "key"] = holder.pop(key)
        else:
            _, other = rng.choice(found)
            holder[key] = copy.deepcopy(rng.choice(found)[0]) if rng.random() < 0.5 else other
    return changed


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nearby(rng: Random, value: float) -> Any:
    """Another number of that type which may well be allowed."""
    if isinstance(value, int):
        near = (value - 1, value + 1, value // 2, value * 2, value * 4, value + 8)
        return rng.choice((*near, 0, 1, 2, 3, 5, 8, 16, 31, 100, 256, 1000, 4096))
    return rng.choice(
        (value * 0.9, value * 1.5, value * 10, value / 10, 0.0, 0.01, 1.0, 3.7, 250.0)
    )


def _scaled(rng: Random, value: float) -> Any:
    factor = rng.choice((0, -1, 0.5, 2, 3, 10, 1000, 10**6, 10**9, 1e-6, 10**15))
    scaled = value * factor
    return int(scaled) if isinstance(value, int) else scaled


_PIECES = (
    "\t",
    "\x00",
    "\ufeff",
    "\r",
    "\r\n",
    "\n",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "!!python/object:os.system",
    "!!binary ",
    "|",
    ">",
    "---\n",
    "...\n",
    "? ",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "#",
    "%",
    "@",
    "`",
    "\\",
    '"\\e[31m"',
    '"\\ud800"',
    "~",
    ".nan",
    ".inf",
    "1e999",
    "0x" + "f" * 5000,
    "9" * 5000,
    ",",
    ";",
    "..",
    "=",
)


def text(rng: Random, original: str) -> str:
    """The text with pieces put in, cut out, doubled or swapped."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randint(0, len(original))
        until = min(len(original), at + rng.choice((0, 1, 1, 5, 30)))
        action = rng.random()
        if action < 0.5:
            original = original[:at] + rng.choice(_PIECES) + original[until:]
        elif action < 0.7:
            original = original[:at] + original[until:]
        elif action < 0.85:
            lines = original.splitlines(keepends=True)
            rng.shuffle(lines) if rng.random() < 0.2 else lines.insert(
                rng.randint(0, len(lines)), rng.choice(lines or [""])
            )
            original = "".join(lines)
        else:
            original = original[:at] + str(odd(rng)) + original[until:]
    return original


def encoded(rng: Random, original: str) -> bytes:
    """The text in UTF-8 or, seldom, in another encoding."""
    name = rng.choice(("utf-8",) * 12 + ("utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32"))
    return original.encode(name, "surrogatepass" if name.startswith("utf") else "replace")


def blob(rng: Random, original: bytes) -> bytes:
    """The bytes with some flipped, cut off, doubled or replaced."""
    data = bytearray(original)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not data:
            break
        at = rng.randrange(min(len(data), 2000) if rng.random() < 0.7 else len(data))
        action = rng.random()
        if action < 0.35:
            data[at] ^= 1 << rng.randrange(8)
        elif action < 0.6:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif action < 0.75:
            del data[at:]
        elif action < 0.85:
            del data[at : at + rng.choice((1, 4, 64))]
        else:
            data[at:at] = rng.choice((b"\0" * 8, b"\xff" * 8, data[at : at + 40]))
    return bytes(data)
