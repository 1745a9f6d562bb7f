"""What a report is made of: a run with its explanations, validation, assumptions and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from axsim.errors import InputError
from axsim.fidelity.ledger import shipped_networks
from axsim.fidelity.validate import Validation, validate
from axsim.runs.results import RunResult
from axsim.show.report.drawings import draw
from axsim.show.report.markup import Html
from axsim.spec.chip import Chip, load_chip
from axsim.spec.describe import Line, explain
from axsim.spec.descriptor import (
    NO_OVERRIDES,
    Overrides,
    Section,
    document,
    find,
    shipped,
    split_overrides,
)
from axsim.spec.located import Located, locate, show
from axsim.spec.scenario import Scenario
from axsim.spec.workload import Workload
from axsim.study.explain import Explanation
from axsim.study.explain import explain as explain_variant

D = TypeVar("D", Chip, Workload)


class Assumption(NamedTuple):
    """One key of a descriptor. ``values`` has the value of each variant, one when they agree;
    ``variants`` says that the variants set it. ``path`` leads to it from the document's root."""

    path: tuple[str, ...]
    values: tuple[str, ...]
    meaning: str
    source: str
    heading: bool
    variants: bool


@dataclass(frozen=True)
class Described:
    """A descriptor, key by key; ``comment`` is what its file begins with: the list of sources."""

    name: str
    comment: str
    lines: tuple[Assumption, ...]


@dataclass(frozen=True)
class Report:
    """Everything on the page.

    ``explanations`` are those of the result's variants, in their order. ``validation`` predicts the
    ledger's rows of ``validated``: the chip as it is shipped, which is not the run's own when that
    ``differs``; None when the ledger has no rows of it.
    ``command`` makes the same report again. ``answers`` are the variants' to the ``question``.
    """

    result: RunResult
    explanations: tuple[Explanation, ...]
    validation: Validation | None
    differs: bool
    chip: Described
    workload: Described
    pictures: Mapping[str, Html]
    command: str
    question: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)

    @property
    def chip_of_run(self) -> Chip:
        """The chip that the run was compiled for."""
        return self.result[0].chip

    @property
    def synthetic(self) -> bool:
        """Whether any numeric result comes from synthetic weights."""
        return any(each.numerics is not None and each.numerics.synthetic for each in self.result)


def gather(
    result: RunResult,
    workload: Workload | str | Path,
    chip: Chip | str | Path,
    overrides: Overrides = NO_OVERRIDES,
    command: str = "",
) -> Report:
    """The report of ``result``, which a run of these arguments gave.

    Explains every variant and predicts the ledger's rows of the chip, those of networks for a
    network.

    Raises:
        InputError: a descriptor can't be read any more.
    """
    chip_keys, keys = split_overrides(overrides, "chip")
    of_run = result[0].chip
    silicon, differs = _silicon(of_run)
    validation = None
    if silicon is not None:
        try:
            network = result[0].workload.model.onnx is not None
            validation = validate(shipped_networks() if network else None, chip=silicon)
        except InputError:  # the ledger has no rows of it
            validation = None
    return Report(
        result=result,
        explanations=tuple(explain_variant(each) for each in result),
        validation=validation,
        differs=differs,
        chip=described(of_run, _tree(Chip, "chip", chip, chip_keys, "chip."), [of_run], ()),
        workload=_workload(result, workload, keys),
        pictures=draw(result, validation),
        command=command,
    )


def _silicon(chip: Chip) -> tuple[Chip | None, bool]:
    """The shipped chip of the same name, and whether ``chip`` differs from it."""
    path = shipped("chip").get(chip.name)
    if path is None:
        return chip, False
    there = load_chip(path)
    return there, there != chip


def _workload(
    result: RunResult, source: Workload | str | Path, keys: Mapping[str, object]
) -> Described:
    tree = _tree(Workload, "workload", source, keys, "")
    run = [each.workload for each in result]
    own = [key for each in result for key in each.settings if key not in keys]
    return described(run[0], tree, run, tuple(dict.fromkeys(own)))


def _tree(
    cls: type[D], kind: str, source: D | str | Path, keys: Mapping[str, object], under: str
) -> Located:
    """The document that ``source`` was made from."""
    if isinstance(source, str | Path):
        path = find("chip" if kind == "chip" else "workload", source)
        return document(cls, path, keys, under=under)
    return locate(source.model_dump(exclude_unset=True), "")


def described(
    first: Chip | Workload | Scenario, tree: Located, each: Sequence[Section], own: Sequence[str]
) -> Described:
    """Key by key, with the values of every one of ``each``; ``own`` are the keys that variants
    set."""
    merged: dict[tuple[str, ...], Assumption] = {}
    for section in each:
        for path, line in _with_paths(explain(section, tree, skip=("variants",))):
            value = () if line.heading else (_text(line.value),)
            known = merged.get(path)
            if known is None:
                dotted = ".".join(path)
                chosen = any(dotted == key or dotted.startswith(f"{key}.") for key in own)
                merged[path] = Assumption(
                    path, value, line.meaning, line.source, line.heading, chosen
                )
            else:
                values = tuple(dict.fromkeys((*known.values, *value)))
                merged[path] = known._replace(values=values)
    return Described(first.name, tree.comment, tuple(merged.values()))


def _with_paths(lines: Sequence[Line]) -> list[tuple[tuple[str, ...], Line]]:
    """Each line with the keys that lead to it."""
    found, path = [], list[str]()
    for line in lines:
        path[line.depth :] = [line.key]
        found.append((tuple(path), line))
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else "not given" if value is None else show(value)
