"""Predicted times of the shipped workloads, pinned: a change must be deliberate.

After one, ``python tests/record_timings.py`` writes them again; the difference belongs in the
commit that made it.
"""

from __future__ import annotations

import json

import pytest

from tests.record_timings import FILE, timings


@pytest.mark.parametrize("chip", ["ax630c", "ax650n", "ax8850_card"])
def test_times_are_those_on_record(chip: str) -> None:
    recorded = json.loads(FILE.read_text())[chip]
    found = timings(chip)
    assert found.keys() == recorded.keys()
    moved = [
        f"{variant} {stage}: {recorded[variant][stage]} → {ms}"
        for variant, stages in found.items()
        for stage, ms in stages.items()
        if ms != pytest.approx(recorded[variant][stage], rel=1e-6)
    ]
    assert not moved, "python tests/record_timings.py if this is meant:\n" + "\n".join(moved)
