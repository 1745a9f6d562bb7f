"""Requests read key by key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from axsim.server.refusal import Refusal
from axsim.server.wire import UNSUPPORTED, read_request

HELLO = [{"role": "user", "content": "hello"}]


def refused(document: Any) -> dict[str, Any]:
    """The error of a body."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(Refusal) as found:
        read_request(body)
    assert found.value.status == 400
    error: dict[str, Any] = found.value.body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error


def test_keys_of_all_kinds() -> None:
    found = read_request(
        json.dumps(
            {
                "model": "m", "messages": HELLO, "stream": True, "max_tokens": 7,
                "max_completion_tokens": 5, "temperature": 1, "top_p": 0.5, "top_k": -1,
                "seed": -3, "stop": "x", "stream_options": {"include_usage": True},
                "user": "u", "parallel_tool_calls": False, "n": 1, "tools": [],
            }
        ).encode()
    )  # fmt: skip
    assert found.limit == 5
    assert found.stop == ["x"]
    assert found.wants_usage
    assert (found.temperature, found.top_p, found.top_k, found.seed) == (1, 0.5, -1, -3)


def test_what_may_be_left_out_or_null() -> None:
    keys = ("model", "stream", "stream_options", "max_tokens", "temperature", "top_p", "seed",
            "stop", "n", "tools")  # fmt: skip
    for document in ({}, dict.fromkeys(keys)):
        found = read_request(json.dumps({"messages": HELLO, **document}).encode())
        assert found.limit is None
        assert found.stop == []
        assert not found.wants_usage


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": "hello"}, "messages", 'valid list, found "hello"'),
    ({"messages": []}, "messages", "at least 1 item"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", 'found "robot"'),
    ({"messages": [{"content": "x"}]}, "messages[0].role", "field required"),
    ({"messages": [7]}, "messages[0]", "should be an object, found 7"),
    (
        {"messages": [{"role": "user", "content": 5}]},
        "messages[0].content",
        "a list of parts, found 5",
    ),
    ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]", "found 5"),
    (
        {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
        "messages[0].content[0]",
        "'audio'",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]},
        "messages[0].content[0].text",
        "found null",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0].image_url.url",
        "field required",
    ),
    ({"temperature": "hot"}, "temperature", 'found "hot"'),
    ({"temperature": 3}, "temperature", "less than or equal to 2, found 3"),
    ({"temperature": float("nan")}, "temperature", "finite"),
    ({"top_p": -1}, "top_p", "greater than or equal to 0"),
    ({"top_k": 1.5}, "top_k", "found 1.5"),
    ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1, found 0"),
    ({"max_tokens": True}, "max_tokens", "found true"),
    ({"seed": "1"}, "seed", 'found "1"'),
    ({"stream": "yes"}, "stream", 'found "yes"'),
    ({"stop": 5}, "stop", "a list of texts, found 5"),
    ({"stop": ["a"] * 5}, "stop", "at most 4 items"),
    ({"stop": [None]}, "stop[0]", "found null"),
    ({"model": 5}, "model", "found 5"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "param", "message"), WRONG)
def test_what_is_wrong_is_named(change: dict[str, Any], param: str, message: str) -> None:
    error = refused({"messages": HELLO, **change})
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    assert message in error["message"]
    error["message"].encode()


def test_all_faults_are_told_together() -> None:
    text = refused({"messages": HELLO, "seed": "a", "top_p": 2})["message"]
    assert "seed: " in text
    assert "top_p: " in text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"messages": []} x',
             b'{"messages": [{"role": "user", "content": "\\ud800"}]}']
)  # fmt: skip
def test_what_is_no_document(body: bytes) -> None:
    assert refused(body)["message"].startswith("the body is ")


def test_characters_in_two_halves_are_whole() -> None:
    body = b'{"messages": [{"role": "user", "content": "\\uD83D\\uDE00"}]}'
    (part,) = read_request(body).messages[0].content
    assert part.text == "\N{GRINNING FACE}"  # type: ignore[union-attr]


VALUES = {
    "n": 2, "logprobs": True, "top_logprobs": 3, "logit_bias": {"5": 1}, "frequency_penalty": 0.5,
    "presence_penalty": 1, "response_format": {"type": "json_object"}, "modalities": ["audio"],
    "tools": [{"type": "function"}], "functions": [{}], "tool_choice": "required",
    "function_call": {"name": "f"},
}  # fmt: skip


@pytest.mark.parametrize("key", UNSUPPORTED)
def test_what_the_runtime_does_not_have_is_refused_and_its_default_is_not(key: str) -> None:
    error = refused({"messages": HELLO, key: VALUES[key]})
    assert error["param"] == key
    assert error["code"] == "unsupported_parameter"
    for harmless in UNSUPPORTED[key]:
        read_request(json.dumps({"messages": HELLO, key: harmless}).encode())


def test_a_flood_of_faults_is_cut() -> None:
    many = refused(json.dumps({"messages": [7] * 10_000}).encode())["message"]
    assert many.endswith("; … and 9995 more")
    part = {"type": "x" * 5000}
    long = refused(json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode())
    assert max(len(many), len(long["message"])) < 500
