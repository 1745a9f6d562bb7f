"""``axsim calibrate --power``: a power block from a meter's readings."""

from __future__ import annotations

from pathlib import Path


def fit_and_write(
    source: Path,
    readings: Path,
    keep: list[str],
    output: Path | None,
    json_path: Path | None,
    quiet: bool,
) -> None:
    """Fit the power block of the chip's file ``source`` to ``readings``, show it and write it.

    Raises:
        InputError: as :func:`axsim.fidelity.power_fit.fit_power`.
    """
    from dataclasses import asdict

    from axsim.cli.terminal.console import console
    from axsim.fidelity.chip_file import with_power
    from axsim.fidelity.power_fit import fit_power, load_readings
    from axsim.fidelity.prediction import counted
    from axsim.files import whole_text, write_json
    from axsim.show.power_table import note, parameters_table, readings_table, remarks
    from axsim.spec.chip import load_chip

    chip = load_chip(source)
    found = fit_power(chip, load_readings(readings), keep)
    count = counted(len(found.readings), "reading")
    if not quiet:
        out = console()
        out.print(f"{chip.name}, power block fitted to {count} of {readings}\n")
        out.print(parameters_table(found))
        for line in remarks(found):
            out.print(line)
        out.print()
        out.print(readings_table(found))
    block = {"source": f"fitted to {count} of {readings.name}", **found.block}
    if output is not None:
        notes = {each.name: note(each) for each in found.parameters}
        text = with_power(source, block, notes)
        with whole_text(output) as file:
            file.write(text)
    if json_path is not None:
        write_json({"power": block, **asdict(found)}, json_path)
