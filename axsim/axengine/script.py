"""Running a script as Python would: arguments, ``__main__``, the folder that it imports from, and
its exit status."""

from __future__ import annotations

import builtins
import os
import sys
import threading
import traceback
from concurrent.futures import thread as pools
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from axsim.axengine.session import ModelError
from axsim.errors import InputError


def run_script(path: Path, arguments: list[str]) -> int:
    """Run a file as the main program, wait for its threads; its exit status.

    What it does not catch is printed as Python does, with status 1.

    Raises:
        InputError: the script cannot be read, or it met a file that cannot be loaded and did not
            catch that.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot open {path}: {error.strerror}") from None
    whole = os.path.join(os.getcwd(), path)
    main = ModuleType("__main__")
    vars(main).update(
        __file__=whole,
        __loader__=SourceFileLoader("__main__", whole),
        __builtins__=builtins,
        __cached__=None,
    )
    before = sys.modules.get("__main__"), sys.argv, list(sys.path)
    sys.modules["__main__"], sys.argv = main, [str(path), *arguments]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    try:
        return _status(source, whole, main)
    finally:
        _join()
        if before[0] is not None:
            sys.modules["__main__"] = before[0]
        sys.argv, sys.path[:] = before[1], before[2]


def _status(source: bytes, path: str, main: ModuleType) -> int:
    try:
        exec(compile(source, path, "exec"), vars(main))
    except SystemExit as ended:
        return _code(ended)
    except ModelError as error:
        line = next((f.lineno for f in traceback.extract_tb(error.__traceback__)[::-1]
                     if f.filename == path), None)  # fmt: skip
        print(*error.lines, sep="\n", file=sys.stderr)
        print(f"  in {path}, line {line}", file=sys.stderr)
        return 2
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename == __file__:
            own = own.tb_next
        traceback.print_exception(type(error), error, own)
        return 1
    return 0


def _code(ended: SystemExit) -> int:
    """The exit status that Python would end with."""
    if ended.code is None:
        return 0
    if isinstance(ended.code, int):
        return ended.code & 0xFF
    print(ended.code, file=sys.stderr)
    return 1


def _join() -> None:
    """Wait for the threads that Python would wait for; those of pools wait for work themselves."""
    pooled = getattr(pools, "_threads_queues", {})
    for thread in threading.enumerate():
        if thread is threading.current_thread() or thread.daemon or thread in pooled:
            continue
        thread.join()
