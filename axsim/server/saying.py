"""Tokens become text, which may end because of what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from axsim.inputs.tokenizer import Decodes, Stream


class Stops:
    """Lets text through up to the first of some sequences. What may be the beginning of one is held
    back until it is known; ``found`` says whether one has come, which itself is not let through."""

    def __init__(self, sequences: Iterable[str]) -> None:
        self._sequences = [each for each in sequences if each]
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """What of the text so far can be said now."""
        if self.found:
            return ""
        self._held += text
        places = [self._held.find(each) for each in self._sequences]
        first = min((place for place in places if place >= 0), default=None)
        if first is not None:
            self.found = True
            said, self._held = self._held[:first], ""
            return said
        kept = max(map(self._beginning, self._sequences), default=0)
        cut = len(self._held) - kept
        said, self._held = self._held[:cut], self._held[cut:]
        return said

    def rest(self) -> str:
        """What is held back when nothing follows."""
        said, self._held = self._held, ""
        return said

    def _beginning(self, sequence: str) -> int:
        """How many letters at the end are the first ones of a sequence."""
        longest = min(len(sequence) - 1, len(self._held))
        found = (n for n in range(longest, 0, -1) if self._held.endswith(sequence[:n]))
        return next(found, 0)


class Saying:
    """Tokens become text. ``ends`` is what the simulated request ends with: a token that completes
    a stop sequence is put there."""

    def __init__(
        self, tokens: Decodes, stops: Sequence[str], ends: set[int], limit: int, notice: str
    ) -> None:
        self._stream, self._stops = Stream(tokens), Stops(stops)
        self._ends, self._limit, self._notice = ends, limit, notice
        self.tokens: list[int] = []
        self.ended = False

    def push(self, token: int) -> str:
        """The text that a token lets be said."""
        self.tokens.append(token)
        if token in self._ends:
            self.ended = True
            text = self._stops.rest()
        else:
            text = self._stops.push(self._stream.push(token))
            if self._stops.found:
                self._ends.add(token)
                self.ended = True
            elif len(self.tokens) == self._limit:
                text += self._stops.rest()
        notice, self._notice = self._notice, ""
        return notice + text
