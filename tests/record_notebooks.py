"""Execute notebooks/ again, and write their outputs into them:

python tests/record_notebooks.py [NOTEBOOK ...]
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from notebooks.running import PATHS, execute


def main(paths: list[Path]) -> None:
    """Execute each of ``paths``, anywhere, and replace it."""
    for path in paths or PATHS:
        with TemporaryDirectory() as folder:
            nbformat.write(execute(path, Path(folder)), path)
        print(path.name)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
