"""How fast scenarios are simulated, and how much memory an hour takes.

python benchmarks/simulate.py

Times of this process's CPU, without the tenants alone, after a first simulation that compiles.
"""

from __future__ import annotations

import resource
import time

import axsim

CASES = (
    ("camera_answers", 60.0, {}, "AI-ISP by turns, steady traffic"),
    (
        "camera_answers",
        60.0,
        {f"tenants.{name}.{kind}.pattern": "bursts"
         for name, kind in (("sensor", "camera"), ("isp_output", "camera"), ("encoder", "encoder"),
                            ("display", "display"))},
        "the same with all frames in bursts",
    ),
    ("voice_assistant", 60.0, {}, "one after the other, no contention"),
    ("three_models", 20.0, {}, "three partitions that meet in the memory"),
    ("camera_answers", 3600.0, {}, "an hour"),
)  # fmt: skip


def main() -> None:
    print(f"{'scenario':16}{'simulated s':>12}{'CPU s':>8}{'x real time':>12}{'peak MB':>9}")
    for name, duration, keys, what in CASES:
        axsim.simulate(name, duration_s=0.5, overrides=keys, alone=False)
        start = time.process_time()
        axsim.simulate(name, duration_s=duration, overrides=keys, alone=False)
        spent = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        columns = f"{duration:12.0f}{spent:8.2f}{duration / spent:12.0f}{peak:9.0f}"
        print(f"{name:16}{columns}  {what}", flush=True)


if __name__ == "__main__":
    main()
