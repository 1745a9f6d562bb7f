"""A chip that is shared: its partitions, and the tenants with what they ask of it.

A scenario is one YAML file (``scenarios/``). Workloads, ONNX files and CSV files lie where it says,
as seen from there. What depends on a chip (whether it has such partitions, whether memory holds all
tenants) is checked when both are known, by :mod:`axsim.system.admission`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveFloat, PrivateAttr, model_validator

from axsim.errors import Fault, InputError, Problem, checked, path_of
from axsim.spec.chip import NpuMode
from axsim.spec.descriptor import (
    NO_OVERRIDES,
    Overrides,
    Section,
    document,
    find,
    load,
)
from axsim.spec.diagnosis import nearest
from axsim.spec.limits import too_long
from axsim.spec.located import Located, show
from axsim.spec.tenant import Tenant
from axsim.spec.workload import Workload, layered, load_workload


class Scenario(Section):
    """Tenants on one chip; see the module's text."""

    name: str = Field(min_length=1, description="how the scenario is called")
    description: str = Field("", description="what product this is")
    chip: str | None = Field(None, description="the chip when no other is named")
    duration_s: PositiveFloat = Field(10, description="simulated seconds in which requests come")
    seed: int = Field(0, ge=0, description="seed of arrivals at random")
    partitions: dict[str, NpuMode] = Field(
        {}, description="NPU modes by name; one npu of the chip's largest when not given"
    )
    tenants: dict[str, Tenant] = Field(min_length=1, description="who is on the chip, by name")

    _places: Located | None = PrivateAttr(None)

    def where(self, key: str) -> str:
        """File and line of a key, as far as they are known."""
        if self._places is None:
            return ""
        return self._places.nearest(path_of(key))[0].origin

    def problem(self, key: str, what: str, allowed: str = "", nearest: str = "") -> Problem:
        """Something that is wrong with one key."""
        return Problem(self.where(key), key, what, allowed, nearest)

    @property
    def models(self) -> dict[str, Tenant]:
        """The tenants that answer requests."""
        return {name: each for name, each in self.tenants.items() if each.workload is not None}

    def only(self, names: tuple[str, ...]) -> Scenario:
        """The scenario with some of its tenants."""
        kept = {name: each for name, each in self.tenants.items() if name in names}
        found = self.model_copy(update={"tenants": kept})
        found._places = self._places
        return found

    def with_origins(self, name: str) -> tuple[str, ...]:
        """A tenant and those whose finished requests become its own, one after the other."""
        found = [name]
        while (arrivals := self.tenants[found[-1]].arrivals) is not None and arrivals.after:
            found.append(arrivals.after)
        return tuple(found)

    @classmethod
    def prepare(cls, tree: Located, overrides: Overrides) -> None:
        """Files lie where the scenario's file says, as seen from there.

        Raises:
            InputError: an override is of a tenant that is not there.
        """
        super().prepare(tree, overrides)
        tenants = tree.child("tenants")
        names = list(tenants.value) if tenants and isinstance(tenants.value, dict) else []
        for key, value in overrides.items():
            section, *rest = key.split(".")
            if section == "tenants" and len(rest) > 1 and rest[0] not in names:
                where = f"--set {key}={value if isinstance(value, str) else show(value)}"
                what = f"unknown key: there is no tenant {rest[0]!r}"
                close = nearest(rest[0], names)
                raise InputError(Problem(where, key, what, ", ".join(names), close))
        for tenant in _children(tenants):
            _place(tenant.child("workload"))
            _place((tenant.child("arrivals") or tenant).child("csv"))

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        checked(self, too_long(self))
        return checked(self, self._faults())

    def _faults(self) -> Iterator[Fault]:
        for name, tenant in self.tenants.items():
            key = f"tenants.{name}"
            partitions = tuple(self.partitions) or ("npu",)
            if tenant.kind in ("workload", "npu"):
                if tenant.partition is None and len(partitions) > 1:
                    yield Fault(f"{key}.partition", "missing", ", ".join(partitions))
                elif tenant.partition is not None and tenant.partition not in partitions:
                    what = f"there is no partition {tenant.partition!r}"
                    yield Fault(f"{key}.partition", what, ", ".join(partitions))
            after = tenant.arrivals.after if tenant.arrivals else None
            if after is not None and after not in self.models:
                allowed = ", ".join(other for other in self.models if other != name)
                yield Fault(f"{key}.arrivals.after", f"there is no model {after!r}", allowed)
            elif after is not None and self._in_a_circle(name):
                yield Fault(f"{key}.arrivals.after", "the tenants wait for each other in a circle")

    def _in_a_circle(self, name: str) -> bool:
        seen, here = set[str](), name
        while here in self.models and here not in seen:
            seen.add(here)
            arrivals = self.tenants[here].arrivals
            here = (arrivals.after if arrivals else None) or ""
        return here in seen

    def workload(self, name: str, keys: Overrides = NO_OVERRIDES) -> Workload:
        """What a model's tenant deploys: its file, variant and keys, then ``keys``.

        Raises:
            InputError: as :func:`load_workload`, with the tenant's name.
        """
        tenant = self.tenants[name]
        assert tenant.workload is not None
        try:
            own = layered(tenant.set, keys)
            if tenant.variant is not None:
                return load_workload(tenant.workload, own, tenant.variant)
            return load_workload(tenant.workload, {**own, "variants": ()})
        except InputError as error:
            raise InputError(self._blame(name, each) for each in error.problems) from None

    def _blame(self, name: str, problem: Problem) -> Problem:
        """A problem of a tenant's workload, told at the tenant's key."""
        key, prefix = f"tenants.{name}.workload", "--set "
        if problem.where.startswith(prefix):
            key = f"tenants.{name}.set.{problem.where.removeprefix(prefix).partition('=')[0]}"
            where = self.where(key)
        else:
            where = problem.where or self.where(key)
        what = problem.what if key.endswith(problem.key) else f"{problem.key}: {problem.what}"
        return Problem(where, key, what.removeprefix(": "), problem.allowed, problem.nearest)


def load_scenario(name_or_path: str | Path, overrides: Overrides = NO_OVERRIDES) -> Scenario:
    """Find and load a scenario, and see that its workloads can be loaded.

    Raises:
        InputError: listing everything that is wrong.
    """
    source = find("scenario", name_or_path)
    scenario = load(Scenario, source, overrides)
    scenario._places = document(Scenario, source, overrides)
    problems: list[Problem] = []
    for name in scenario.models:
        try:
            scenario.workload(name)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return scenario


def _children(node: Located | None) -> list[Located]:
    return list(node.value.values()) if node is not None and isinstance(node.value, dict) else []


def _place(node: Located | None) -> None:
    """A path as seen from the working directory; the name of something shipped stays."""
    value: Any = node.value if node is not None else None
    if node is None or not isinstance(value, str):
        return
    folder = Path(node.origin.rpartition(":")[0]).parent
    if not Path(value).is_absolute() and (folder / value).is_file():
        node.value = str(folder / value)
