"""``axsim serve`` as a person starts and ends it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")

from axsim.cli.serve import _names
from tests.cli.command import COMMAND, axsim
from tests.runs.tiny import write


@contextmanager
def started(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of a server, and its address."""
    command = [*COMMAND, "serve", str(write(folder)), "--chip", "ax630c", "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, process.communicate()
        yield process, next(word for word in line.split() if word.startswith("http://"))
    finally:
        process.kill()
        process.communicate()


def test_names_that_a_server_answers_to() -> None:
    loopback = ["localhost", "127.0.0.1", "::1"]
    assert _names("127.0.0.2", ["pi.lan"]) == [*loopback, "127.0.0.2", "pi.lan"]
    assert _names("0.0.0.0", []) is None
    assert _names("0.0.0.0", ["pi.lan"]) == [*loopback, "0.0.0.0", "pi.lan"]


def ask(address: str, **more: object) -> urllib.request.Request:
    body = {"messages": [{"role": "user", "content": "hello"}], **more}
    return urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_and_ends_when_told_to(tmp_path: Path, number: int) -> None:
    options = ["--timing-only", "--system", "be brief", "--name", "mine"]
    public = number == signal.SIGTERM
    if public:
        options += ["--host", "0.0.0.0", "--fast"]
    else:  # tokens that take their time
        options += ["--set", "chip.host.decode_layer_ms=200"]
    with started(tmp_path, *options) as (process, address):
        with urllib.request.urlopen(ask(address, model="mine", max_tokens=2)) as response:
            document = json.load(response)
        assert document["usage"]["completion_tokens"] == 2
        cached = document["usage"]["prompt_tokens_details"]["cached_tokens"]
        stream = None if public else urllib.request.urlopen(ask(address, stream=True))
        assert stream is None or stream.readline().startswith(b"data: ")
        process.send_signal(number)
        assert stream is None or b"shutting down" in stream.read()
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    lines = errors.splitlines()
    assert f"system prompt: {cached} tokens in the KV cache" in errors
    assert "answers begin with [no kernels: seeded tokens without meaning]" in lines
    assert ("warning: whoever reaches 0.0.0.0 can use this server" in lines) == public
    assert ("--fast: the pace is this machine's" in errors) == public
    assert lines[-1] == "ended"
    assert "Traceback" not in errors


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = axsim("serve", write(tmp_path), "--chip", "ax630c", "--port", port, code=2)
    assert result.stderr.splitlines() == [
        f"error: port {port} of 127.0.0.1 is in use; allowed: another --port, or 0 for any free one"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("siglip2_b16", "--chip", "ax630c"), "has no decoder: nothing that answers a question"),
        (("qwen3_0_6b", "--chip", "ax63"), "did you mean 'ax630c'?"),
        (("qwen3_0_6b", "--chip", "ax630c", "--host", "256.1.1.1"), "cannot listen on 256.1.1.1"),
        (("qwen3_0_6b", "--chip", "ax630c", "--images", "x"), "no vision part in u8 or u16"),
        (
            ("internvl2_1b", "--chip", "ax630c", "--timing-only", "--images", "x"),
            "--images is for the kernels, which --timing-only leaves out",
        ),
        (("qwen3_0_6b", "--chip", "ax630c", "--checkpoint", "x"), "x"),
        (
            ("qwen3_0_6b", "--chip", "ax630c", "--timing-only", "--system", "a " * 9999),
            "tokens; allowed: ",
        ),
    ],
)
def test_what_cannot_be_served(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = axsim("serve", *options, *(() if "--port" in options else ("--port", 0)), code=2,
                   folder=tmp_path)  # fmt: skip
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    result = axsim("serve", "qwen3_0_6b", "--chip", "ax630c", code=2)
    assert result.stderr == "error: serving needs starlette: pip install 'axsim[serve]'\n"
