"""From a socket to a server that ends when it is told to."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from axsim.errors import InputError

PATIENCE_S = 3
"""After a signal, clients that do not read what is left are cut off after so many seconds."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. InputError when it can't be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            what = f"port {port} of {host} is in use"
            raise InputError(f"{what}; allowed: another --port, or 0 for any free one") from None
        reason = error.strerror or str(error)
        raise InputError(f"cannot listen on {host} port {port}: {reason}") from None


def address(listening: socket.socket) -> str:
    """The address that a browser takes."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Any, listening: socket.socket, on_end: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, which ``on_end`` is told in the event loop. A second one cuts
    everything off."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=PATIENCE_S,
    )
    asyncio.run(_Server(config, on_end).serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """Ends without the signal's own effect, so that the process ends with status 0."""

    def __init__(self, config: uvicorn.Config, on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_end = on_end

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While it serves, both signals end it."""
        loop = asyncio.get_running_loop()

        def end(number: int, frame: Any) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True
            loop.call_soon_threadsafe(self._on_end)

        signals = (signal.SIGINT, signal.SIGTERM)
        before = {each: signal.signal(each, end) for each in signals}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def public(host: str) -> bool:
    """Whether other machines can reach a host's address."""
    return not host.startswith("127.") and host not in ("localhost", "::1")
