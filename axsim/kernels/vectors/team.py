"""Threads that take parts of a compiled loop's work without the interpreter.

A helper that waits for the interpreter's lock, or sleeps, comes too late for work of half a
millisecond. So helpers look for work in a compiled loop for some time before they sleep, as those
of onnxruntime and OpenMP do. Who takes a part counts it down in one atomic word, so that the work
is done with or without helpers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, njit, types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from axsim.kernels.array import Array
from axsim.kernels.jit import compiled, kept
from axsim.kernels.parallel import on_a_task
from axsim.kernels.scratch import aligned

_types: Any = types
_intrinsic: Any = intrinsic
_utilities: Any = cgutils
_borrowed: Any = impl_ret_borrowed
_LINE = 8
"""Numbers of a cache line: what threads write lies on lines of its own."""
_LEFT, _DONE, _TASK, _ARGUMENTS, _COUNT = (n * _LINE for n in range(5))
"""Where on a board the parts left are, with the number of the work above them; the parts done; and
the address of a task, that of its arguments, and the number of its parts."""
_PARTS = 16
"""Bits of the parts left."""
MOST = (1 << _PARTS) - 1
"""Parts of any work."""
_PATIENCE = 20_000
"""How often a helper looks for work before it sleeps: about a millisecond."""

_I64 = ir.IntType(64)


class Task:
    """Work in parts that a team does.

    ``function``: ``task(part, worker, at)`` for numba, where the ``worker``'s number is below that
    of workers and the arguments are at ``at`` (:func:`arguments_of`); compiled when it is
    first called. ``kind``: numba's type of the arguments.
    """

    def __init__(self, function: Callable[..., None], kind: Any) -> None:
        self._function, self._kind = function, kind

    @cached_property
    def _compiled(self) -> tuple[Any, int, Any]:
        """As C has functions, the address of that, and what calls it."""
        board = array("int64", 1, written=True)
        signature = types.void(board, types.int64, types.int64, self._kind)
        entry = kept(self._function, cfunc, types.void(*[types.int64] * 3))
        return entry, entry.address, kept(_run, njit, signature, nogil=True)

    def __call__(self, parts: int, arguments: tuple[Any, ...], workers: int) -> None:
        """Do parts 0 to ``parts`` - 1, on so many threads where there are several parts."""
        assert parts <= MOST
        _, address, run = self._compiled
        if parts > 1 and workers > 1 and not on_a_task():
            team = _team(workers - 1)
            # While another thread has the helpers, this one works alone.
            if team.lock.acquire(blocking=False):
                try:
                    if not team.wanted.is_set():
                        team.wanted.set()
                    run(team.board, address, parts, arguments)
                finally:
                    team.lock.release()
                return
        run(_own.board, address, parts, arguments)


class _Own(threading.local):
    """A board for each thread, without helpers."""

    def __init__(self) -> None:
        self.board = _new_board()


class _Team:
    """Helpers, the board from which they take work, and what wakes them; who holds the lock may
    write on the board."""

    def __init__(self, helpers: int) -> None:
        self.board, self.wanted, self.lock = _new_board(), threading.Event(), threading.Lock()
        for worker in range(1, helpers + 1):
            name, arguments = f"axsim-{worker}", (self.board, self.wanted, worker)
            threading.Thread(target=_work, args=arguments, name=name, daemon=True).start()


def _work(board: Array, wanted: threading.Event, worker: int) -> None:
    while True:
        wanted.wait()
        _help(board, worker)
        wanted.clear()


@cache
def _team(helpers: int) -> _Team:
    return _Team(helpers)


if hasattr(os, "register_at_fork"):  # a child process has none of the threads
    os.register_at_fork(after_in_child=_team.cache_clear)


def _new_board() -> Array:
    board = aligned((5 * _LINE,), np.int64)
    board[:] = 0
    return board


_own = _Own()


def array(dtype: str, dimensions: int, *, written: bool = False) -> Any:
    """numba's type of a C-contiguous array that is read, or ``written`` as well."""
    return _types.Array(getattr(types, dtype), dimensions, "C", readonly=not written)


def together(*kinds: Any) -> Any:
    """numba's type of a tuple of such."""
    kind: Any = _types.BaseTuple
    return kind.from_types(kinds)


def arguments_of(kind: Any) -> Any:
    """A function for compiled loops: the arguments, of numba's type ``kind``, at an address."""

    def load(typing: Any, at: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            pointer = builder.inttoptr(values[0], context.get_value_type(kind).as_pointer())
            return _borrowed(context, builder, kind, builder.load(pointer))

        return kind(at), code

    return _intrinsic(load)


# LLVM's atomic instructions, on the number ``i`` of a board.


def _at(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, values[0]).data
    return builder.gep(data, [values[1]])


def _read_of(typing: Any, board: Any, i: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _at(context, builder, signature, values)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(board, i), code


def _write_of(typing: Any, board: Any, i: Any, value: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _at(context, builder, signature, values)
        builder.store_atomic(values[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(board, i, types.int64), code


def _add_of(typing: Any, board: Any, i: Any, value: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _at(context, builder, signature, values)
        return builder.atomic_rmw("add", place, values[2], "seq_cst")

    return types.int64(board, i, types.int64), code


def _swap_of(typing: Any, board: Any, i: Any, old: Any, new: Any) -> Any:
    """Whether the number was ``old``, and is ``new`` now."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _at(context, builder, signature, values)
        found = builder.cmpxchg(place, values[2], values[3], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(board, i, types.int64, types.int64), code


def _placed_of(typing: Any, arguments: Any) -> Any:
    """The address of arguments, which stay there until the calling function ends."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.ptrtoint(_utilities.alloca_once_value(builder, values[0]), _I64)

    return types.int64(arguments), code


def _call_of(typing: Any, task: Any, part: Any, worker: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_I64] * 3)
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), code


def _pause_of(typing: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pause = builder.module.declare_intrinsic(
            "llvm.x86.sse2.pause", fnty=ir.FunctionType(ir.VoidType(), [])
        )
        builder.call(pause, [])
        return context.get_dummy_value()

    return types.void(), code


_read = _intrinsic(_read_of)
_write = _intrinsic(_write_of)
_add = _intrinsic(_add_of)
_swap = _intrinsic(_swap_of)
_placed = _intrinsic(_placed_of)
_call = _intrinsic(_call_of)
_pause = _intrinsic(_pause_of)


def _run(board: Any, task: Any, count: Any, arguments: Any) -> None:
    board[_TASK], board[_ARGUMENTS], board[_COUNT], board[_DONE] = (
        task,
        _placed(arguments),
        count,
        0,
    )
    number = (_read(board, _LEFT) >> _PARTS) + 1
    _write(board, _LEFT, (number << _PARTS) + count)
    while _takes(board, 0):
        pass
    while _read(board, _DONE) < count:
        _pause()


@compiled
def _help(board: Any, worker: Any) -> None:
    looked = 0
    while looked < _PATIENCE:
        if _takes(board, worker):
            looked = 0
        else:
            _pause()
            looked += 1


@compiled
def _takes(board: Any, worker: Any) -> Any:
    """Do one part, if one is left."""
    word = _read(board, _LEFT)
    left = word & MOST
    if left == 0:
        return False
    # These are of the work whose number the word has, or the word is another one by now.
    task, at, count = board[_TASK], board[_ARGUMENTS], board[_COUNT]
    if _swap(board, _LEFT, word, word - 1):
        _call(task, count - left, worker, at)
        _add(board, _DONE, 1)
    return True
