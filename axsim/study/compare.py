"""What ``axsim compare`` compares: two chips, two workloads, or two files of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axsim.errors import InputError, Problem
from axsim.files import read_json
from axsim.runs.run import time_run
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import Overrides, find, split_overrides
from axsim.spec.workload import Workload, load_workload
from axsim.study.changes import Change, Timings, different, flatten, timings

Kind = Literal["chip", "workload", "result"]

Groups = Mapping[str, Mapping[str, Any]]
"""Variant, then name, to value."""

NUMERICS = ("vision_cosine", "logits_cosine", "graph_cosine")
OF_TEXT = ("perplexity", "kl_divergence", "top1_agreement")


@dataclass(frozen=True)
class Side:
    """One of the two: ``keys`` are a descriptor's, under one empty name, or the conditions of each
    variant's results; ``values`` are the results by variant, empty when nothing was run."""

    kind: Kind
    label: str
    keys: Groups
    values: Timings


def sides(
    first: str, second: str, chip: str | None, workload: str | None, overrides: Overrides
) -> tuple[Side, Side]:
    """Both sides, run on ``chip`` or with ``workload`` where that is given.

    Raises:
        InputError: a name is unknown, the two are of different kinds, or an option has no effect.
    """
    kinds = [kind_of(first), kind_of(second)]
    kind = kinds[0]
    if kinds[1] != kind:
        what = f"{first!r} is a {kinds[0]} and {second!r} a {kinds[1]}"
        raise InputError(Problem("", "", what, "two chips, two workloads or two results"))
    if kind != "workload" and chip is not None:
        raise InputError(Problem("--chip", "", "has no effect", "with two workloads"))
    if kind != "chip" and workload is not None:
        raise InputError(Problem("--workload", "", "has no effect", "with two chips"))
    if kind == "result":
        if overrides:
            raise InputError(Problem("--set", "", "has no effect on results that are there"))
        return result_side(first), result_side(second)
    make = _chip_side if kind == "chip" else _workload_side
    other = workload if kind == "chip" else chip
    return make(first, other, overrides), make(second, other, overrides)


def kind_of(name: str) -> Kind:
    """What a command-line argument means.

    Raises:
        InputError: nothing of that name.
    """
    if Path(name).suffix == ".json":
        return "result"
    faults: list[Problem] = []
    kinds: tuple[Literal["chip", "workload"], ...] = ("chip", "workload")
    for kind in kinds:
        try:
            path = find(kind, name)
        except InputError as error:
            faults += error.problems
            continue
        return "workload" if Workload.written(path).child("model") is not None else "chip"
    raise InputError(faults)


def result_side(name: str) -> Side:
    """A file of ``axsim run --json``.

    Raises:
        InputError: it cannot be read or is no such file.
    """
    try:
        document = read_json(Path(name))
        found = {each["name"]: _values(each) for each in document["variants"]}
        conditions = {
            each["name"]: flatten({key: each[key] for key in each if key not in RESULTS})
            | _asked(each)
            for each in document["variants"]
        }
        label = f"{document['workload']} on {document['chip']}"
        if not all(isinstance(each, str) for each in found):
            raise TypeError("a variant's name is a text")
    except (ValueError, KeyError, TypeError, AttributeError):
        what = "holds no results"
        raise InputError(Problem(name, "", what, "a file of axsim run --json")) from None
    return Side("result", label, conditions, found)


RESULTS = frozenset(
    {"name", "predictions", "preprocess_ms", "arrivals_ms", "turns", "breakdown", "numerics"}
    | {"memory"}
)
"""What is no condition in a variant's JSON."""
OF_TURNS = frozenset({"ttft_ms", "arrivals_ms", "tokens"})
"""What is no condition of a turn."""


def _asked(variant: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked in each turn of a conversation; nothing of one turn, whose keys stand
    beside."""
    turns = variant["turns"]
    asked = [{key: turn[key] for key in turn if key not in OF_TURNS} for turn in turns]
    return flatten({"turns": asked}) if len(turns) > 1 else {}


def _values(variant: Mapping[str, Any]) -> dict[str, float]:
    values = {name: each["value"] for name, each in variant["predictions"].items()}
    values["preprocess_ms"] = variant["preprocess_ms"]
    values["memory_bytes"] = variant["memory"]["total_bytes"]
    for number, turn in enumerate(variant["turns"][1:], start=2):
        values[f"turn {number} ttft_ms"] = turn["ttft_ms"]
    numerics = variant["numerics"] or {}
    text = numerics.get("text") or {}
    named = {key: numerics.get(key) for key in NUMERICS} | {key: text.get(key) for key in OF_TEXT}
    return values | {key: value for key, value in named.items() if value is not None}


def _chip_side(name: str, workload: str | None, overrides: Overrides) -> Side:
    chip_keys, keys = split_overrides(overrides, "chip")
    chip = load_chip(name, chip_keys)
    document = chip.model_dump(mode="json", exclude_unset=True)
    values = {}
    if workload is not None:
        values = timings(time_run(workload, chip, overrides=keys).to_rows())
    return Side("chip", name, {"": _keys(document)}, values)


def _workload_side(name: str, chip: str | None, overrides: Overrides) -> Side:
    chip_keys, keys = split_overrides(overrides, "chip")
    workload = load_workload(name, keys)
    document = workload.model_dump(mode="json", exclude_unset=True)
    values = {}
    if chip is not None:
        found = time_run(name, load_chip(chip, chip_keys), overrides=keys)
        values = timings(found.to_rows())
    return Side("workload", name, {"": _keys(document)}, values)


PROSE = ("description", "fixed", "borrowed", "rated")
"""Sections that say where numbers come from or what is advertised: nothing follows from them."""


def _keys(document: Mapping[str, Any]) -> dict[str, Any]:
    return flatten({key: value for key, value in document.items() if key not in PROSE})


def pair(first: Groups, second: Groups) -> tuple[Groups, Groups]:
    """Variants of one name belong together; two single ones do under any name."""
    if len(first) == len(second) == 1 and first.keys() != second.keys():
        name = " / ".join([*first, *second])
        return {name: next(iter(first.values()))}, {name: next(iter(second.values()))}
    return first, second


def shared(first: Groups, second: Groups) -> tuple[Groups, Groups]:
    """Only the variants that both have."""
    names = [name for name in first if name in second]
    return {name: first[name] for name in names}, {name: second[name] for name in names}


def by_group(changes: Iterable[Change]) -> list[Change]:
    """The groups in their order; in each, what differs most first and what is equal last."""
    groups: dict[str, list[Change]] = {}
    for each in changes:
        groups.setdefault(each.where, []).append(each)
    found = []
    for group in groups.values():
        found += [*different(group), *(each for each in group if each.before == each.after)]
    return found
