"""Descriptors of chips, workloads and scenarios: found, read, keys overridden, checked.

A descriptor is a YAML file validated by a pydantic class. Every fault ends as one
:class:`axsim.errors.InputError` that lists all of them, each with file and line (or the override
that set it), key, value found, what is allowed, and the valid name that was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from axsim.errors import InputError, Problem, path_of
from axsim.models.advice import advice
from axsim.spec import diagnosis
from axsim.spec.located import Located, display, locate, read, scalar, show

Kind: TypeAlias = Literal["chip", "board", "workload", "scenario"]
Overrides: TypeAlias = Mapping[str, object]
"""Dotted key to the value that replaces the descriptor's, in the order of application."""

NO_OVERRIDES: Overrides = {}

NETWORK_SUFFIX = ".onnx"
"""Of files that are a workload by themselves."""


class Section(BaseModel):
    """Base of every descriptor class: frozen, no unknown keys, no silent conversion of types.

    Lists are tuples. ``REPLACES`` maps a key to the keys of the *file* that an override of it
    drops, because they say the same in other words (a chip's rated TOPS and its MACs per cycle).
    Keys given in the same layer are never dropped: the class's validators check them for
    contradiction.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    REPLACES: ClassVar[dict[str, tuple[str, ...]]] = {}

    @classmethod
    def written(cls, source: Path) -> Located:
        """The document that a file holds."""
        return read(source)

    @classmethod
    def prepare(cls, tree: Located, overrides: Overrides) -> None:
        """Adapt the file's ``tree`` in place before ``overrides`` are merged into it."""
        for key in overrides:
            for knob, dropped in cls.REPLACES.items():
                if key == knob or key.startswith(f"{knob}."):
                    for other in dropped:
                        drop(tree, other)


S = TypeVar("S", bound=Section)

TELLING: Mapping[str, Kind] = {"tenants": "scenario", "model": "workload"}
"""Keys that only one kind of descriptor has."""


def load(cls: type[S], source: Path, overrides: Overrides = NO_OVERRIDES, *, under: str = "") -> S:
    """Read a descriptor file, merge ``overrides`` into it and validate it as ``cls``.

    ``under`` is the prefix that was cut from the keys of ``overrides`` (``"chip."``), so that
    messages cite them as the user wrote them.

    Raises:
        InputError: listing everything that is wrong.
    """
    tree = cls.written(source)
    for key, kind in TELLING.items():
        told = tree.child(key)
        known = key in cls.model_fields or cls.model_config.get("extra") != "forbid"
        if told is not None and not known:
            what = f"says that this is a {kind}"
            raise InputError(Problem(told.origin, key, what, f"a {cls.__name__.lower()}"))
    return _build(cls, tree, overrides, under)


def document(
    cls: type[Section], source: Path, overrides: Overrides = NO_OVERRIDES, *, under: str = ""
) -> Located:
    """The located document that :func:`load` validates with the same arguments.

    Raises:
        InputError: the file is no YAML mapping, or an override leads nowhere.
    """
    tree = cls.written(source)
    faults = _apply(cls, tree, overrides, under)
    if faults:
        raise InputError(faults)
    return tree


def load_mapping(
    cls: type[S],
    document: Mapping[str, object],
    name: str,
    overrides: Overrides = NO_OVERRIDES,
    *,
    under: str = "",
) -> S:
    """Like :func:`load`, from plain Python objects; messages cite them as ``name``."""
    return _build(cls, locate(document, name), overrides, under)


def override(instance: S, overrides: Overrides, name: str = "") -> S:
    """A copy of a descriptor with keys replaced and everything validated again.

    Messages cite the keys that were there before as ``name``, or not at all.

    Raises:
        InputError: as :func:`load` does.
    """
    document = instance.model_dump(exclude_unset=True)
    return _build(type(instance), locate(document, name), overrides, "")


def parse_overrides(settings: Iterable[str]) -> dict[str, object]:
    """``["build.vision_dtype=u16", …]`` from the command line, values typed as YAML types them.

    Raises:
        InputError: a setting without a key or "=", with a value that is no YAML, or of a key that
            another one sets.
    """
    result: dict[str, object] = {}
    faults: list[Problem] = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            where = f"--set {setting}"
            faults.append(Problem(where, "", "not an assignment", "KEY=VALUE, KEY dotted"))
            continue
        if not key.isprintable():
            what = "the key holds a control character"
            faults.append(Problem(f"--set {setting}", "", what))
            continue
        if key in result:
            faults.append(Problem(f"--set {setting}", key, "is set twice", "one value for a key"))
            continue
        try:
            result[key] = scalar(text)
        except InputError as error:
            what = error.problems[0].what
            faults.append(Problem(f"--set {setting}", key, what))
    if faults:
        raise InputError(faults)
    return result


def split_overrides(
    overrides: Overrides, prefix: str
) -> tuple[dict[str, object], dict[str, object]]:
    """Overrides under ``prefix.`` (with the prefix cut off), and the others.

    Raises:
        InputError: they are no mapping of keys to values.
    """
    if not isinstance(overrides, Mapping) or not all(isinstance(key, str) for key in overrides):
        allowed = "a mapping of dotted keys to values"
        raise InputError(Problem("", "overrides", f"found {show(overrides)}", allowed))
    dotted = f"{prefix}."
    inside = {k[len(dotted) :]: v for k, v in overrides.items() if k.startswith(dotted)}
    outside = {k: v for k, v in overrides.items() if not k.startswith(dotted)}
    return inside, outside


