"""No input leads to a traceback, a hang, much memory, a wrong exit status or silent nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.campaign import CORPUS, campaign, replay
from tests.fuzz.kinds import KINDS

WHOLE = 1500
"""Inputs of a kind of weight 1 in the whole: some 50,000 of all."""


@pytest.mark.parametrize("name", KINDS)
def test_a_few_inputs(name: str) -> None:
    failures = [str(each) for each in campaign(KINDS[name], 1, KINDS[name].first)]
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("case", sorted(CORPUS.iterdir()), ids=lambda case: case.name)
def test_what_once_went_wrong(case: Path, tmp_path: Path) -> None:
    found = replay(case, tmp_path / "case")
    assert not found.faults, found


@pytest.mark.fuzz
@pytest.mark.parametrize("name", KINDS)
def test_many_inputs(name: str) -> None:
    count = max(1, round(WHOLE * KINDS[name].weight))
    failures = [str(each) for each in campaign(KINDS[name], 2, count)]
    assert not failures, "\n".join(failures[:20])
