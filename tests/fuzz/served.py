"""Requests to a server in this process, judged as commands are."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tests.fuzz.bounded import SECONDS, WAITING, Outcome
from tests.server.serving import Served, serving, trained

_LIFE = ExitStack()


@cache
def _server() -> Served:
    folder = _LIFE.enter_context(tempfile.TemporaryDirectory(prefix="axsim-fuzz-"))
    served = _LIFE.enter_context(serving(trained(Path(folder))))
    served.timeout = WAITING
    return served


def posted(arguments: Sequence[str], folder: Path) -> Outcome:
    """What came back: the exit status is 0 for an answer and 2 for a refusal."""
    served = _server()
    start, used = time.perf_counter(), time.process_time()
    try:
        status, headers, content = served.raw(path=arguments[1], body=_body(folder))
        error = _wrong(status, headers, content)
    except OSError as gone:
        status, content, error = 0, b"", f"{type(gone).__name__}: {gone}"
    seconds = time.perf_counter() - start
    used = time.process_time() - used
    if not error and used > SECONDS:
        error = f"{used:.0f} s of a core"
    code = 0 if status == 200 else 2
    refusal = content.decode(errors="replace") if code else ""  # a model's words may be any
    return Outcome(arguments, code, "", refusal, error, seconds)


def end() -> None:
    """The server, if there is one, ends."""
    _LIFE.close()
    _server.cache_clear()


def _body(folder: Path) -> bytes:
    return (folder / "body").read_bytes()


def _wrong(status: int, headers: dict[str, str], content: bytes) -> str:
    """What no request may lead to; empty when nothing is wrong."""
    text = content.decode()
    if status not in (200, 400, 404, 405, 408, 413, 429, 503):
        return f"status {status}: {text[:200]}"
    if status == 200 and headers.get("content-type", "").startswith("text/event-stream"):
        events = [line for line in text.split("\n\n") if line]
        if events[-1] != "data: [DONE]":
            return f"a stream that ends with {events[-1][:200]}"
        documents = [json.loads(each.removeprefix("data: ")) for each in events[:-1]]
    else:
        documents = [json.loads(text)]
    if status != 200 and not documents[0]["error"]["message"]:
        return f"status {status} without a word"
    return ""
