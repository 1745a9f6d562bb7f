"""When tokens come: at the chip's times, or as fast as this machine computes."""

from __future__ import annotations

import json
import logging
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("uvicorn")

from axsim.server.service import Service
from tests.server.serving import Served, serving, synthetic


def arrivals(served: Served, tokens: int) -> list[tuple[float, float]]:
    """When each token's event came and when the chip has it, seconds after the question."""
    began = time.monotonic()
    connection = HTTPConnection(urlsplit(served.address).netloc, timeout=30)
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    connection.request("POST", "/v1/chat/completions", json.dumps({**body, "max_tokens": tokens}))
    response = connection.getresponse()
    found = []
    for line in response:
        if line.startswith(b"data: {"):
            chunk = json.loads(line[6:])
            if "simulated" in chunk:
                found.append((time.monotonic(), chunk["simulated"]["ms"] / 1e3))
    connection.close()
    return [(came - began, due) for came, due in found[1:]]


@pytest.fixture
def slow_chip() -> Service:
    """A model whose tokens take 10 ms each: its chip is slower than this machine."""
    return synthetic(timing_only=True, token_ms=10)


def test_tokens_come_when_the_chip_has_them(slow_chip: Service) -> None:
    with serving(slow_chip, fast=False) as served:
        found = arrivals(served, 40)
    assert len(found) == 40
    assert all(came > due for came, due in found)
    late = sorted(came - due for came, due in found)
    assert late[len(late) // 2] < 0.2  # this machine may have other guests


def test_a_whole_answer_comes_when_its_last_token_does(slow_chip: Service) -> None:
    with serving(slow_chip, fast=False) as served:
        began = time.monotonic()
        _, document = served.ask(max_tokens=30)
        took = time.monotonic() - began
    total = document["usage"]["simulated"]["total_ms"] / 1e3
    assert total < took < total + 1


def test_fast_waits_for_nothing(slow_chip: Service) -> None:
    with serving(slow_chip) as served:
        found = arrivals(served, 100)
    assert found[-1][0] < 0.8 * found[-1][1]  # a second on the chip


def test_a_machine_that_is_slower_says_whose_pace_it_was(
    slow_chip: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    computed = slow_chip.engine._seeded

    def slowly(*arguments: Any) -> Any:
        compute = computed(*arguments)

        def slow(work: Any, call: Any, layer: int) -> int | None:
            if work.stage == "post" and work.index == 2:
                time.sleep(0.4)
            found: int | None = compute(work, call, layer)
            return found

        return slow

    monkeypatch.setattr(slow_chip.engine, "_seeded", slowly)
    with caplog.at_level(logging.INFO, "axsim.server"), serving(slow_chip, fast=False) as served:
        assert served.ask(max_tokens=6)[0] == 200
        assert served.desk.late_s == pytest.approx(0.35, abs=0.1)
        text = served.raw("GET", "/metrics")[2].decode()
    assert "the pace was the host's" in caplog.text
    assert f"axsim_held_up_seconds {served.desk.late_s}" in text
