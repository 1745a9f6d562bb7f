"""Pydantic's validation errors in the words of the person who wrote the descriptor."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from axsim.errors import Fault, Faults, Problem
from axsim.spec.located import Key, Located, locate, show

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of names to values",
    "model": "a mapping of keys to values",
    "dataclass": "a mapping of keys to values",
    "none": "null",
    "finite": "a finite number",
}

_BOUNDS = {
    "greater_than": ("gt", "a number greater than"),
    "greater_than_equal": ("ge", "a number of at least"),
    "less_than": ("lt", "a number less than"),
    "less_than_equal": ("le", "a number of at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


def problems(error: ValidationError, cls: type, tree: Located) -> list[Problem]:
    """One :class:`Problem` for each fault that pydantic found, in the order of the keys.

    ``tree`` is the located document that was validated as ``cls``.
    """
    found: dict[tuple[str, str, str], Problem] = {}
    for item in error.errors(include_url=False):
        for problem in _translate(item, cls, tree):
            same = (problem.where, problem.key, problem.what)
            if same in found:  # the branches of a union complain one by one
                known = found[same]
                both = [known.allowed, problem.allowed] if known.allowed else [problem.allowed]
                merged = " or ".join(dict.fromkeys(part for part in both if part))
                problem = dataclasses.replace(known, allowed=merged)
            found[same] = problem
    return list(found.values())


def nearest(name: str, names: Iterable[str]) -> str:
    """The valid name that ``name`` was probably meant to be, or an empty string."""
    by_lower = {known.lower(): known for known in names}
    wanted = name.lower()
    matches = get_close_matches(wanted, by_lower, n=3, cutoff=0.6)
    part = [each for each in matches if each.startswith(wanted)]  # a name cut short
    part += [each for each in by_lower if len(wanted) > 2 and each.endswith(f"-{wanted}")]
    found = [*part, *matches]
    return by_lower[found[0]] if found else ""


def key_names(cls: Any, path: tuple[Key, ...] = ()) -> list[str]:
    """The keys that the descriptor class ``cls`` allows at ``path``; empty when any will do."""
    names: dict[str, None] = {}
    for model in _models_at(cls, path):
        names.update(dict.fromkeys(_fields(model)))
    return list(names)


def accepts(cls: Any, path: tuple[Key, ...], value: Any) -> bool:
    """Whether the key at ``path`` of the descriptor class ``cls`` can have ``value`` at all,
    whatever the other keys are; a key that does not exist has none."""
    *above, last = path
    sections = [
        each
        for each in _models_at(cls, tuple(above))
        if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    return not sections or any(_takes(each, str(last), value) for each in sections)


def _takes(section: type[BaseModel], key: str, value: Any) -> bool:
    try:
        section.model_validate({key: locate(value, "").plain()})
    except ValidationError as error:
        return all(item["loc"][:1] != (key,) for item in error.errors(include_url=False))
    return True


def _translate(item: Any, cls: type, tree: Located) -> Iterator[Problem]:
    path = _document_path(item["loc"], tree)
    kind = item["type"]
    error = item.get("ctx", {}).get("error")
    faults = (
        error.faults if isinstance(error, Faults) else (error,) if isinstance(error, Fault) else ()
    )
    if faults:
        for fault in faults:
            yield _blame(path, fault, tree)
        return
    here, depth = tree.nearest(path)
    value = show(here.plain())
    key = _dotted(path)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        names = key_names(cls, path[:-1])
        close = nearest(str(path[-1]), names)
        yield Problem(
            here.origin, key, f"unknown key (value found: {value})", ", ".join(names), close
        )
    elif kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        close = nearest(str(path[-1]), here.value if isinstance(here.value, dict) else ())
        instead = f", found {close!r} instead" if close else ""
        expected = _description(cls, path)
        yield Problem(here.origin, key, f"missing{instead}", expected)
    elif kind == "value_error":
        yield Problem(here.origin, key, str(error))
    else:
        allowed, close = _allowed(item, here.value if depth == len(path) else None)
        yield Problem(here.origin, key, f"found {value}", allowed, close)


def _blame(base: tuple[Key, ...], fault: Fault, tree: Located) -> Problem:
    path = base + fault.key
    here, _ = tree.nearest(path)
    what = fault.what
    for other in fault.also:
        place, depth = tree.nearest(base + other)
        shown = f" = {show(place.plain())}" if depth == len(base + other) else ""
        at = f" at {place.origin}" if place.origin else ""
        what += f" [{_dotted(base + other)}{shown}{at}]"
    return Problem(here.origin, _dotted(path), what, fault.allowed)


def _allowed(item: Any, value: Any) -> tuple[str, str]:
    kind, ctx = item["type"], item.get("ctx", {})
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {show(ctx[name])}", ""
    if kind in ("literal_error", "enum"):
        expected = ctx["expected"].replace(" or ", ", ")
        names = [name.strip("'\"") for name in expected.split(", ")]
        return ", ".join(names), nearest(str(value), names)
    if kind == "int_from_float":
        return "a whole number", ""
    if kind == "finite_number":
        return "a finite number", ""
    if kind == "string_too_short":
        return "text that is not empty", ""
    if kind == "string_pattern_mismatch":
        return f"text that matches {ctx['pattern']}", ""
    if kind in ("too_short", "too_long"):
        bound = ctx.get("min_length", ctx.get("max_length"))
        return f"{'at least' if kind == 'too_short' else 'at most'} {bound} entries", ""
    known = _KINDS.get(kind.split("_")[0]) if kind.endswith(("_type", "_required")) else None
    return known or str(item["msg"]).replace("Input should be", "").strip(), ""


def _document_path(loc: tuple[Key, ...], tree: Located) -> tuple[Key, ...]:
    """The part of pydantic's location that stands in the document.

    Pydantic adds the name of a union's branch as a step of its own; such a step is no key of the
    document, except for the last one, which may name a missing key.
    """
    path: list[Key] = []
    here: Located | None = tree
    for position, step in enumerate(loc):
        child = here.child(step) if here is not None else None
        if child is not None:
            here = child
        elif position < len(loc) - 1 or not (here and isinstance(here.value, dict)):
            continue
        path.append(step)
    return tuple(path)


def _dotted(path: tuple[Key, ...]) -> str:
    return ".".join(map(str, path))


def _fields(model: Any) -> dict[str, Any]:
    """Field name to annotation, of a pydantic model or a dataclass."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    hints = getattr(model, "__pydantic_fields__", None)  # resolved, once pydantic has seen it
    if hints:
        return {name: field.annotation for name, field in hints.items()}
    return {field.name: field.type for field in dataclasses.fields(model)}


def _models_at(annotation: Any, path: tuple[Key, ...]) -> Iterator[Any]:
    """The model classes that may stand at ``path`` below a type annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _models_at(get_args(annotation)[0], path)
    elif origin in (Union, types.UnionType):
        for branch in get_args(annotation):
            yield from _models_at(branch, path)
    elif origin in (tuple, list, dict) or (origin and hasattr(origin, "__getitem__")):
        inner = [arg for arg in get_args(annotation) if arg is not Ellipsis]
        if path and inner:
            yield from _models_at(inner[-1], path[1:])
    elif isinstance(annotation, type) and (
        issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
    ):
        if not path:
            yield annotation
        elif str(path[0]) in (fields := _fields(annotation)):
            yield from _models_at(fields[str(path[0])], path[1:])


def _description(cls: type, path: tuple[Key, ...]) -> str:
    """What a missing key would mean, from the field's description and its literal values."""
    for model in _models_at(cls, path[:-1]):
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(path[-1]))
            if field is None:
                continue
            if get_origin(field.annotation) is Literal:
                return ", ".join(map(str, get_args(field.annotation)))
            return field.description or ""
    return ""
