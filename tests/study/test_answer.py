"""A sweep's question, answered in words."""

from __future__ import annotations

from typing import Any

import pandas as pd

import axsim

KEY = "tenants.eye.arrivals.fps"


def rows(*values: tuple[Any, float | None, str | None], **more: Any) -> list[dict[str, Any]]:
    return [
        {"chip": "ax650n", "variant": "s", KEY: fps, **more, "talk.latency_p95_ms": ms,
         "talk.finished": 200, "error": error}
        for fps, ms, error in values
    ]  # fmt: skip


def said(found: list[Any], goal: str, limit: str = "", vary: Any = (KEY,)) -> str:
    return axsim.answer(pd.DataFrame(found), goal, [limit] if limit else [], vary)


LIMIT = "talk.latency_p95_ms<=2000"


def test_how_far_a_key_can_go() -> None:
    found = rows((5, 1500.0, None), (20, 2100.5, None), (10, 1900.0, None), (30, 9000.0, None))
    assert said(found, f"max:{KEY}", LIMIT) == (
        f"{KEY} can be up to 10 with talk.latency_p95_ms <= 2000; then talk.latency_p95_ms is "
        "1900; at 20 talk.latency_p95_ms is 2100.5"
    )
    assert said(found[:1] + found[2:3], f"max:{KEY}", LIMIT).endswith(
        "is 1900; no value beyond was tried"
    )
    assert said(found, f"min:{KEY}", "talk.latency_p95_ms>=1600").startswith(
        f"{KEY} can be down to 10 with"
    )


def test_what_is_beyond_may_be_no_result_at_all() -> None:
    found = rows((5, 1500.0, None), (10, None, "can never be stable"))
    assert said(found, f"max:{KEY}", LIMIT).endswith("at 10 there is an error: can never be stable")


def test_other_keys_are_named_and_kept() -> None:
    found = rows((5, 1.0, None), (10, 2.0, None), rank=1) + rows(
        (5, 3.0, None), (10, 2500.0, None), rank=0
    )
    text = said(found, f"max:{KEY}", LIMIT, (KEY, "rank"))
    assert text.startswith(f"{KEY} can be up to 10 with talk.latency_p95_ms <= 2000, with rank=1;")
    assert text.endswith("no value beyond was tried")
    assert said(found, "talk.latency_p95_ms", "", (KEY, "rank")) == (
        f"least talk.latency_p95_ms: 1, with {KEY}=5, rank=1"
    )


def test_few_requests_are_told() -> None:
    found = [{**row, "talk.finished": 3} for row in rows((5, 1500.0, None))]
    assert said(found, f"max:{KEY}", LIMIT).splitlines()[1] == (
        "talk.latency_p95_ms is the longest of 3 requests only: a longer duration_s tells more"
    )


def test_nothing_meets_it() -> None:
    found = rows((5, 2500.0, None), (10, 2700.0, None))
    assert said(found, f"max:{KEY}", LIMIT) == (
        "no row has talk.latency_p95_ms <= 2000: talk.latency_p95_ms is 2500 or more"
    )
