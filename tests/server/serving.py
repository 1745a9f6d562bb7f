"""Servers in a thread of the tests' process, on tiny models."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from axsim.compiler.partition import Deployment
from axsim.runs.sources import Sources
from axsim.server.hosts import LOOPBACK
from axsim.server.listen import address, bind
from axsim.server.load import load
from axsim.server.routes import Api
from axsim.server.service import Service
from axsim.server.waiting import Desk
from axsim.spec.chip import load_chip
from axsim.spec.workload import Workload
from tests.runs import tiny
from tests.runs.talking import MODEL, write_model

BUILD = {"prefill_chunk": 64, "kv_cache_len": 511}


def trained(folder: Path, system: str | None = None, build: Any = None) -> Service:
    """A checkpoint of bytes that sees, written into ``folder`` unless it is there."""
    if not (folder / "config.json").exists():
        write_model(folder)
    workload = Workload.of("talking", MODEL, build={**BUILD, **(build or {})})
    deployment = Deployment(workload, load_chip("ax630c"))
    sources = Sources.of(folder, calibrate_on="seeded")
    return load(deployment, "tiny", sources, system=system)


def synthetic(timing_only: bool = False, token_ms: float | None = None, **build: Any) -> Service:
    """Seeded weights without a tokenizer; ``token_ms`` is what a token takes besides the NPU's
    work."""
    workload = tiny.workload(build={"kv_cache_len": 200, **build})
    layers = tiny.DECODER.num_hidden_layers
    host = {} if token_ms is None else {"host.decode_layer_ms": token_ms / layers}
    deployment = Deployment(workload, load_chip("ax630c", host))
    return load(deployment, "tiny", timing_only=timing_only)


@dataclass
class Served:
    """A server under test."""

    address: str
    desk: Desk
    loop: asyncio.AbstractEventLoop
    timeout: float = 30

    def raw(
        self,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        body: Any = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one exchange; ``body`` as bytes, or to be JSON."""
        connection = HTTPConnection(urlsplit(self.address).netloc, timeout=self.timeout)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return response.status, found, response.read()
        finally:
            connection.close()

    def ask(self, text: str = "hello", **more: Any) -> tuple[int, Any]:
        """Status and document of a question."""
        messages = [{"role": "user", "content": text}]
        status, _, found = self.raw(body={"messages": messages, **more})
        return status, json.loads(found)


@contextmanager
def serving(
    service: Service, queue: int = 16, fast: bool = True, max_body: int = 2**20, buffer: int = 0
) -> Iterator[Served]:
    """A server that ends with the block; ``buffer`` bytes are what its system sends ahead."""
    listening = bind("127.0.0.1", 0)
    if buffer:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    desk = Desk(service.engine, queue, fast)
    app = Api(service, desk, max_body, [*LOOPBACK, "board.lan"]).app()
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(
        target=loop.run_until_complete, args=[server.serve([listening])], daemon=True
    )
    thread.start()
    try:
        yield Served(address(listening), desk, loop)
    finally:
        loop.call_soon_threadsafe(desk.close)
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
        loop.close()
        listening.close()
