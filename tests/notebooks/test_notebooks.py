"""The notebooks as committed, and as they come out when executed again."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.running import METADATA, NUMERICS, PATHS, execute

LARGEST = 1_000_000
"""Bytes of a notebook, its pictures included."""

MACHINE = re.compile(r"/(?:home|root|tmp|usr|opt|var|work|Users)/|\b[A-Z]:\\|site-packages")
"""Paths that only one machine has."""

WRAPPED = "\\"
"""Where pandas breaks a wide table, which its releases do at different columns."""

NUMBER = re.compile(r"\d+(?:\.\d+)?")

SIMILARITY = re.compile(r"0\.\d{4}")
"""How a cosine is written."""

SIMILAR = 0.0005
"""What a cosine may differ by. The order of float32 sums, another on other machines, moves the
ranges of activations by a bit, and codes with them: numpy 1.24 and 2.4 are 0.0002 apart."""

each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def printed(output: Any) -> str:
    """An output as words that are one space apart; of pictures, that there is one."""
    if output["output_type"] == "stream":
        return " ".join(joined(output["text"]).split())
    data = output["data"]
    if "image/png" in data:
        return "picture"
    text = joined(data.get("text/markdown", data["text/plain"]))
    return " ".join(word for word in text.split() if word != WRAPPED)


def shown(cell: Any) -> str:
    """All outputs of a cell."""
    return " ".join(printed(output) for output in cell["outputs"])


def close(committed: str, fresh: str) -> bool:
    """Whether two texts differ in similarities by :data:`SIMILAR`, and in their other numbers by
    one of the last digit, at most."""
    if NUMBER.sub("#", committed) != NUMBER.sub("#", fresh):
        return False
    pairs = zip(NUMBER.findall(committed), NUMBER.findall(fresh), strict=True)
    for before, after in pairs:
        digits = min(len(each.partition(".")[2]) for each in (before, after))
        allowed = SIMILAR if SIMILARITY.fullmatch(before) else 10**-digits
        if abs(float(before) - float(after)) > 1.01 * allowed:
            return False
    return True


def test_there_are_five() -> None:
    assert [path.name[0] for path in PATHS] == ["1", "2", "3", "4", "5"]


@each_notebook
def test_it_is_committed_executed(path: Path) -> None:
    cells = code_cells(read(path))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [each for each in outputs if each["output_type"] == "error"]
    assert not [each for each in outputs if each.get("name") == "stderr"]
    assert any("image/png" in each.get("data", {}) for each in outputs)


@each_notebook
def test_it_is_of_no_machine(path: Path) -> None:
    notebook = read(path)
    assert notebook["metadata"] == METADATA
    assert all(cell["metadata"].keys() <= {"tags"} for cell in notebook["cells"])
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("image/png", None)
    assert not MACHINE.findall(json.dumps(notebook, ensure_ascii=False))


@each_notebook
def test_it_is_small(path: Path) -> None:
    assert path.stat().st_size < LARGEST


@pytest.mark.slow
@each_notebook
def test_it_says_the_same_when_executed_again(path: Path, tmp_path: Path) -> None:
    """From another working directory. Numbers are the same to the last digit; those of the kernels
    as nearly as machines agree."""
    pytest.importorskip("nbclient", reason="needs the notebook extra")
    pytest.importorskip("ipykernel", reason="needs the notebook extra")
    committed, fresh = code_cells(read(path)), code_cells(execute(path, tmp_path))
    for before, after in zip(committed, fresh, strict=True):
        assert not [each for each in after["outputs"] if each.get("name") == "stderr"]
        if NUMERICS in before["metadata"].get("tags", ()):
            assert close(shown(before), shown(after)), (shown(before), shown(after))
        else:
            assert shown(before) == shown(after)


def test_stale_numbers_are_seen() -> None:
    assert close("cosine 0.9991 in 150.7 ms", "cosine 0.9989 in 150.6 ms")
    assert not close("cosine 0.9991 in 150.7 ms", "cosine 0.9981 in 150.7 ms")
    assert not close("cosine 0.9991 in 150.7 ms", "cosine 0.9991 in 150.9 ms")
    assert not close("3 of 4 rows", "3 of 4 columns")
