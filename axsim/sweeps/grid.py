"""The points of a sweep: every chip with every combination of the varied keys."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from axsim.chip import Chip, load_chip
from axsim.descriptor import load_mapping, split_overrides
from axsim.errors import InputError, Problem
from axsim.fingerprint import code_fingerprint, fingerprint
from axsim.located import scalar
from axsim.workload import Workload, load_workload

_RANGE = re.compile(r"(?P<low>[^.]+(?:\.\d+)?)\.\.(?P<high>[^:]+):(?P<count>\d+)")


@dataclass(frozen=True)
class Point:
    """One combination, with all that a worker on any machine needs to compute it.

    ``workload`` and ``chip`` are descriptors as JSON, ``settings`` a JSON object of overrides,
    those of the chip with the prefix ``chip.``; equal texts share what a process has made of them.
    ``chip_name`` is how the user calls the chip. ``variants`` chooses among the workload's.
    """

    workload: str
    chip: str
    chip_name: str
    settings: str
    variants: tuple[str, ...] | None = None
    timing_only: bool = False
    checkpoint: str | None = None

    @property
    def key(self) -> str:
        """Names the point's result: changes with anything that it depends on, the code included."""
        parts: list[object] = [self.workload, self.chip, self.chip_name, self.settings]
        parts += [self.variants, self.timing_only, self.checkpoint, code_fingerprint()]
        return fingerprint(parts)


def parse_vary(settings: Iterable[str]) -> dict[str, list[Any]]:
    """Key to list of values, from ``["build.vision_dtype=u8,u16", …]`` as the command line has it.

    Values are typed as YAML types them; ``low..high:count`` (``2133..4267:5``) is that many evenly
    spaced numbers, both ends included.

    Raises:
        InputError: a setting is no assignment, or its values are no list.
    """
    found: dict[str, list[Any]] = {}
    faults: list[Problem] = []
    for setting in settings:
        where = f"--vary {setting}"
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            allowed = "KEY=VALUE,VALUE,… or KEY=LOW..HIGH:COUNT"
            faults.append(Problem(where, "", "not an assignment", allowed))
        elif key in found:
            faults.append(Problem(where, key, "is varied twice", "all its values in one --vary"))
        else:
            try:
                values = [each for item in scalar(f"[{text}]") for each in _spread(item)]
            except InputError as error:
                faults.append(Problem(where, key, error.problems[0].what))
                continue
            found[key] = values
            if not values:
                faults.append(Problem(where, key, "has no values", "VALUE,VALUE,…"))
    if faults:
        raise InputError(faults)
    return found


def _spread(item: Any) -> list[Any]:
    """The numbers of a range, or the value itself."""
    match = _RANGE.fullmatch(item) if isinstance(item, str) else None
    if match is None:
        return [item]
    low, high, count = scalar(match["low"]), scalar(match["high"]), int(match["count"])
    if not all(isinstance(end, int | float) for end in (low, high)) or count < 1:
        return [item]
    if count == 1:
        return [low]
    values = [low + (high - low) * index / (count - 1) for index in range(count)]
    values[-1] = high
    return [int(each) if each == int(each) else each for each in values]


@dataclass(frozen=True)
class Space:
    """Every chip with every combination of the varied keys; points are made when asked for.

    ``workload`` and each chip's second part are descriptors as JSON.
    """

    workload: str
    chips: tuple[tuple[str, str], ...]
    vary: Mapping[str, tuple[Any, ...]]
    settings: Mapping[str, object]
    variants: tuple[str, ...] | None = None
    timing_only: bool = False
    checkpoint: str | None = None

    def __len__(self) -> int:
        return len(self.chips) * prod(map(len, self.vary.values()))

    def __iter__(self) -> Iterator[Point]:
        """All points, chips outermost, then the varied keys in their order."""
        for place in itertools.product(range(len(self.chips)), *map(_places, self.vary.values())):
            yield self.point(place)

    def point(self, place: Sequence[int]) -> Point:
        """The point at the position of the chip and of each varied key's value."""
        chip, *indices = place
        name, text = self.chips[chip]
        values = {key: self.vary[key][i] for key, i in zip(self.vary, indices, strict=True)}
        settings = json.dumps({**self.settings, **values}, ensure_ascii=False)
        return Point(
            self.workload, text, name, settings, self.variants, self.timing_only, self.checkpoint
        )


def space(
    workload: Workload | str | Path,
    chips: Sequence[Chip | str | Path],
    vary: Mapping[str, Sequence[Any]],
    *,
    settings: Mapping[str, object],
    variants: Sequence[str] | None = None,
    timing_only: bool = False,
    checkpoint: str | Path | None = None,
) -> Space:
    """What a sweep or a search is over.

    Raises:
        InputError: a descriptor is wrong, a key does not exist, or nothing is left to compute.
    """
    both = [key for key in vary if key in settings]
    if both:
        raise InputError(Problem(f"--vary {both[0]}", both[0], "is varied and set as well"))
    if not chips or not all(vary.values()):
        raise InputError("there is nothing to sweep: no chip, or a varied key without values")
    if not isinstance(workload, Workload):
        workload = load_workload(workload)
    for name in variants or ():
        workload.variant(name)
    named = [_named(chip) for chip in chips]
    _check_keys(workload, named[0][1], {key: values[0] for key, values in vary.items()})
    _check_keys(workload, named[0][1], settings)
    return Space(
        workload.model_dump_json(exclude_unset=True),
        tuple((name, chip.model_dump_json(exclude_unset=True)) for name, chip in named),
        {key: tuple(values) for key, values in vary.items()},
        dict(settings),
        None if variants is None else tuple(variants),
        timing_only,
        None if checkpoint is None else str(checkpoint),
    )


def grid(
    workload: Workload | str | Path,
    chips: Sequence[Chip | str | Path],
    vary: Mapping[str, Sequence[Any]],
    **options: Any,
) -> list[Point]:
    """All points of a :func:`space`, whose arguments these are."""
    return list(space(workload, chips, vary, **options))


def _places(values: Sequence[Any]) -> range:
    return range(len(values))


def _named(chip: Chip | str | Path) -> tuple[str, Chip]:
    return (chip.name, chip) if isinstance(chip, Chip) else (str(chip), load_chip(chip))


def _check_keys(workload: Workload, chip: Chip, settings: Mapping[str, object]) -> None:
    """Complain about keys that do not exist; a wrong value is the affair of its points."""
    chip_keys, keys = split_overrides(settings, "chip")
    faults: list[Problem] = []
    for instance, overrides, under in ((chip, chip_keys, "chip."), (workload, keys, "")):
        document = instance.model_dump(exclude_unset=True)
        for key, value in overrides.items():
            try:
                load_mapping(type(instance), document, "", {key: value}, under=under)
            except InputError as error:
                faults += [each for each in error.problems if "unknown key" in each.what]
    if faults:
        raise InputError(faults)
