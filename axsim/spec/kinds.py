"""Which kind of descriptor a name or a file is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axsim.errors import InputError, Problem
from axsim.spec.descriptor import NETWORK_SUFFIX, TELLING, Kind, find, shipped
from axsim.spec.diagnosis import nearest
from axsim.spec.located import read
from axsim.spec.scenario import Scenario, load_scenario
from axsim.spec.workload import Workload, load_workload


def kind_of(name: str | Path, kinds: Sequence[Kind]) -> tuple[Kind, Path]:
    """The kind that is meant, one of ``kinds``, and its file.

    Raises:
        InputError: there is no such file; names the shipped ones and the nearest.
    """
    found: list[tuple[Kind, Path]] = []
    for kind in kinds:
        try:
            found.append((kind, find(kind, name)))
        except InputError:
            continue
    if len(found) == 1:
        return found[0]
    if found:  # a file of the user's own
        path = found[0][1]
        wanted: Kind = "workload"
        if path.suffix.lower() != NETWORK_SUFFIX:
            tree = read(path)
            telling: dict[str, Kind] = {**TELLING, "chip": "board"}
            wanted = next((telling[key] for key in telling if tree.child(key) is not None), "chip")
        return (wanted, path) if wanted in kinds else (kinds[0], path)
    names = [known for kind in kinds for known in shipped(kind)]
    files = "a YAML or ONNX file" if "chip" not in kinds else "a YAML file"
    what = f"no {', '.join(kinds)} or file is named {str(name)!r}"
    allowed = ", ".join([*names, f"the path of {files}"])
    raise InputError(Problem("", "", what, allowed, nearest(str(name), names)))


def load_either(name: str | Path) -> Workload | Scenario:
    """A workload or a scenario, whichever is meant.

    Raises:
        InputError: listing everything that is wrong.
    """
    kind, path = kind_of(name, ("workload", "scenario"))
    return load_scenario(path) if kind == "scenario" else load_workload(path)