def data_folder(name: str) -> Path:
    """A shipped folder: inside the installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


def shipped(kind: Kind) -> dict[str, Path]:
    """Name to file of every descriptor that comes with axsim, in alphabetical order."""
    folder = data_folder(f"{kind}s")
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(kind: Kind, name_or_path: str | Path) -> Path:
    """The descriptor file meant by a shipped name, a path, or a clone's path of a shipped file.

    ``ax630c``, ``AX630C``, ``my/board.yaml`` and, from any folder, ``chips/ax630c.yaml``.

    Raises:
        InputError: there is no such file; names the shipped ones and the nearest.
    """
    if not isinstance(name_or_path, str | Path):
        what = f"found {show(name_or_path)}"
        raise InputError(Problem("", kind, what, f"a name, a path or a loaded {kind}"))
    path = Path(name_or_path)
    known = shipped(kind)
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    is_network = path.suffix.lower() == NETWORK_SUFFIX
    is_path = is_yaml or is_network or len(path.parts) > 1
    wanted = re.sub(r"[-.]", "_", (path.stem if is_yaml else path.name).lower())
    of_clone = path.parent.name == f"{kind}s"
    hint = advice(path) if kind == "workload" and not (is_yaml or is_network or of_clone) else ""
    if hint and path.exists():
        raise InputError(Problem("", "", f"{str(path)!r} is no workload; {hint}"))
    if is_path and path.is_file() and not (is_network and kind != "workload"):
        return path
    clone_path = not is_path or of_clone or not path.parent.name
    if clone_path and wanted in known:
        return known[wanted]
    here = Path(f"{path}.yaml")
    if not is_path and here.exists():
        raise InputError(
            Problem("", "", f"no shipped {kind} is named {str(path)!r}", nearest=display(here))
        )
    if is_network and kind != "workload":
        what = f"{str(path)!r} is a network, no {kind}"
    elif is_path or path.is_dir():
        what = f"{str(path)!r} is a folder" if path.is_dir() else f"no such file: {str(path)!r}"
    else:
        what = f"no {kind} is named {str(path)!r}"
    hint = hint or _elsewhere(kind, wanted)
    what = f"{what}; {hint}" if hint else what
    files = "a YAML or ONNX file" if kind == "workload" else "a YAML file"
    allowed = ", ".join([*known, f"the path of {files}"])
    raise InputError(Problem("", "", what, allowed, diagnosis.nearest(wanted, known)))


_COMMANDS: dict[Kind, str] = {"workload": "run", "scenario": "simulate"}


def _elsewhere(kind: Kind, name: str) -> str:
    """What a shipped thing of another kind is, and the command that takes it."""
    for other, command in _COMMANDS.items():
        if other != kind and name in shipped(other):
            return f"it is a {other}: axsim {command} {name}"
    return ""


def drop(tree: Located, key: str) -> None:
    """Remove a dotted key from a located document, if it is there."""
    *parents, last = path_of(key)
    holder, depth = tree.nearest(tuple(parents))
    if depth == len(parents) and isinstance(holder.value, dict):
        holder.value.pop(str(last), None)


def _build(cls: type[S], tree: Located, overrides: Overrides, under: str) -> S:
    faults = _apply(cls, tree, overrides, under)
    try:
        instance = cls.model_validate(tree.plain())
    except ValidationError as error:
        faults += diagnosis.problems(error, cls, tree)
    if faults:
        raise InputError(faults)
    return instance


def _apply(cls: type[Section], tree: Located, overrides: Overrides, under: str) -> list[Problem]:
    cls.prepare(tree, overrides)
    merged = [_merge(tree, key, value, under) for key, value in overrides.items()]
    return [problem for problem in merged if problem is not None]


def _merge(tree: Located, key: str, value: object, under: str) -> Problem | None:
    """Set one dotted key in ``tree``; a problem when the path leads through a plain value."""
    origin = f"--set {under}{key}={value if isinstance(value, str) else show(value)}"
    *parents, last = path_of(key)
    here = tree
    for position, step in enumerate(parents):
        child = here.child(step)
        if child is None and isinstance(here.value, dict):
            child = here.value[str(step)] = Located({}, origin)
        elif child is not None and child.value is None:
            child.value, child.origin = {}, origin
        if child is None or not isinstance(child.value, dict | list):
            so_far = ".".join(map(str, parents[: position + 1]))
            found = "no such entry" if child is None else f"found {show(child.plain())}"
            return Problem(origin, f"{under}{key}", f"{so_far} has no keys: {found}")
        here = child
    if isinstance(here.value, dict):
        here.value[str(last)] = locate(value, origin)
    elif isinstance(last, int) and last < len(here.value):
        here.value[last] = locate(value, origin)
    else:
        what = f"no entry {last} in a list of {len(here.value)}"
        return Problem(origin, f"{under}{key}", what, "a list position, counted from 0")
    return None
