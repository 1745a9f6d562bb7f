"""What docs/sharing.md says of several processes on AX650N."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import axsim
from axsim.spec.descriptor import data_folder, load_mapping
from axsim.spec.scenario import Scenario

DOCS = Path(__file__).parents[2] / "docs" / "sharing.md"
ROW = re.compile(r"\| (?P<name>[\w]+) \| (?P<ratios>[\d. |]+) \|")
FOLDERS = ("measurements", "scenarios")
COLUMNS = (("NPU1",) * 2, ("NPU1",) * 3, ("NPU2",), ("NPU3",))
"""NPU modes of the processes of each column."""


def rows() -> dict[str, list[float]]:
    """The table of the documentation: throughput over that of one process on NPU1."""
    found = (ROW.fullmatch(line) for line in DOCS.read_text(encoding="utf-8").splitlines())
    return {
        match["name"]: [float(each) for each in match["ratios"].split("|")]
        for match in found
        if match is not None
    }


def ratios(network: str) -> list[float]:
    """A row of the table, simulated."""
    one = throughput(network, ("NPU1",))
    return [throughput(network, modes) / one for modes in COLUMNS]


def throughput(network: str, modes: tuple[str, ...]) -> float:
    """Images per second of a process on each partition, one image after the other."""
    files = (data_folder(folder) / "onnx" / f"{network}.onnx" for folder in FOLDERS)
    path = next(file for file in files if file.is_file())
    names = [f"p{number}" for number in range(len(modes))]
    tenants = {
        name: {"workload": str(path), "partition": name, "arrivals": {"closed": {}}}
        for name in names
    }
    document = {
        "name": "s", "duration_s": 0.05, "partitions": dict(zip(names, modes, strict=True)),
        "tenants": tenants,
    }  # fmt: skip
    result = axsim.simulate(load_mapping(Scenario, document, "s"), "ax650n", alone=False)
    return sum(1e3 / each.measures["latency_ms"].mean for each in result.models)


@pytest.mark.slow
@pytest.mark.parametrize("network", rows())
def test_the_table_is_what_is_simulated(network: str) -> None:
    assert ratios(network) == pytest.approx(rows()[network], abs=0.0051)


def test_the_ranges_are_those_of_the_table() -> None:
    text = " ".join(DOCS.read_text(encoding="utf-8").split())
    several = [ratio for row in rows().values() for ratio in row[:2]]
    assert f"{min(several):.1f} to {max(several):.1f} times" in text
    large = [row[3] for row in rows().values()]
    assert f"{min(large):.1f} to {max(large):.1f} times" in text
