"""HTTP: the addresses of the server, and what each answers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from axsim.errors import InputError
from axsim.server.body import read_body
from axsim.server.completion import Completion
from axsim.server.engine import Cancelled
from axsim.server.hosts import KnownHosts
from axsim.server.prometheus import CONTENT_TYPE, Meters
from axsim.server.refusal import Refusal
from axsim.server.service import Service
from axsim.server.waiting import Answer, Desk
from axsim.server.wire import read_request

LOG = logging.getLogger("axsim.server")
GONE = 499
"""Status in logs and metrics of a request whose client went away, as nginx has it."""
DONE = "data: [DONE]\n\n"
PAGE = {"": ("chat.html", "text/html"), "chat.css": ("chat.css", "text/css"),
        "chat.js": ("chat.js", "text/javascript")}  # fmt: skip
"""The files of the page, by their addresses."""
_POLICY = "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'"


class Api:
    """The application of one server. Bodies have ``max_body`` bytes at most; ``hosts`` are the
    names that it answers to, all when None."""

    def __init__(
        self, service: Service, desk: Desk, max_body: int, hosts: Iterable[str] | None = None
    ) -> None:
        self._service, self._desk, self._max_body = service, desk, max_body
        self._hosts = hosts
        self._meters = Meters(desk)
        self._created = int(time.time())

    def app(self) -> Starlette:
        """It, for an ASGI server."""
        routes = [
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{name:path}", self._model, methods=["GET"]),
            Route("/v1/chat/completions", self._completions, methods=["POST"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            *(Route(f"/{path}", _file(*named), methods=["GET"]) for path, named in PAGE.items()),
        ]
        handlers: Any = {Refusal: _refuse, HTTPException: _no_such_thing, Exception: _defect}
        app = Starlette(routes=routes, exception_handlers=handlers, lifespan=self._life)
        if self._hosts is not None:
            app.add_middleware(KnownHosts, names=self._hosts)
        return app

    @asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncIterator[None]:
        yield
        await self._desk.closed()

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._described]})

    async def _model(self, request: Request) -> Response:
        self._service.check_name(request.path_params["name"])
        return JSONResponse(self._described)

    @property
    def _described(self) -> dict[str, Any]:
        own = {"id": self._service.name, "object": "model", "created": self._created}
        pace = "host" if self._desk.fast else "chip"
        about = {
            **self._service.about,
            "context_length": self._desk.engine.context,
            "pace": pace,
        }
        return {**own, "owned_by": "axsim", "axsim": about}

    async def _metrics(self, request: Request) -> Response:
        return Response(self._meters.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _completions(self, request: Request) -> Response:
        try:
            asked = read_request(await read_body(request, self._max_body))
            order = await asyncio.to_thread(self._service.order, asked)
            answer = self._desk.take(order)
        except Refusal as refusal:
            self._meters.ended(refusal.status)
            raise
        except ClientDisconnect:
            self._meters.ended(GONE)
            return Response(status_code=GONE)
        completion = Completion(self._service.name, self._service.fingerprint)
        if asked.stream:
            events = self._stream(answer, completion, asked.wants_usage)
            headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        return await self._whole(request, answer, completion)

    async def _whole(self, request: Request, answer: Answer, completion: Completion) -> Response:
        """The answer as one document; given up when the client goes away."""
        text = asyncio.ensure_future(_all(answer))
        gone = asyncio.ensure_future(_gone(request))
        status = GONE
        try:
            await asyncio.wait({text, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not text.done():
                return Response(status_code=GONE)
            document = completion.whole(text.result(), answer.outcome)
            status = 200
            return JSONResponse(document)
        except Exception as error:
            refusal = _told(error)
            status = refusal.status
            raise refusal from error
        finally:
            gone.cancel()
            text.cancel()
            self._ended(answer, status)

    async def _stream(
        self, answer: Answer, completion: Completion, wants_usage: bool
    ) -> AsyncIterator[str]:
        """The answer as server-sent events; given up when nobody takes them any more."""
        status, first = GONE, True
        try:
            async for piece in answer:
                if first or piece.text:
                    yield _event(completion.chunk(piece, first))
                first = False
            yield _event(completion.last(answer.outcome))
            if wants_usage:
                yield _event(completion.used(answer.outcome))
            status = 200
            yield DONE
        except Exception as error:
            refusal = _told(error)
            status = refusal.status
            yield _event(refusal.body)
        finally:
            self._ended(answer, status)

    def _ended(self, answer: Answer, status: int) -> None:
        answer.give_up()
        self._meters.ended(status)
        if status != 200:
            LOG.info("ended with %d%s", status, ": the client went away" * (status == GONE))
            return
        outcome = answer.outcome
        self._meters.answered(outcome)
        timeline = outcome.timeline
        LOG.info(
            "%d prompt tokens, %d of them cached; %d new ones; simulated: first token after "
            "%.1f ms (TTFT %.1f ms), %.2f tokens/s",
            outcome.prompt_tokens, outcome.cached_tokens, outcome.new_tokens,
            timeline.image_to_first_token_ms, timeline.ttft_ms, timeline.decode_tokens_per_s,
        )  # fmt: skip


async def _all(answer: Answer) -> str:
    return "".join([piece.text async for piece in answer])


async def _gone(request: Request) -> None:
    """Wait until the client goes away; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _told(error: Exception) -> Refusal:
    """What the client is told of an error; one that is not its own is a defect, and logged."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InputError):
        return Refusal(400, str(error), param="messages")
    if not isinstance(error, Cancelled):
        LOG.error("a request failed", exc_info=error)
    return Refusal(500, "the request failed; the server's log says why")


def _event(document: dict[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n"


def _file(name: str, kind: str) -> Any:
    async def file(request: Request) -> Response:
        content = files("axsim.server").joinpath(name).read_bytes()
        headers = {"Content-Security-Policy": _POLICY}
        return Response(content, media_type=kind, headers=headers)

    return file


async def _refuse(request: Request, refusal: Refusal) -> Response:
    return JSONResponse(refusal.body, refusal.status, headers=dict(refusal.headers))


async def _no_such_thing(request: Request, error: HTTPException) -> Response:
    """Another address or method."""
    path = request.url.path
    what = f"{request.method} is not allowed for {path}" if error.status_code == 405 else path
    message = what if error.status_code == 405 else f"there is nothing at {what}"
    return await _refuse(request, Refusal(error.status_code, message, headers=error.headers or {}))


async def _defect(request: Request, error: Exception) -> Response:
    return await _refuse(request, Refusal(500, "the request failed; the server's log says why"))
