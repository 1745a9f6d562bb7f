"""The emission of tasks, compiled by numba from the same source."""

from __future__ import annotations

from numba import njit

from axsim.compiler import emit as plain

emit = njit(nogil=True, cache=True)(plain.emit)
