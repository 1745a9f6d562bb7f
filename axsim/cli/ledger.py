"""``axsim ledger``: measurements of one's own boards."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import ChipName, Settings, VariantName
from axsim.cli.terminal.outputs import will_write, written_as

if TYPE_CHECKING:
    from axsim.fidelity.board_logs import Found
    from axsim.fidelity.ledger import Measurement
    from axsim.spec.workload import Workload


class Action(str, Enum):
    """What is done with a ledger."""

    import_ = "import"


class VisionType(str, Enum):
    """Activations of a vision part."""

    u8 = "u8"
    u16 = "u16"
    bf16 = "bf16"


class WeightType(str, Enum):
    """Weights of a decoder."""

    s8 = "s8"
    s4 = "s4"
    bf16 = "bf16"


class Mode(str, Enum):
    """NPU modes."""

    NPU1 = "NPU1"
    NPU2 = "NPU2"
    NPU3 = "NPU3"


@dataclass(frozen=True)
class Conditions:
    """How it was measured, where neither the log nor the workload tells."""

    model: Annotated[
        Optional[str],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(metavar="NAME", help="The model's name, as `axsim validate` knows it."),
    ] = None
    image_size: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="PIXELS", help="Of pictures."),
    ] = None
    vision_dtype: Annotated[
        Optional[VisionType],  # noqa: UP045
        typer.Option(help="Activations of the vision part."),
    ] = None
    weight_dtype: Annotated[
        Optional[WeightType],  # noqa: UP045
        typer.Option(help="Weights of the decoder."),
    ] = None
    prefill_chunk: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="N", help="Prompt tokens of a prefill call."),
    ] = None
    kv_cache_len: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="N", help="Tokens that the compiled KV cache holds."),
    ] = None
    npu_mode: Annotated[
        Optional[Mode],  # noqa: UP045
        typer.Option(help="NPU mode of the build."),
    ] = None
    toolchain: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="The compiler, such as pulsar2-3.3."),
    ] = None
    float_matmul_on_conv: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--float-matmul-on-conv", help="The build has this flag of the vendor's."),
    ] = None
    card: Annotated[bool, typer.Option("--card", help="The chip is on a card behind PCIe.")] = False

    @property
    def given(self) -> dict[str, Any]:
        """The conditions by column of a ledger."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        named["link"] = "pcie" if named.pop("card") else None
        given = {key: value for key, value in named.items() if value is not None}
        return {k: v.value if isinstance(v, Enum) else v for k, v in given.items()}


def ledger(
    action: Annotated[Action, typer.Argument(metavar="import", help="Make rows of logs.")],
    logs: Annotated[
        list[Path],
        typer.Argument(metavar="LOG…", help="Logs of ax_run_model or of the chat runtime."),
    ],
    chip: ChipName,
    conditions: Conditions,
    workload: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="WORKLOAD", help="Model and build that were measured."),
    ] = None,
    variant: VariantName = None,
    settings: Settings = [],  # noqa: B006
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.csv",
            callback=written_as(".csv"),
            help="The rows; - is stdout.",
        ),
    ] = Path("-"),
    models: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE.yaml",
            callback=written_as(".yaml", ".yml"),
            help="Write the workload's architecture, for `axsim validate --models`.",
        ),
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="TEXT", help="Where it was measured, for the source column.")
    ] = "",
    id_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="How the rows' names begin.")
    ] = "B",
) -> None:
    """Turn logs of the vendor's runtime into rows of a ledger.

    Reads min, max and avg of ax_run_model for every shape group, and ttft, tokens/s and image
    encode time of the chat runtime. What was measured follows from file names; conditions that a
    log does not tell come from options, else from the workload.
    """
    from axsim.cli.terminal.console import say
    from axsim.errors import InputError, printable
    from axsim.fidelity.board_logs import read_log
    from axsim.fidelity.board_rows import conditions_of, ledger_text, rows_of
    from axsim.fidelity.predict import toolchain_of
    from axsim.files import whole_text
    from axsim.spec.chip import load_chip

    will_write(output, models)
    toolchain_of(conditions.toolchain)
    measured = None if workload is None else _workload(workload, variant, settings)
    if models is not None and (measured is None or measured.model.onnx is not None):
        raise InputError("--models writes an architecture: --workload WORKLOAD")
    name = load_chip(chip).name
    known = {} if measured is None else conditions_of(measured)
    of_network = measured is not None and measured.model.onnx is not None
    found = {path: read_log(path, of_network) for path in dict.fromkeys(logs)}
    if measured is not None and not (of_network or measured.image_size or conditions.image_size):
        found = {path: _without_pictures(path, each) for path, each in found.items()}
    rows = rows_of(found, name, known, conditions.given, id_prefix, source)
    text = printable(ledger_text(rows))
    with whole_text(output) as file:
        file.write(text)
    if models is not None and measured is not None:
        _write_models(measured, models)
    for line in _advice(rows, models is not None):
        say(line, err=True)


def _without_pictures(path: Path, found: list[Found]) -> list[Found]:
    """What was measured of a workload that has none."""
    from axsim.cli.terminal.console import say

    for each in found:
        if each.metric == "vision_encode_ms":
            what = "vision_encode_ms is left out, the workload has no pictures"
            say(f"note: {path}:{each.line}: {what}", err=True)
    return [each for each in found if each.metric != "vision_encode_ms"]


def _workload(name: str, variant: str | None, settings: list[str]) -> Workload:
    from axsim.cli.options import DeploymentOptions
    from axsim.spec.descriptor import shipped

    options = DeploymentOptions(name, variant, settings)
    return options.deployed(next(iter(shipped("chip"))), of_folder=True).workload


def _write_models(workload: Workload, path: Path) -> None:
    import yaml

    from axsim.fidelity.board_rows import models_document
    from axsim.files import whole_text

    document = models_document(workload.name, workload.model.config())
    with whole_text(path) as file:
        yaml.safe_dump(document, file, sort_keys=False)


def _advice(rows: list[Measurement], has_models: bool) -> list[str]:
    """What stands between the rows and ``axsim validate``."""
    from axsim.fidelity.ledger import load_models, shipped_models
    from axsim.spec.diagnosis import nearest

    known = load_models(shipped_models())
    names = {row.model for row in rows if row.metric != "graph_ms"}
    unknown = sorted(name for name in names if name not in known)
    lines = [f"{len(rows)} rows"]
    for name in unknown if not has_models else ():
        hint = nearest(name, known)
        meant = f"; did you mean --model {hint}?" if hint else ""
        lines.append(f"note: {name} is no shipped architecture{meant} --models FILE.yaml writes it")
    return lines


LEDGER = Command(
    "ledger",
    ledger,
    """
    axsim ledger import board.log --chip ax650n --workload internvl2_1b -o rows.csv
    axsim ledger import layer.log --chip ax630c --model Qwen2.5-0.5B --weight-dtype s8 -o rows.csv
    """,
    place=17,
)
