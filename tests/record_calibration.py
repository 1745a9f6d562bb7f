"""Calibrate the shipped chips that the shipped ledger measures, and write what follows:

* chips/*.yaml, their calibrated values, and borrowed ones copied from where they were fitted,
* measurements/left_out.csv, the errors of rows left out, which intervals come from; those of
  networks from files (measurements/cnn.csv) around the numbers that networks alone have.

python tests/record_calibration.py [--keep-chips | --networks]

With ``--keep-chips`` the files of the chips stay, and only the errors of rows left out are written
anew, as they are around the chips' own values; with ``--networks`` only those of networks.
"""

from __future__ import annotations

import math
import sys
from concurrent.futures import Executor

from axsim.cli.calibrate import processes, written
from axsim.fidelity.calibrate import calibrate, cross_validate_as_it_is
from axsim.fidelity.chip_file import with_calibrated
from axsim.fidelity.cross_validation import left_out_rows
from axsim.fidelity.ledger import load_ledger, shipped_ledger, shipped_networks
from axsim.fidelity.left_out import LeftOut, read, replaced, shipped_path, write
from axsim.fidelity.networks import NetworksFit, section
from axsim.fidelity.predict import shipped_chips
from axsim.fidelity.validate import architectures
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import find


def main(keep_chips: bool, networks_only: bool) -> None:
    """Write all files."""
    ledger, models = load_ledger(shipped_ledger()), architectures()
    rows: tuple[LeftOut, ...] = read(shipped_path()) if networks_only else ()
    with processes() as executor:
        if not (keep_chips or networks_only):
            _fit_chips(executor)
        chips = _measured()
        for chip in [] if networks_only else chips:
            left_out = cross_validate_as_it_is(
                chip, ledger, models, others=chips, executor=executor
            )
            rows = replaced(rows, left_out_rows(chip, left_out, models))
    rows = replaced(rows, _networks(chips))
    with shipped_path().open("w", encoding="utf-8") as file:
        write(rows, file)


def _networks(chips: list[Chip]) -> list[LeftOut]:
    """The rows of networks, each left out of the choice of what only networks need."""
    by_name = {chip.name: chip for chip in chips}
    fit = NetworksFit(load_ledger(shipped_networks()), by_name)
    print("networks choose", section(fit.choose()))
    for fold in fit.folds():
        errors = ", ".join(f"{math.expm1(x):+.1%}" for x in fold.left_out.values())
        print(f"without {fold.network}: {fold.choice}; its rows {errors}")
    shipped_numbers = chips[0].npu.networks
    assert all(chip.npu.networks == shipped_numbers for chip in chips)
    return fit.left_out_rows(shipped_numbers)


def _measured() -> list[Chip]:
    """Chips that lend come before those that borrow."""
    names = {row.chip.lower() for row in load_ledger(shipped_ledger())}
    chips = [chip for name, chip in shipped_chips().items() if name in names]
    return sorted(chips, key=lambda chip: len(chip.borrowed))


def _fit_chips(executor: Executor | None) -> None:
    ledger, models = load_ledger(shipped_ledger()), architectures()
    measured = _measured()
    whole = [chip for chip in shipped_chips().values() if chip.like is None]
    unmeasured = [chip for chip in whole if chip not in measured]
    for chip in (*measured, *unmeasured):
        source = find("chip", chip.name)
        lent = {
            name: getattr(load_chip(lender).calibrated, name)
            for name, lender in chip.borrowed.items()
        }
        source.write_text(with_calibrated(source, lent, {}), encoding="utf-8")
        if chip in measured:
            fitted = calibrate(load_chip(source), ledger, models, executor=executor)
            source.write_text(written(fitted, source), encoding="utf-8")


if __name__ == "__main__":
    main("--keep-chips" in sys.argv[1:], "--networks" in sys.argv[1:])
