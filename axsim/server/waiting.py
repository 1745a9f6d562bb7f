"""Takes requests one at a time, lets others wait, and hands out tokens at the pace of the chip.

The kernels run in one worker thread. What it has computed waits until the chip would have had it;
nothing waits for a client that reads slowly.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from axsim.server.engine import Cancelled, Engine, Order, Outcome, Piece
from axsim.server.refusal import Refusal

LOG = logging.getLogger("axsim.server")
GRACE_S = 0.1
"""A token that comes so much late is no reason to speak of another pace."""
RETRY_S = 1
"""After so many seconds a client that was turned away may come again."""


class Answer:
    """What becomes of one order: iterating gives its pieces when they are due. ``outcome`` is there
    after the last one."""

    outcome: Outcome

    def __init__(self, order: Order) -> None:
        self.order = order
        self._events: asyncio.Queue[Piece | Outcome | Exception] = asyncio.Queue()
        self._given_up = asyncio.Event()
        self._stop = threading.Event()  # the same for the worker thread
        self._why: Exception = Cancelled()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            if isinstance(event, Outcome):
                self.outcome = event
                return
            yield event

    def give_up(self, why: Exception | None = None) -> None:
        """Nobody wants it any more, or nobody can have it: then ``why`` is raised in the
        iteration."""
        if why is not None and self.wanted:
            self._why = why
        self._given_up.set()
        self._stop.set()

    @property
    def wanted(self) -> bool:
        """Whether it was not given up."""
        return not self._stop.is_set()

    def put(self, event: Piece | Outcome | Exception) -> None:
        """For the desk: what comes next."""
        self._events.put_nowait(event)

    async def until(self, time: float) -> None:
        """For the desk: wait for a moment of the loop's clock. Raises when it is given up."""
        left = time - asyncio.get_running_loop().time()
        if left > 0:
            try:
                await asyncio.wait_for(self._given_up.wait(), left)
            except asyncio.TimeoutError:
                return
        self.check()

    def check(self) -> None:
        """For the desk: raises when it is given up."""
        if not self.wanted:
            raise self._why


class Desk:
    """The one queue of a server. ``queue`` requests may wait for the one that is answered; with
    ``fast``, tokens are handed out as soon as they are computed."""

    def __init__(self, engine: Engine, queue: int, fast: bool = False) -> None:
        self.engine = engine
        self.queue, self.fast = queue, fast
        self.late_s = 0.0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "kernels")
        self._open: dict[Answer, asyncio.Task[None]] = {}
        self._closed = False

    @property
    def open(self) -> int:
        """Requests that are answered or wait, without those that were given up."""
        return sum(answer.wanted for answer in self._open)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return max(0, self.open - 1)

    def take(self, order: Order) -> Answer:
        """Begin to answer, or let the order wait; Refusal when too many wait already."""
        if self._closed:
            raise Refusal(503, "the server is shutting down")
        if self.open > self.queue:
            waiting = f"and {self.queue} wait" if self.queue else "and none may wait"
            raise Refusal(
                503,
                f"one request is being answered {waiting} (--queue)",
                code="queue_full",
                headers={"Retry-After": str(RETRY_S)},
            )
        answer = Answer(order)
        self._open[answer] = asyncio.get_running_loop().create_task(self._serve(answer))
        return answer

    def close(self) -> None:
        """Give up all requests, and take no more."""
        self._closed = True
        for answer in self._open:
            answer.give_up(Refusal(503, "the server is shutting down"))

    async def closed(self) -> None:
        """Close, and wait until the worker thread has ended."""
        self.close()
        await asyncio.gather(*self._open.values())
        self._thread.shutdown()

    async def _serve(self, answer: Answer) -> None:
        try:
            async with self._turn:
                answer.check()
                answer.put(await self._simulate(answer))
        except Exception as error:
            if not isinstance(error, Cancelled | Refusal):
                LOG.debug("a request failed", exc_info=error)
            answer.put(error)
        finally:
            del self._open[answer]

    async def _simulate(self, answer: Answer) -> Outcome:
        """Let the engine answer in the worker thread, and put what it tells when that is due."""
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[Piece | None] = asyncio.Queue()

        def tell(piece: Piece | None) -> None:
            loop.call_soon_threadsafe(told.put_nowait, piece)

        def work() -> Outcome:
            try:
                return self.engine.answer(answer.order, tell, lambda: answer.wanted)
            finally:
                tell(None)

        began, held_up = loop.time(), 0.0
        computed = loop.run_in_executor(self._thread, work)
        try:
            while (piece := await told.get()) is not None:
                if not self.fast:
                    due = began + held_up + piece.ms / 1e3
                    late = loop.time() - due
                    held_up += late if late > GRACE_S else 0.0
                    await answer.until(due)
                answer.put(piece)
        except BaseException:
            answer.give_up()
            raise
        finally:
            await asyncio.gather(computed, return_exceptions=True)
        answer.check()
        if held_up:
            self.late_s += held_up
            why = "this machine computes slower than the chip: the pace was the host's"
            LOG.warning("held up for %.1f s: %s", held_up, why)
        return computed.result()
