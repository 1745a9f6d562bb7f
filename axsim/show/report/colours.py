"""The palette as a style sheet: a class for everything that has a colour on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from axsim.show.palette import ACCENT, INK, MEMORY, RESOURCES, TRANSFERS, Fill, lifted

CLASSES: dict[str, Mapping[str, Fill]] = {"r": RESOURCES, "t": TRANSFERS, "m": MEMORY}
"""By the first letter of their classes: what a stage waits for, transfers, parts of the memory."""

HATCHES = {
    "/": "repeating-linear-gradient(135deg, {line} 0 1px, transparent 1px 4px)",
    "\\": "repeating-linear-gradient(45deg, {line} 0 1px, transparent 1px 4px)",
    "-": "repeating-linear-gradient(0deg, {line} 0 1px, transparent 1px 4px)",
    ".": "radial-gradient({line} 0.8px, transparent 1px) 0 0 / 4px 4px",
}
"""Matplotlib's hatches in CSS, by their character."""
LINES = {"white": "#fffc", "black": "#0008"}
"""Colour of a hatch by that of text on the fill."""


def css_class(letter: str, name: str) -> str:
    """The class of a thing of :data:`CLASSES`: ``t-ld-param``."""
    return f"{letter}-{name.replace(':', '-').replace('_', '-')}"


def style() -> str:
    """The rules."""
    return "\n".join(_rules())


def _rules() -> Iterator[str]:
    yield f":root {{ --accent: light-dark({INK}, #9db9d8); --mark: {ACCENT}; }}"
    for letter, fills in CLASSES.items():
        for name, fill in fills.items():
            ground = f"light-dark({fill.color}, {lifted(fill.color)})"
            rule = f"background: {ground}; color: {fill.text};"
            if fill.hatch:
                image = HATCHES[fill.hatch[0]].format(line=LINES[fill.text])
                rule = rule.replace("background: ", f"background: {image}, ")
            yield f".{css_class(letter, name)} {{ {rule} }}"
