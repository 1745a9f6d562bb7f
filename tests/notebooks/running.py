"""Executing the notebooks of this repository, and keeping machines and times out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""What every committed notebook says about where it was executed."""

NUMERICS = "numerics"
"""Tag of cells whose numbers the kernels made: float32 sums differ between machines in the last
bits."""

CELL_SECONDS = 600


def execute(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a fresh kernel of this Python, whose working directory is
    ``folder``; a cell that fails raises CellExecutionError."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    notebook.metadata = METADATA
    return notebook
