from __future__ import annotations

import pytest

import axsim
from axsim import RunResult


@pytest.fixture(scope="session")
def small() -> RunResult:
    return axsim.run("internvl2_1b", "ax630c", timing_only=True)


@pytest.fixture(scope="session")
def large() -> RunResult:
    return axsim.run("internvl2_1b", "ax650n", timing_only=True)
