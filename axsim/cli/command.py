"""What a file of this folder says about its command, for :mod:`axsim.cli.app` to find."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from typing import Any, get_args, get_type_hints

from typer.core import TyperCommand


@dataclass(frozen=True)
class Command:
    """``axsim NAME``, done by ``function``, whose docstring is the help text.

    ``examples`` can be pasted: one a line, or several lines joined by backslashes. ``place`` is
    where the list of commands has it; those without one come last, by name. A parameter of
    ``function`` whose type is a dataclass stands for an option each of its fields: commands share
    options so. With ``passes_arguments``, everything behind the first argument is an argument, too,
    even if it looks like an option.
    """

    name: str
    function: Callable[..., None]
    examples: str
    place: int = 1000
    passes_arguments: bool = False

    @property
    def context_settings(self) -> dict[str, Any]:
        """How the command line is read."""
        return {"allow_interspersed_args": False} if self.passes_arguments else {}

    @property
    def epilog(self) -> str:
        """The end of the help text."""
        lines = inspect.cleandoc(self.examples).splitlines()
        several = sum(not line.startswith(" ") for line in lines) > 1
        heading = "Examples:" if several else "Example:"
        return "\n".join(["\b", heading, *(f"  {line}" for line in lines)])


class Once(TyperCommand):
    """Refuses an option that is given twice and holds one value, of which the last would win
    without a word, and an empty path, which would be the folder that one is in."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What the words of the command line stand for."""
        values, _, given = self.make_parser(ctx).parse_args(args=list(args))
        seen: list[Any] = []
        for parameter in given:
            single = parameter.param_type_name == "option" and not parameter.multiple
            if single and parameter in seen and not parameter.is_eager:
                ctx.fail(f"{parameter.opts[0]} is given twice; it takes one value")
            seen.append(parameter)
            value = values[parameter.name]
            if takes_path(parameter) and "" in (value if parameter.multiple else [value]):
                ctx.fail(f"{parameter.opts[0]} is given an empty path; it takes a name")
        return super().parse_args(ctx, args)


def takes_path(parameter: Any) -> bool:
    """Whether an option's value is a file or a folder, as its help says."""
    return (
        parameter.param_type_name == "option"
        and re.match("FILE|DIR", parameter.metavar or "") is not None
    )


def flattened(function: Callable[..., None]) -> Callable[..., None]:
    """``function`` as typer reads it: the fields of dataclass parameters are in their place."""
    given = get_type_hints(function, include_extras=True)
    hints: dict[str, Any] = {name: _annotated(hint) for name, hint in given.items()}
    shared = [name for name, hint in hints.items() if is_dataclass(hint)]
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in shared:
            parameters += _options(hints[parameter.name])
        else:
            parameters.append(_option(parameter.name, hints[parameter.name], parameter.default))

    @wraps(function)
    def call(**values: Any) -> None:
        for name in shared:
            cls = hints[name]
            values[name] = cls(**{f.name: values.pop(f.name) for f in fields(cls)})
        function(**values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


def _annotated(hint: Any) -> Any:
    """``hint`` without the Optional that Python 3.10 puts around it where the default is None: what
    typer reads would be hidden inside."""
    inside = get_args(hint)
    return inside[0] if inside and hasattr(inside[0], "__metadata__") else hint


def _options(cls: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(cls, include_extras=True)
    return [_option(f.name, hints[f.name], _default(f)) for f in fields(cls)]


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default
