"""The KV caches of a server: one for each conversation that is to go on (``build.kv_slots``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from axsim.server.computing import Computing, KeysAndValues
from axsim.server.history import Row, Rows
from axsim.spec.workload import BuildSection


@dataclass(frozen=True)
class Kept:
    """What is in a cache, the first ``asked`` rows as the prompt that was answered last."""

    rows: list[Row]
    asked: int


class Slots:
    """What is in them, and which one a prompt takes.

    A prompt goes on behind the rows that it has in common with a conversation, if it is that one's
    next turn, or if this saves a prefill call or a picture. A call with a history takes longer than
    one without, which two conversations that merely begin alike would pay for nothing. What is no
    next turn takes the slot that was not used for longest, with a copy of the rows; failing these,
    of the ``head`` tokens that all prompts begin with, if those were precomputed.
    """

    def __init__(self, build: BuildSection, head: int, computing: Computing | None) -> None:
        self.head = head
        self._build, self._computing = build, computing
        self._kept = dict.fromkeys(range(build.kv_slots), Kept([], 0))
        self._now = 0  # the last key of them, whose order is that of use
        self._precomputed: list[Row] = []
        self._copies: KeysAndValues | None = None

    @property
    def tokens(self) -> int:
        """Tokens in all of them."""
        return sum(len(kept.rows) for kept in self._kept.values())

    def take(self, rows: Rows | None) -> int:
        """The slot for a prompt becomes the one that is used now. Returns how many of its rows are
        there; with None, none of them."""
        oldest = next(iter(self._kept))
        if rows is None:
            self._use(oldest, Kept([], 0))
            return 0
        shared = {slot: self._shared(rows, kept) for slot, kept in self._kept.items()}
        best = max(shared, key=shared.__getitem__)
        head = self._common(rows, self._precomputed)
        copies, count = self._copies, max(head, shared[best])
        if shared[best] > head:
            asked = self._kept[best].asked
            if best == oldest or 0 < asked <= shared[best]:
                self._use(best, Kept(rows.all[:count], asked))
                return count
            self._use(best, self._kept[best])
            if self._computing is not None:
                copies = self._computing.keys_and_values(count)
        self._use(oldest, Kept(rows.all[:count], 0))
        if self._computing is not None and copies is not None and count:
            self._computing.restore(copies)
        return count

    def keep(self, prompt: list[Row], answer: list[int]) -> None:
        """What is in the slot now; the last token of the answer is not."""
        self._kept[self._now] = Kept([*prompt, *answer[:-1]], len(prompt))

    def precompute(self) -> None:
        """The slot holds the head of all prompts: copy it for them."""
        self._precomputed = self._kept[self._now].rows[: self.head]
        if self._computing is not None:
            self._copies = self._computing.keys_and_values(self.head)

    def forget(self) -> None:
        """Nothing is there any more."""
        self._kept = dict.fromkeys(self._kept, Kept([], 0))
        self._precomputed, self._copies = [], None

    def _use(self, slot: int, kept: Kept) -> None:
        del self._kept[slot]
        self._kept[slot], self._now = kept, slot
        if self._computing is not None:
            self._computing.use(slot)

    def _shared(self, rows: Rows, kept: Kept) -> int:
        """The rows that a prompt takes from a conversation."""
        common, size = self._common(rows, kept.rows), self._build.prefill_chunk
        calls, fewer = (-(-count // size) for count in (len(rows.all), len(rows.all) - common))
        next_turn = 0 < kept.asked <= common
        return common if next_turn or fewer < calls or rows.pictures_in(common) else 0

    def _common(self, rows: Rows, kept: Sequence[Row]) -> int:
        """What of a prompt is there: whole chunks of it where the compiled histories do not reach
        further."""
        common, size = rows.common(kept), self._build.prefill_chunk
        last = common + (len(rows.all) - 1 - common) // size * size
        histories = self._build.compiled_histories
        if histories and last > histories[-1]:
            return rows.common(kept[: common // size * size])
        return common
