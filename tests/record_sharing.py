"""Write what scenarios give into README.md and docs/sharing.md again:

python tests/record_sharing.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from axsim.cli.app import app  # noqa: E402
from tests.runs.test_several_processes import DOCS, ratios, rows  # noqa: E402

SHOWN = ("simulate", "camera_answers", "--chip", "ax630c")


def main() -> None:
    """The table of processes with its ranges, and what the README shows."""
    found = {name: [round(each, 2) for each in ratios(name)] for name in rows()}
    text = DOCS.read_text(encoding="utf-8")
    for name, row in found.items():
        cells = " | ".join(f"{each:.2f}" for each in row)
        text = re.sub(rf"\| {name} \|.*", f"| {name} | {cells} |", text)
    several = [each for row in found.values() for each in row[:2]]
    large = [row[3] for row in found.values()]
    for before, values, after in (
        ("2 or 3 processes: ", several, " times, below"), ("NPU1 | ", large, " times, by network"),
    ):  # fmt: skip
        span = f"{before}{min(values):.1f} to {max(values):.1f}{after}"
        text = re.sub(re.escape(before) + r"[\d.]+ to [\d.]+" + re.escape(after), span, text)
    DOCS.write_text(text, encoding="utf-8")
    printed = CliRunner().invoke(app, SHOWN).output.partition("\nmemory")[0].rstrip()
    lines = [line.rstrip() for line in printed.splitlines()]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    begin = text.index("camera_answers on ax630c (")
    end = text.index("```", begin)
    readme.write_text(text[:begin] + "\n".join(lines) + "\n" + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
