"""``axsim show``: one chip, board, workload or scenario, key by key."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axsim.cli.command import Command
from axsim.cli.options import CutNetworkOptions, JsonPath, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rich.table import Table

    from axsim.spec.describe import Line
    from axsim.spec.descriptor import Kind, Section
    from axsim.spec.workload import Workload


KINDS: tuple[Kind, ...] = ("chip", "board", "workload", "scenario")


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A chip, board, workload or scenario, by name or by file."
        ),
    ],
    network: CutNetworkOptions,
    settings: Settings = [],  # noqa: B006
    json_path: JsonPath = None,
) -> None:
    """Explain a chip, a board, a workload or a scenario, key by key.

    Every key, what it means, where its value comes from, and what follows from them all; of an ONNX
    file its inputs, outputs and operators, as they are deployed.
    """
    from axsim.cli.options import tell_ignored
    from axsim.cli.terminal.console import console
    from axsim.files import shortest, write_json
    from axsim.spec.describe import derived, explain
    from axsim.spec.descriptor import document, load, parse_overrides, split_overrides
    from axsim.spec.kinds import kind_of
    from axsim.spec.scenario import load_scenario
    from axsim.spec.workload import Workload

    kind, path = kind_of(name, KINDS)
    overrides: dict[str, object] = parse_overrides(settings) | network.keys
    under, cls = "", _descriptor_class(kind)
    if kind == "chip":
        below, other = split_overrides(overrides, "chip")
        overrides, under = {**other, **below}, "chip." if below else ""
    with network.told():
        instance = load(cls, path, overrides, under=under)
    tree = document(cls, path, overrides, under=under)
    if isinstance(instance, Workload) and instance.model.onnx is not None:
        lines, results = explain(instance, tree, [*_idle(), "variants"]), _contents(instance)
        tell_ignored(instance)
    else:
        lines, results = explain(instance, tree, skip=("variants",)), derived(instance)
    if kind == "scenario":
        load_scenario(path, overrides)  # its workloads too
        # a tenant is one of many things: what it is not goes unsaid
        lines = [line for line in lines if not line.depth or line.source != "default"]
    if json_path is not None:
        write_json(_document(kind, path, lines, results, instance), json_path)
        return
    screen = console()
    screen.print(f"{kind} {path.stem}: {shortest(path)}\n", soft_wrap=True)
    if tree.comment:
        screen.print(_paragraphs(tree.comment, screen.width) + "\n", soft_wrap=True)
    for text, style in _explained(lines, screen.width):
        screen.print(text, style=style, soft_wrap=True)
    if results:
        screen.print("\nFollows from these:")
        for text, style in _explained(results, screen.width):
            screen.print(text, style=style, soft_wrap=True)
    if isinstance(instance, Workload) and instance.variants:
        screen.print("\nVariants:")
        screen.print(_variants(instance))


def _idle() -> list[str]:
    """Keys that mean nothing to a network from an ONNX file."""
    from axsim.spec.workload import OF_NETWORKS, Workload

    found = ["model.vision", "model.projector", "model.decoder", "model.vocab_size"]
    for name, used in OF_NETWORKS.items():
        section = Workload.model_fields[name].annotation
        assert section is not None
        found += [f"{name}.{key}" for key in section.model_fields if key not in used]
    return found


def _contents(workload: Workload) -> list[Line]:
    """What an ONNX file holds, as it is deployed."""
    from axsim.compiler.partition import network_of
    from axsim.network.summary import summary
    from axsim.spec.describe import Line

    return [Line(0, *line, "") for line in summary(network_of(workload))]


def _descriptor_class(kind: Kind) -> type[Section]:
    if kind == "chip":
        from axsim.spec.chip import Chip

        return Chip
    if kind == "scenario":
        from axsim.spec.scenario import Scenario

        return Scenario
    if kind == "board":
        from axsim.spec.board import Board

        return Board
    from axsim.spec.workload import Workload

    return Workload


def _explained(lines: Iterable[Line], width: int) -> Iterator[tuple[str, str]]:
    """Keys and values, and under each what it means and where it comes from, with their styles."""
    from axsim.spec.located import show as as_yaml

    for line in lines:
        value = "" if line.heading else _plain(line.value, as_yaml(line.value))
        words = "; ".join(filter(None, (line.meaning, line.source)))
        indent = " " * 2 * line.depth
        yield _wrapped(f"{line.key}: {value}", width, indent, f"{indent}    "), ""
        if words:
            yield _wrapped(words, width, f"{indent}    ", f"{indent}    "), "dim"


def _wrapped(text: str, width: int, first: str, others: str) -> str:
    lines = textwrap.wrap(
        text,
        max(width, len(others) + 20),
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def _paragraphs(text: str, width: int) -> str:
    return "\n\n".join(_wrapped(part, width, "", "") for part in text.split("\n\n"))


def _plain(value: object, text: str) -> str:
    return value if isinstance(value, str) else "" if value is None else text


def _document(
    kind: Kind, path: Path, lines: Iterable[Line], results: Iterable[Line], instance: Section
) -> dict[str, Any]:
    """What is shown, as JSON types. Keys are dotted, as `--set` takes them."""
    keys: list[dict[str, Any]] = []
    parents: list[str] = []
    for line in lines:
        parents[line.depth :] = [line.key]
        if not line.heading:
            key = ".".join(parents)
            entry = {"key": key, "value": line.value, "meaning": line.meaning}
            keys.append({**entry, "source": line.source})
    found = {line.key: line.value for line in results}
    names = list(getattr(instance, "variant_names", ()))
    whole = {"kind": kind, "name": path.stem, "path": str(path), "keys": keys, "derived": found}
    return {**whole, "variants": names} if names else whole


def _variants(workload: Workload) -> Table:
    from rich.table import Table

    from axsim.models.config import size_text

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "image px", "vision", "weights", "prompt tokens", "prefill", "new"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for name, each in workload.expand().items():
        vision, text = each.model.vision is not None, each.model.decoder is not None
        table.add_row(
            name,
            f"{each.images} × {size_text(each.image_size)}" if vision else "",
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
    place=18,
)
