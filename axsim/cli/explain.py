"""``axsim explain``: why it takes so long, and what would help."""

from __future__ import annotations

import typer

from axsim.cli.command import Command
from axsim.cli.options import (
    ChipName,
    CutNetworkOptions,
    JsonPath,
    Settings,
    Variants,
    WorkloadName,
    tell_idle,
    tell_ignored,
)
from axsim.cli.terminal.console import say


def explain(
    workload: WorkloadName,
    chip: ChipName,
    network: CutNetworkOptions,
    variant: Variants = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006
    json_path: JsonPath = None,
) -> None:
    """Tell what a request waits for, and what would shorten it.

    The critical path to the first token and of a decode step. Of the first variant, unless
    --variant names others. The path says which engine, DRAM or the host each stage waits for. Each
    change of the build or of the chip is simulated by itself, and the three with the largest gains
    are told.
    """
    from axsim.cli.terminal.outputs import will_write
    from axsim.files import write_json
    from axsim.runs.run import time_run
    from axsim.show.words import lines
    from axsim.spec.descriptor import parse_overrides
    from axsim.study.explain import explain as explained

    will_write(json_path)
    overrides = parse_overrides(settings) | network.keys
    with network.told():
        result = time_run(workload, chip, variants=variant or None, overrides=overrides)
    tell_ignored(result[0].workload)
    chosen = list(result) if variant else [result[0]]
    tell_idle(settings, [(workload, chip)], overrides, variants=variant or None)
    found = [explained(each) for each in chosen]
    if str(json_path) != "-":
        for index, explanation in enumerate(found):
            if index:
                typer.echo()
            for line in lines(explanation):
                say(line)
        others = [each.name for each in result if each not in chosen]
        if others:
            say(f"\nOther variants (--variant): {', '.join(others)}")
    if json_path is not None:
        write_json({"explanations": [each.to_dict() for each in found]}, json_path)


EXPLAIN = Command(
    "explain",
    explain,
    """
    axsim explain internvl2_1b --chip ax650n --variant 448-u16
    axsim explain qwen3_0_6b --chip ax630c
    """,
    place=5,
)
