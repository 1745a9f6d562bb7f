"""``axsim show``: one chip, workload or scenario, key by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from axsim.cli.command import Command
from axsim.cli.options import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from axsim.spec.describe import Line
    from axsim.spec.descriptor import Kind, Section
    from axsim.spec.workload import Workload


def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A chip, workload or scenario, by name or by file."),
    ],
    settings: Settings = [],  # noqa: B006
) -> None:
    """Explain a chip, a workload or a scenario, key by key.

    Every key, what it means, where its value comes from, and what follows from them all.
    """
    from axsim.cli.terminal.console import console
    from axsim.spec.describe import derived, explain
    from axsim.spec.descriptor import document, load, parse_overrides, split_overrides
    from axsim.spec.kinds import kind_of
    from axsim.spec.scenario import load_scenario
    from axsim.spec.workload import Workload

    kind, path = kind_of(name, ("chip", "workload", "scenario"))
    overrides: dict[str, object] = parse_overrides(settings)
    under, cls = "", _descriptor_class(kind)
    if kind == "chip":
        below, other = split_overrides(overrides, "chip")
        overrides, under = {**other, **below}, "chip." if below else ""
    instance = load(cls, path, overrides, under=under)
    if kind == "scenario":
        load_scenario(path, overrides)  # its workloads too
    screen = console()
    tree = document(cls, path, overrides, under=under)
    screen.print(f"{kind} {path.stem}: {path}\n")
    if tree.comment:
        screen.print(f"{tree.comment}\n")
    lines = explain(instance, tree, skip=("variants",))
    if kind == "scenario":  # a tenant is one of many things: what it is not goes unsaid
        lines = [line for line in lines if line.heading or line.value is not None]
    screen.print(_table(lines))
    results = derived(instance)
    if results:
        screen.print("\nFollows from these:")
        screen.print(_table(results))
    if isinstance(instance, Workload) and instance.variants:
        screen.print("\nVariants:")
        screen.print(_variants(instance))


def _descriptor_class(kind: Kind) -> type[Section]:
    if kind == "chip":
        from axsim.spec.chip import Chip

        return Chip
    if kind == "scenario":
        from axsim.spec.scenario import Scenario

        return Scenario
    from axsim.spec.workload import Workload

    return Workload


def _table(lines: Iterable[Line]) -> Table:
    from rich.table import Table

    from axsim.spec.located import show as as_yaml

    table = Table(box=None, pad_edge=False)
    for heading in ("key", "value", "meaning", "source"):
        table.add_column(heading)
    for line in lines:
        value = "" if line.heading else _plain(line.value, as_yaml(line.value))
        table.add_row("  " * line.depth + line.key, value, line.meaning, line.source)
    return table


def _plain(value: object, text: str) -> str:
    return value if isinstance(value, str) else "" if value is None else text


def _variants(workload: Workload) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "image px", "vision", "weights", "prompt tokens", "prefill", "new"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for name, each in workload.expand().items():
        vision, text = each.model.vision is not None, each.model.decoder is not None
        table.add_row(
            name,
            f"{each.images} × {each.image_size}" if vision else "",
            each.build.vision_dtype if vision else "",
            each.build.weight_dtype if text else "",
            str(each.prompt_tokens) if text else "",
            f"{each.prefill_chunks} × {each.build.prefill_chunk}" if text else "",
            str(each.new_tokens) if text else "",
        )
    return table


SHOW = Command(
    "show",
    show,
    """
    axsim show ax630c
    axsim show internvl2_1b --set build.vision_dtype=u16
    axsim show camera_answers
    """,
    place=8,
)
