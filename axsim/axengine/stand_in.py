"""The simulated board that sessions run on: one chip, one clock.

Calls of several threads and sessions take turns: the NPU runs one invocation at a time to its end,
in the order of asking. Between calls the clock stands still, whatever the script does; the host's
own work around a decoder layer and the round trip over PCIe are part of a call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import TypeVar

from simpy import Environment

from axsim.axengine.calls import GroupUsage, SessionUsage, Usage
from axsim.axmodel.model import Model
from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import override
from axsim.system.invocation import Steps
from axsim.system.request import HostCosts
from axsim.system.soc import Soc

T = TypeVar("T")

_MIB = 1 << 20
_sleep, _perf_counter = time.sleep, time.perf_counter  # of this machine, whatever scripts see


@dataclass
class _State:
    """What exists once the chip is known."""

    chip: Chip
    env: Environment
    soc: Soc
    usage: Usage
    loaded: int = 0  # bytes of weights in DRAM


class StandIn:
    """``chip`` by name or file; without one, the chip that the first file was built for.

    ``card``: the chip is on a card behind PCIe, so that scripts find the provider for cards.
    ``realtime``: calls take as long as on the chip, where this machine is fast enough.
    """

    def __init__(
        self, chip: Chip | str | None = None, card: bool = False, realtime: bool = False
    ) -> None:
        self._card, self._realtime = card, realtime
        self._lock = RLock()
        self._known: dict[str, Deployment] = {}
        self._state: _State | None = None
        if chip is not None:
            self._start(chip if isinstance(chip, Chip) else load_chip(chip))

    @property
    def chip(self) -> Chip | None:
        """The chip, once it is known."""
        return self._state.chip if self._state else None

    @property
    def card(self) -> bool:
        """Whether the chip is on a card."""
        return self._card or (self.chip is not None and self.chip.host.link is not None)

    @property
    def now_ms(self) -> float:
        """The chip's clock: ms since the board was started."""
        return float(self._state.env.now) / 1e3 if self._state else 0.0

    @property
    def usage(self) -> Usage:
        """What the chip did so far."""
        return self._state.usage if self._state else Usage("", "")

    def load(self, open_model: Callable[[Callable[[str], Chip]], Model]) -> Model:
        """A file for this board; ``open_model`` is given the chip by the name in the file.

        Raises:
            InputError: as :class:`Model`, or the chip's memory does not hold it beside the others.
        """
        with self._lock:
            model = open_model(self._chip_for)
            state = self._state
            assert state is not None
            needed = state.loaded + model.subgraph(0).program.weight_bytes
            dram = state.chip.dram
            have_bytes = dram.npu_bytes or dram.capacity_bytes
            if needed > have_bytes:
                have = f"{state.chip.name} has {have_bytes // _MIB} MiB"
                what = f"does not fit: with it, files take {needed // _MIB} MiB; {have}"
                raise InputError(Problem(model.name, "", what))
            state.loaded = needed
            return model

    def unload(self, model: Model) -> None:
        """Give a file's memory back."""
        with self._lock:
            if self._state is not None:
                self._state.loaded -= model.subgraph(0).program.weight_bytes

    @property
    def known(self) -> dict[str, Deployment]:
        """What files of one build share."""
        return self._known

    def joined(self, name: str, part: str) -> SessionUsage:
        """A new session."""
        with self._lock:
            same = sum(each.name.partition(" #")[0] == name for each in self.usage.sessions)
            session = SessionUsage(f"{name} #{same + 1}" if same else name, part)
            self.usage.sessions.append(session)
            return session

    def call(
        self, model: Model, group: int, usage: SessionUsage, compute: Callable[[], T]
    ) -> tuple[T, float]:
        """One invocation: its numbers, and how many ms of the chip it took."""
        state = self._state
        assert state is not None
        asked = self.now_ms
        with self._lock:
            begun = _perf_counter()
            waited = self.now_ms - asked
            numbers = compute()
            host_us = self._host_us(model, group)
            program = model.subgraph(group).program
            before = self.now_ms

            def steps() -> Steps:
                if host_us:
                    yield from state.soc.work(host_us)
                yield from state.soc.invoke(program)

            state.env.run(state.env.process(steps()))
            took = self.now_ms - before
            self._count(usage.of(group), took, waited, begun)
        return numbers, took

    def pass_time(self, seconds: float) -> None:
        """Let the clock advance without work, until so long after now."""
        until = self.now_ms + 1e3 * max(seconds, 0.0)
        with self._lock:
            if self._state is not None and until > self.now_ms:
                self._state.env.run(until * 1e3)

    def _count(self, usage: GroupUsage, took: float, waited: float, begun: float) -> None:
        """Note a call, and wait for its end on the chip where that is asked for."""
        spent = 1e3 * (_perf_counter() - begun)
        self.usage.host_ms += spent
        self.usage.late += spent > took
        usage.add(took, waited)
        if self._realtime and spent < took:
            _sleep((took - spent) / 1e3)

    def _host_us(self, model: Model, group: int) -> float:
        """What the runtime does around the call: at a decoder's layers, and over a link, which all
        inputs and outputs cross: they are the script's."""
        host, subgraph = HostCosts.of(model.deployment), model.subgraph(group)
        us = host.over_link_us(subgraph.input_bytes + subgraph.output_bytes)
        if model.manifest.part != "layer":
            return us
        return us + (host.prefill_layer_us if group else host.decode_layer_us)

    def _chip_for(self, name: str) -> Chip:
        """The board's chip, or, on a board of any chip, the one of this name."""
        if self._state is None:
            try:
                self._start(load_chip(name))
            except InputError as error:
                raise InputError([*error.problems, *_HINT.problems]) from None
        assert self._state is not None
        return self._state.chip

    def _start(self, chip: Chip) -> None:
        if self._card and chip.host.link is None:
            chip = override(chip, {"host.link": "pcie"})
        env = Environment()
        mode = chip.default_mode
        self._state = _State(chip, env, Soc(env, chip, {"npu": mode}), Usage(chip.name, mode))


_HINT = InputError("the file was built for a chip of that name; give its file with --chip")

_current: list[StandIn] = []


def current() -> StandIn:
    """The board that sessions run on: the installed one, or one of any chip."""
    if not _current:
        _current.append(StandIn())
    return _current[-1]


def use(board: StandIn) -> None:
    """Let new sessions run on ``board``."""
    _current[:] = [board]
