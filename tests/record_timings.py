"""Write tests/recorded/timings.json: the predicted times that tests/runtime/test_golden.py pins.

python tests/record_timings.py
"""

from __future__ import annotations

import json
from pathlib import Path

import axsim
from axsim.spec.descriptor import shipped

FILE = Path(__file__).parent / "recorded" / "timings.json"


def timings(chip: str) -> dict[str, dict[str, float]]:
    """Milliseconds of every stage of every variant of the shipped workloads."""
    found = {}
    for workload in shipped("workload"):
        for variant in axsim.run(workload, chip, timing_only=True):
            stages = {stage.name: round(stage.ms, 6) for stage in variant.breakdown}
            found[f"{workload} {variant.name}"] = stages
    return found


def main() -> None:
    """Record all shipped chips."""
    document = {chip: timings(chip) for chip in shipped("chip")}
    FILE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
