"""The ``axsim_timing`` fixture: predicted times of a workload as a test.

>>> def test_first_token(axsim_timing):
...     axsim_timing("workload.yaml", chip="ax630c", tolerance="2%")

The baseline is ``baselines/test_first_token.json`` beside the test's file. It is written by
``pytest --axsim-update``; commit it. The test fails when a time has moved, and says which and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Timing = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--axsim-update``."""
    group = parser.getgroup("axsim")
    group.addoption(
        "--axsim-update", action="store_true", help="write the baselines of axsim_timing anew"
    )


@pytest.fixture
def axsim_timing(request: pytest.FixtureRequest) -> Timing:
    """Call it with a workload and ``chip``, a name or a list of them.

    ``tolerance`` is the change that passes in percent (``"2%"`` or 2), ``variants`` and
    ``overrides`` are those of :func:`axsim.run`, ``baseline`` another file. Paths are relative to
    the test's file.
    """

    def check(
        workload: str,
        chip: str | Sequence[str],
        *,
        tolerance: str | float = "2%",
        variants: Sequence[str] | None = None,
        overrides: dict[str, Any] | None = None,
        baseline: str | None = None,
    ) -> None:
        from axsim.errors import InputError
        from axsim.files import write_json
        from axsim.spec.percentage import percentage
        from axsim.study.regression import (
            compare_snapshots,
            load_snapshot,
            snapshot,
        )

        here = request.path.parent
        name = re.sub(r"[^\w.-]+", "_", request.node.name).strip("_")
        path = here / (baseline or f"baselines/{name}.json")
        chips = [chip] if isinstance(chip, str) else list(chip)
        try:
            allowed = percentage(tolerance, "tolerance")
            now = snapshot(
                _beside(workload, here),
                [_beside(each, here) for each in chips],
                variants=variants,
                overrides=overrides or {},
                folder=path.parent,
            )
            if request.config.getoption("--axsim-update"):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(now, path)
                return
            if not path.is_file():
                pytest.fail(f"no baseline {path}: write it with --axsim-update", pytrace=False)
            found = compare_snapshots(load_snapshot(path), now, allowed)
        except InputError as error:
            pytest.fail(str(error), pytrace=False)
        if not found.ok:
            pytest.fail(f"predicted times have moved\n{found}", pytrace=False)

    return check


def _beside(source: str, folder: Path) -> str | Path:
    path = folder / source
    return path if path.is_file() else source
