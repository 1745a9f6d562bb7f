"""``axsim show``: one chip or workload, key by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from axsim.cli.command import Command
from axsim.cli.options import CutNetworkOptions, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.table import Table

    from axsim.spec.describe import Line
    from axsim.spec.descriptor import Kind, Section
    from axsim.spec.workload import Workload


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A chip or a workload, by name or by file.")
    ],
    network: CutNetworkOptions,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Explain a chip or a workload, key by key.

    Every key, what it means, where its value comes from, and what follows from them all; of an ONNX
    file also its inputs, outputs and operators, as they are deployed.
    """
    from axsim.cli.options import tell_ignored
    from axsim.cli.terminal.console import console
    from axsim.spec.describe import derived, explain
    from axsim.spec.descriptor import document, load, parse_overrides, split_overrides
    from axsim.spec.workload import Workload

    kind, path = _find(name)
    overrides: dict[str, object] = parse_overrides(settings) | network.keys
    under, cls = "", _descriptor_class(kind)
    if kind == "chip":
        below, other = split_overrides(overrides, "chip")
        overrides, under = {**other, **below}, "chip." if below else ""
    with network.told():
        instance = load(cls, path, overrides, under=under)
    is_network = isinstance(instance, Workload) and instance.model.onnx is not None
    contents = _contents(instance) if isinstance(instance, Workload) and is_network else None
    screen = console()
    tree = document(cls, path, overrides, under=under)
    screen.print(f"{kind} {path.stem}: {path}\n")
    if tree.comment:
        screen.print(f"{tree.comment}\n")
    skip = [*_idle(), "variants"] if is_network else ["variants"]
    screen.print(_table(explain(instance, tree, skip)))
    results = [] if is_network else derived(instance)
    if contents is not None:
        screen.print("\nAs deployed:")
        screen.print(contents)
    if isinstance(instance, Workload):
        tell_ignored(instance)
    if results:
        screen.print("\nFollows from these:")
        screen.print(_table(results))
    if isinstance(instance, Workload) and instance.variants:
        screen.print("\nVariants:")
        screen.print(_variants(instance))


def _find(name: str) -> tuple[Kind, Path]:
    """Which kind of descriptor is meant, and its file."""
    from axsim.errors import InputError, Problem
    from axsim.spec.descriptor import find, shipped
    from axsim.spec.diagnosis import nearest
    from axsim.spec.located import read

    found: list[tuple[Kind, Path]] = []
    for kind in ("chip", "workload"):
        try:
            found.append((kind, find(kind, name)))
        except InputError:
            continue
    if len(found) == 1:
        return found[0]
    if found:  # a file of the user's own: a workload has a model
        return found[read(found[0][1]).child("model") is not None]
    names = [*shipped("chip"), *shipped("workload")]
    allowed = ", ".join([*names, "the path of a YAML or ONNX file"])
    what = f"no chip, workload or file is named {name!r}"
    raise InputError(Problem("", "", what, allowed, nearest(name, names)))


def _descriptor_class(kind: Kind) -> type[Section]:
    if kind == "chip":
        from axsim.spec.chip import Chip

        return Chip
    from axsim.spec.workload import Workload

    return Workload


def _idle() -> list[str]:
    """Keys that mean nothing to a network from an ONNX file."""
    from axsim.spec.workload import OF_NETWORKS, Workload

    found = ["model.vision", "model.projector", "model.decoder", "model.vocab_size"]
    for name, used in OF_NETWORKS.items():
        section = Workload.model_fields[name].annotation
        assert section is not None
        found += [f"{name}.{key}" for key in section.model_fields if key not in used]
    return found


def _contents(workload: Workload) -> Table:
    from rich.table import Table

    from axsim.compiler.partition import network_of
    from axsim.network.summary import summary

    table = Table(box=None, pad_edge=False, show_header=False)
    for line in summary(network_of(workload)):
        table.add_row(*line)
    return table


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
    """,
    place=8,
)
