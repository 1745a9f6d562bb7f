"""The threads of numpy's BLAS.

Where every core works on a block of its own, BLAS must not start threads of its own as well: they
would wait for each other. numpy's wheels bring OpenBLAS, whose entry points are looked up here;
with another BLAS nothing is changed.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy

_lock = threading.Lock()


@lru_cache(maxsize=1)
def _entry_points() -> tuple[Callable[[], int], Callable[[int], object]] | None:
    """OpenBLAS's functions that get and set the number of threads, or None."""
    try:
        # Symbols are searched in the extension module and the libraries that it links.
        core = "numpy._core" if int(numpy.__version__.split(".")[0]) > 1 else "numpy.core"
        module = importlib.import_module(f"{core}._multiarray_umath")
        library = ctypes.CDLL(str(module.__file__))
    except (ImportError, OSError):
        return None
    for pattern in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_"):
        try:
            return library[pattern.format("get")], library[pattern.format("set")]
        except AttributeError:
            continue
    return None


def limit_blas_threads(count: int) -> None:
    """BLAS calls of this process use ``count`` threads at most, from now on."""
    found = _entry_points()
    if found is not None:
        get, set_ = found
        set_(min(get(), count))


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Within the block each BLAS call uses the calling thread only; False when that cannot be had.

    The setting belongs to the process, so blocks in different threads take turns.
    """
    found = _entry_points()
    if found is None:
        yield False
        return
    get, set_ = found
    with _lock:
        before = get()
        set_(1)
        try:
            yield True
        finally:
            set_(before)
