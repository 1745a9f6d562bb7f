"""Pinned timings: a snapshot of predictions, and what has moved since.

A snapshot is a JSON file to be committed beside the workload that it pins. It holds the predicted
times and everything that they came from, so that a later check can name the cause of a change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, FiniteFloat, ValidationError

from axsim.errors import InputError, Problem
from axsim.files import read_json
from axsim.runs.run import time_run
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import (
    NETWORK_SUFFIX,
    NO_OVERRIDES,
    Overrides,
    find,
    shipped,
    split_overrides,
)
from axsim.spec.percentage import percent_text
from axsim.spec.workload import Workload, load_workload
from axsim.study.changes import Change, compare_groups, different, flatten, timings
from axsim.study.fingerprint import code_fingerprint, file_fingerprint

FORMAT = "axsim-snapshot-1"
FILES = ("model.onnx", "build.pulsar2")
"""Keys of workloads that are paths."""


@dataclass(frozen=True)
class Check:
    """The differences between a baseline and now.

    ``moved`` are times beyond the tolerance and those that only one side has, the largest first;
    ``within`` are the smaller differences. ``causes`` are changed keys of the chip and the
    workload, and the version of axsim and its code.
    """

    tolerance: float
    moved: tuple[Change, ...]
    within: tuple[Change, ...]
    causes: tuple[Change, ...]

    @property
    def ok(self) -> bool:
        """Nothing has moved beyond the tolerance."""
        return not self.moved

    def __str__(self) -> str:
        if self.ok:
            return f"no time has moved by more than {percent_text(self.tolerance)}"
        lines = [
            f"{each.where}: {each.name} was {_number(each.before)}, is {_number(each.after)}"
            + (f" ({each.ratio:+.2%})" if each.ratio is not None else "")
            for each in self.moved
        ]
        causes = [f"{each.name}: {each.before} -> {each.after}" for each in self.causes]
        return "\n".join([*lines, "changed since the baseline:", *(causes or ["nothing"])])


def snapshot(
    workload: str | Path,
    chips: Sequence[str | Path],
    *,
    variants: Sequence[str] | None = None,
    overrides: Overrides = NO_OVERRIDES,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Times of every variant on every chip and what they come from, as JSON types.

    Paths of files are kept relative to ``folder``, where the snapshot will be.

    Raises:
        InputError: a descriptor, key or variant is wrong.
    """
    chip_keys, keys = split_overrides(overrides, "chip")
    base = load_workload(workload, keys)
    parameters = {"workload": _parameters(base.model_dump_json(exclude_unset=True))}
    parameters["workload"] |= _files(base, folder)
    found: dict[str, dict[str, float]] = {}
    names = []
    for each in chips:
        name = _kept(each, "chip", folder)
        names.append(name)
        chip = load_chip(each, chip_keys)
        parameters[f"chip {name}"] = _parameters(chip.model_dump_json(exclude_unset=True))
        rows = time_run(workload, chip, variants=variants, overrides=keys).to_rows()
        found |= {f"{name} {variant}": times for variant, times in timings(rows).items()}
    return {
        "format": FORMAT,
        "axsim": {"version": version("axsim"), "code": code_fingerprint()},
        "asked": {
            "workload": _kept(workload, "workload", folder),
            "chips": names,
            "variants": None if variants is None else list(variants),
            "overrides": {
                key: _relative(str(value), folder) if key in FILES else value
                for key, value in json.loads(json.dumps(dict(overrides))).items()
            },
        },
        "timings": found,
        "parameters": parameters,
    }


def check(baseline: str | Path, tolerance: float) -> Check:
    """Predict again what the snapshot in the file ``baseline`` asked for, and compare.

    ``tolerance`` is a fraction.

    Raises:
        InputError: the file is no snapshot, or what it names is gone.
    """
    path = Path(baseline)
    before = load_snapshot(path)
    asked = before["asked"]
    after = snapshot(
        _found(asked["workload"], path.parent),
        [_found(each, path.parent) for each in asked["chips"]],
        variants=asked["variants"],
        overrides={
            key: str(path.parent / value) if key in FILES else value
            for key, value in asked["overrides"].items()
        },
        folder=path.parent,
    )
    return compare_snapshots(before, after, tolerance)


def compare_snapshots(
    before: Mapping[str, Any], after: Mapping[str, Any], tolerance: float
) -> Check:
    """What has moved between two snapshots, by more than ``tolerance`` as a fraction."""
    times = different(compare_groups(before["timings"], after["timings"]))
    moved = [each for each in times if each.ratio is None or abs(each.ratio) > tolerance]
    within = [each for each in times if each not in moved]
    sources = [
        {"axsim": each["axsim"], "asked": flatten(each["asked"]), **each["parameters"]}
        for each in (before, after)
    ]
    causes = [
        Change(each.where, f"{each.where} {each.name}", each.before, each.after)
        for each in compare_groups(*sources)
        if each.before != each.after
    ]
    return Check(tolerance, tuple(moved), tuple(within), tuple(causes))


def load_snapshot(path: Path) -> dict[str, Any]:
    """Read a snapshot.

    Raises:
        InputError: the file cannot be read or is no snapshot.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        what = "is no snapshot of this version"
        raise InputError(Problem(str(path), "", what, "a file of axsim snapshot"))
    try:
        _Snapshot.model_validate(document)
    except ValidationError as error:
        raise InputError(
            Problem(str(path), ".".join(map(str, item["loc"])), f"is damaged: {item['msg']}")
            for item in error.errors(include_url=False)
        ) from None
    return document


class _Asked(BaseModel):
    workload: str
    chips: list[str]
    variants: list[str] | None
    overrides: dict[str, Any]


class _Snapshot(BaseModel):
    """What :func:`snapshot` makes."""

    axsim: dict[str, str]
    asked: _Asked
    timings: dict[str, dict[str, FiniteFloat]]
    parameters: dict[str, dict[str, Any]]


def _parameters(document: str) -> dict[str, Any]:
    found = flatten(json.loads(document))
    return {key: value for key, value in found.items() if key != "description"}


def _kept(source: str | Path, kind: Any, folder: Path | None) -> str:
    """A shipped name as it is; a file relative to ``folder``."""
    path = find(kind, source)
    return path.stem if path in shipped(kind).values() else _relative(path, folder)


def _relative(path: str | Path, folder: Path | None) -> str:
    return Path(os.path.relpath(path, folder or Path.cwd())).as_posix()


def _files(workload: Workload, folder: Path | None) -> dict[str, str]:
    """What a workload names by path: the places relative to ``folder``, and hashes of the files."""
    named = zip(FILES, (workload.model.onnx, workload.build.pulsar2), strict=True)
    found = {}
    for key, file in named:
        if file is not None:
            found[key] = _relative(file, folder)
            found[f"{key} sha256"] = file_fingerprint(file)
    return found


def _found(source: str, folder: Path) -> str | Path:
    """The inverse of :func:`_kept`."""
    here = folder / source
    is_file = source.endswith((".yaml", ".yml", NETWORK_SUFFIX)) and here.is_file()
    return here if is_file else source


def _number(value: Any) -> str:
    return (
        "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    )
