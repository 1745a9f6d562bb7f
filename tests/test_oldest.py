"""The lower bounds that the oldest-dependencies check installs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def oldest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("oldest", ROOT / ".ci" / "oldest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_core_dependency_has_a_lower_bound(oldest: ModuleType) -> None:
    found = oldest.constraints((ROOT / "pyproject.toml").read_text(), [])
    names = {line.partition("==")[0] for line in found}
    assert names == {
        "numpy", "simpy", "pandas", "matplotlib", "pydantic", "pyyaml", "typer", "rich",
        "ml_dtypes", "safetensors",
    }  # fmt: skip


def test_extras_are_followed_into_the_extras_they_name(oldest: ModuleType) -> None:
    text = (
        'dependencies = [\n  "a>=1",\n]\n'
        'one = ["axsim[two]", "b>=2.1"]\ntwo = ["axsim[one,three]", "c>=3"]\nthree = ["d==4"]\n'
    )
    assert oldest.constraints(text, ["one"]) == ["a==1", "b==2.1", "c==3"]
