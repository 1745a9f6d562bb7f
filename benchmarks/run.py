"""What the main job costs: time, memory and size, each against its target.

    python benchmarks/run.py [--skip kernels,install] [--repeat 5] [--chip ax650n] [--json FILE]

Every command runs in a new process; the least wall time of the repetitions counts, since a busy
machine only adds to it, and the largest peak memory. ``install`` makes a virtual environment from
warm caches.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AXSIM = [sys.executable, "-c", "from axsim.cli import main; main()"]


@dataclass
class Measure:
    """One line of the table; None where there is no target or no figure."""

    name: str
    wall_s: float
    wall_target_s: float | None
    peak_mb: float | None
    peak_target_mb: float | None
    size_mb: float | None = None
    size_target_mb: float | None = None

    @property
    def kept(self) -> bool:
        pairs = [
            (self.wall_s, self.wall_target_s),
            (self.peak_mb, self.peak_target_mb),
            (self.size_mb, self.size_target_mb),
        ]
        return all(v is None or limit is None or v <= limit for v, limit in pairs)


def measured(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Wall seconds and peak megabytes (resident set) of a command that must succeed."""
    with (folder / "output").open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{(folder / 'output').read_text()}")
    per_mb = 1e6 if sys.platform == "darwin" else 1e3
    return wall, usage.ru_maxrss / per_mb


def command(
    name: str, arguments: Sequence[str], repeat: int, wall: float, peak: float, folder: Path
) -> Measure:
    runs = [measured([*AXSIM, *arguments], folder) for _ in range(repeat)]
    return Measure(name, min(r[0] for r in runs), wall, max(r[1] for r in runs), peak)


def install(folder: Path) -> Measure:
    """``pip install .`` into a new environment."""
    source, environment = folder / "source", folder / "environment"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, source, ignore=ignored)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [
        environment / "bin" / "python",
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        str(source),
    ]
    subprocess.run(pip, check=True)
    wall = time.perf_counter() - start
    files = (path for path in (environment / "lib").rglob("*") if path.is_file())
    found = [path for path in files if not path.is_symlink()]
    size = sum(path.stat().st_size for path in found if "/pip/" not in str(path)) / 1e6
    return Measure("install core (pip)", wall, 20, None, None, size, 250)


def table(lines: Sequence[Measure]) -> str:
    def cell(value: float | None, target: float | None, unit: str, digits: int = 0) -> str:
        if value is None:
            return ""
        text = f"{value:.{digits}f} {unit}"
        return text if target is None else f"{text} (≤ {target:g})"

    rows = [("", "wall", "peak memory", "on disk", "")]
    for line in lines:
        rows.append(
            (
                line.name,
                cell(line.wall_s, line.wall_target_s, "s", 2),
                cell(line.peak_mb, line.peak_target_mb, "MB"),
                cell(line.size_mb, line.size_target_mb, "MB"),
                "" if line.kept else "over",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skip", default="", help="of help, timing, kernels, install")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--chip", default="ax630c")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    skipped = set(options.skip.split(","))
    lines: list[Measure] = []
    job = ["run", "internvl2_1b", "--chip", options.chip]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured([*AXSIM, "--version"], folder)  # byte code and file cache
        if "help" not in skipped:
            lines.append(command("axsim --help", ["--help"], options.repeat, 0.2, 200, folder))
        if "timing" not in skipped:
            title, quick = "axsim run --timing-only, 4 variants", [*job, "--timing-only"]
            lines.append(command(title, quick, options.repeat, 0.8, 200, folder))
        if "kernels" not in skipped:
            title = "axsim run with kernels, 4 variants, 16 tokens"
            lines.append(command(title, job, 1, 60, 4000, folder))
        if "install" not in skipped:
            lines.append(install(folder))
    print(table(lines))
    load = os.getloadavg()[0]
    print(f"\n{os.cpu_count()} cores, load {load:.1f}, Python {sys.version.split()[0]}")
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")


if __name__ == "__main__":
    main()
