"""Functions that numpy defines and numba computes, where it is installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache, wraps
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


@lru_cache(maxsize=8)
def compiled(module: str) -> ModuleType | None:
    """A module of compiled loops, or None without numba, which is an extra, refuses a numpy that it
    doesn't know yet, and compiles nothing with NUMBA_DISABLE_JIT=1."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return None
    try:
        return import_module(module)
    except ImportError:
        return None


def twin(module: str, when: Callable[..., bool] | None = None) -> Callable[[Function], Function]:
    """The function of the same name in ``module`` does the work, where there is one and ``when``
    holds of the arguments; what is decorated is its definition, kept as ``__wrapped__``."""

    def decorate(plain: Function) -> Function:
        @wraps(plain)
        def either(*args: Any, **kwargs: Any) -> Any:
            loops = compiled(module)
            if loops is None or not (when is None or when(*args, **kwargs)):
                return plain(*args, **kwargs)
            return getattr(loops, plain.__name__)(*args, **kwargs)

        return cast(Function, either)

    return decorate
