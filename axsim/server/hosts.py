"""Which names a server on loopback answers to.

A page of the web can have its own name resolve to 127.0.0.1 (DNS rebinding), and what a browser
then sends there bears that name in its Host header.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from axsim.server.refusal import Refusal

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class KnownHosts:
    """Passes on to ``app`` what was sent to one of ``names``, or to none; 403 for the rest."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = dict(scope.get("headers", ()))
        name = _name(headers.get(b"host", b"").decode("latin-1"))
        if scope["type"] != "http" or not name or name in self._names:
            await self._app(scope, receive, send)
            return
        allowed = ", ".join(sorted(self._names))
        what = f"this server is not {name}; allowed: {allowed}, and what --allow-host names"
        refusal = Refusal(403, what)
        await JSONResponse(refusal.body, refusal.status)(scope, receive, send)


def _name(host: str) -> str:
    """A Host header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host
