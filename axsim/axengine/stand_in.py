"""The simulated board that sessions run on: one chip, one clock.

A call runs on the first free partition of the NPU that has as many cores as its model, to its end;
calls that wait for one go in the order of asking. Calls on several partitions run at a time and
share the DRAM. Between calls the clock stands still, whatever the script does; the host's own work
around a decoder layer and the round trip over PCIe are part of a call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import TypeVar

from simpy import Environment, Store

from axsim.axengine.calls import SessionUsage, Usage
from axsim.axengine.shared_clock import SharedClock
from axsim.axmodel.model import Model
from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import override
from axsim.spec.vnpu import Vnpu, partitions_of
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
    soc: Soc
    partitions: dict[str, str]  # NPU modes
    free: dict[str, Store]  # partitions by the NPU mode of models that run on them
    usage: Usage
    loaded: int = 0  # bytes of weights in DRAM


class StandIn:
    """``chip`` by name or file; without one, the chip that the first file was built for.

    ``card``: the chip is on a card behind PCIe, so that scripts find the provider for cards.
    ``realtime``: calls take as long as on the chip, where this machine is fast enough. ``vnpu``:
    how the NPU is divided.

    Raises:
        InputError: there is no such chip, or it cannot be divided so.
    """

    def __init__(
        self,
        chip: Chip | str | None = None,
        card: bool = False,
        realtime: bool = False,
        vnpu: Vnpu | str = Vnpu.disabled,
    ) -> None:
        self._card, self._realtime, self._vnpu = card, realtime, _vnpu(vnpu)
        self._env = Environment()
        self.has_one_thread()
        self._known: dict[str, Deployment] = {}
        self._state: _State | None = None
        if chip is not None:
            self._start(chip if isinstance(chip, Chip) else load_chip(chip))

    def has_one_thread(self) -> None:
        """Forget what other threads hold or wait for: here is the only one."""
        self._lock, self._computing = RLock(), RLock()
        self._clock = SharedClock(self._env)

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
        return self._clock.now_us / 1e3

    @property
    def vnpu(self) -> Vnpu:
        """How the NPU is divided."""
        return self._vnpu

    @property
    def usage(self) -> Usage:
        """What the chip did so far."""
        return self._state.usage if self._state else Usage("", "", self._vnpu.value)

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

    def check_mode(self, mode: str) -> None:
        """ValueError when no partition runs models of an NPU mode."""
        state = self._state
        assert state is not None
        if mode not in state.free:
            have = ", ".join(state.partitions.values())
            raise ValueError(
                f"a model for {mode} does not run while VNPU is {self._vnpu.value}: "
                f"{state.chip.name} has partitions {have} then"
            )

    def call(
        self, model: Model, group: int, usage: SessionUsage, compute: Callable[[], T]
    ) -> tuple[T, float]:
        """One invocation: its numbers, and how many ms of the chip it took."""
        with self._clock.standing():
            asked, asked_here = self.now_ms, _perf_counter()
            with self._computing:
                begun = _perf_counter()
                numbers = compute()
                spent = 1e3 * (_perf_counter() - begun)
            waited = self._clock.wait(self._invocation(model, group)) / 1e3
            whole = self.now_ms - asked
            took = whole - waited
            with self._lock:
                self.usage.host_ms += spent
                self.usage.late += spent > whole
                self.usage.clock_ms = self.now_ms
                usage.of(group).add(took, waited)
            if self._realtime:
                _sleep(max(0.0, whole / 1e3 - (_perf_counter() - asked_here)))
        return numbers, took

    def _invocation(self, model: Model, group: int) -> Steps:
        """What a call does on the chip. Returns for how long it waited, us."""
        state = self._state
        assert state is not None
        host_us, waited = self._host_us(model, group), 0.0
        if host_us:
            waited += yield from state.soc.work(host_us)
        asked, free = self._env.now, state.free[model.manifest.npu_mode]
        partition = yield free.get()
        waited += self._env.now - asked
        own, _ = yield from state.soc.invoke(model.subgraph(group).program, partition)
        yield free.put(partition)
        return waited + own

    def pass_time(self, seconds: float) -> None:
        """Let this thread sleep on the chip's clock."""

        def sleep() -> Steps:
            yield self._env.timeout(seconds * 1e6)

        with self._clock.standing():
            self._clock.wait(sleep())

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
        partitions = partitions_of(chip, self._vnpu)
        free: dict[str, Store] = {}
        for name, mode in partitions.items():
            free.setdefault(mode, Store(self._env)).items.append(name)
        if self._vnpu is Vnpu.disabled:
            free = dict.fromkeys(chip.modes, free[chip.default_mode])
        usage = Usage(chip.name, chip.default_mode, self._vnpu.value)
        self._state = _State(chip, Soc(self._env, chip, partitions), partitions, free, usage)


def _vnpu(value: Vnpu | str) -> Vnpu:
    try:
        return Vnpu(value)
    except ValueError:
        allowed = ", ".join(each.value for each in Vnpu)
        raise InputError(Problem("", "vnpu", f"found {value!r}", allowed)) from None


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


def _after_fork() -> None:
    for board in _current:
        board.has_one_thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
