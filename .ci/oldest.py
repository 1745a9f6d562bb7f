"""Print the lower bound of every dependency as a pip constraint.

    python .ci/oldest.py test > oldest.txt && pip install -c oldest.txt -e .[test]

The arguments are extras whose dependencies are included, and those of the extras they name.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def constraints(text: str, extras: list[str]) -> list[str]:
    """``name==bound`` for each dependency in pyproject.toml's ``text`` that has a ``>=`` bound."""
    project = _arrays(text)
    wanted = [*project["dependencies"]]
    pending, seen = list(extras), set()
    while pending:
        extra = pending.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for requirement in project[extra]:
            inner = re.match(r"axsim\[(.*)\]$", requirement)
            if inner:
                pending += [name.strip() for name in inner[1].split(",")]
            else:
                wanted.append(requirement)
    bounds = (re.match(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", requirement) for requirement in wanted)
    return sorted({f"{bound[1]}=={bound[2]}" for bound in bounds if bound}, key=str.lower)


def _arrays(text: str) -> dict[str, list[str]]:
    """The string arrays of pyproject.toml by key; tomllib is missing in Python 3.10."""
    arrays = re.findall(r"^([a-z-]+) = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    return {name: re.findall(r'"([^"]+)"', body) for name, body in arrays}


if __name__ == "__main__":
    pyproject = Path(__file__).resolve().parent.parent / "pyproject.toml"
    print("\n".join(constraints(pyproject.read_text(encoding="utf-8"), sys.argv[1:])))
