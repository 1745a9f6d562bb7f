"""One meaning for each colour, seen by everybody: simulated greyscale and red-green blindness."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest

from axsim.compiler.program import KINDS
from axsim.show.palette import MEMORY, RESOURCES, STAGES, TASKS, TRACE, TRANSFERS, Fill, lifted

SETS: dict[str, Mapping[str, Fill]] = {
    "what a stage waits for": RESOURCES,
    "tasks": TASKS,
    "stages": STAGES,
    "memory": MEMORY,
}
"""What stands side by side in one picture."""

BLIND = {
    "none": np.eye(3),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]),
}  # fmt: skip
"""What is left of linear RGB at full severity: Machado, Oliveira and Fernandes (2009), table 1."""
TO_XYZ = np.array([
    [0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]
])  # fmt: skip
"""IEC 61966-2-1, sRGB to CIE XYZ under D65."""


def lab(color: str, blind: str = "none") -> np.ndarray:
    """CIE L*a*b* of a colour as somebody sees it."""
    parts = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    linear = np.clip(BLIND[blind] @ linear, 0, 1)
    xyz = TO_XYZ @ linear / np.array([0.9505, 1, 1.089])
    cube = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * cube[1] - 16, 500 * (cube[0] - cube[1]), 200 * (cube[1] - cube[2])])


@pytest.mark.parametrize("dark", [False, True], ids=["light page", "dark page"])
@pytest.mark.parametrize("name", SETS)
def test_fills_of_a_picture_differ_for_everybody(name: str, dark: bool) -> None:
    """By hatch, or by 10 of lightness for greyscale and by 13 in all for the red-green blind (2.3
    can just be noticed)."""
    for (one, a), (other, b) in combinations(SETS[name].items(), 2):
        if a.hatch != b.hatch:
            continue
        first, second = (lifted(fill.color) if dark else fill.color for fill in (a, b))
        lightness = abs(lab(first)[0] - lab(second)[0])
        assert lightness > (5 if dark else 10), (one, other)
        for blind in BLIND:
            apart = np.linalg.norm(lab(first, blind) - lab(second, blind))
            assert apart > 13, (one, other, blind)


def test_a_colour_has_one_meaning() -> None:
    """Another name may have a colour only where it is the same thing: what is shared, and why,
    stands here."""
    same = [
        {"host", "preprocess", "embedding"},  # the CPU
        {"decode", "layers"},  # weights of the stage that needs them
        {"ld:input", "kv"},  # the KV cache is read as inputs
    ]
    names: dict[str, set[str]] = {}
    for fills in (RESOURCES, TRANSFERS, STAGES, MEMORY):
        for name, fill in fills.items():
            names.setdefault(fill.color, set()).add(name)
    for found in names.values():
        assert len(found) == 1 or found in same
    for one, other in combinations(names, 2):
        assert np.linalg.norm(lab(one) - lab(other)) > 8, (names[one], names[other])


def test_text_can_be_read_on_its_fill() -> None:
    """4.5 to 1, as WCAG 2.2 asks (1.4.3)."""
    for fills in SETS.values():
        for name, fill in fills.items():
            shade = ((lab(fill.color)[0] + 16) / 116) ** 3
            dark, light = sorted([shade, float(fill.text == "white")])
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_every_kind_of_task_has_a_colour() -> None:
    assert {*TRANSFERS, "compute"} == set(KINDS)
    assert set(TRACE) == set(TRANSFERS)
    assert {"CONV compute", "TENG compute"} | set(TRANSFERS) == set(TASKS)
