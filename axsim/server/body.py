"""Bodies of requests, no larger and no slower than allowed."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from axsim.server.refusal import Refusal

UPLOAD_S = 30.0
"""A body must be there after so many seconds."""


async def read_body(request: Request, most: int) -> bytes:
    """The body of ``most`` bytes at most; Refusal for a larger one and for one that takes too
    long."""
    try:
        return await asyncio.wait_for(_whole(request, most), UPLOAD_S)
    except asyncio.TimeoutError:
        raise Refusal(408, f"the body was not there after {UPLOAD_S:g} s") from None


async def _whole(request: Request, most: int) -> bytes:
    found = bytearray()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise _too_large(most)
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise _too_large(most)
    return bytes(found)


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"the body is larger than {most / 2**20:g} MiB (--max-body)")
