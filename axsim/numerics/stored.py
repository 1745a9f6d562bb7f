"""A decoder's weights as the NPU stores them, made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from axsim.kernels.array import Array
from axsim.kernels.choose import choose
from axsim.numerics.fixed_point import PackedMatrix
from axsim.numerics.matrix import Matrix, quantise_matrix


class StoredWeights:
    """A model's weights as the NPU stores them: matrices quantised once, then kept.

    ``weights`` gives float32 tensors by name; ``dtype`` is the storage of matrices ("s8", "s4",
    "bf16", "f32"), ``overrides`` that of some by name (the head may differ from the layers).
    A matrix that ``weights.packed(name)`` gives as 4-bit codes keeps them when stored as "s4".
    Calling gives a :class:`Matrix` for a matrix and float32 values for anything else; with
    ``ready`` S8 matrices are packed for products on this machine instead.
    """

    def __init__(
        self,
        weights: Callable[[str], Array],
        dtype: str = "s8",
        overrides: Mapping[str, str] | None = None,
        *,
        ready: bool = False,
    ) -> None:
        self._weights = weights
        self._dtype = dtype
        self._overrides = dict(overrides or {})
        self._ready = ready
        self._kept: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        """A matrix or float32 values; KeyError when the model has no such tensor."""
        if name not in self._kept:
            value: Any = self._weights(name)
            if value.ndim == 2:
                value = self._matrix(name, value)
                if self._ready and value.dtype == "s8":
                    value = PackedMatrix(value, choose())
            self._kept[name] = value
        return self._kept[name]

    def _matrix(self, name: str, value: Array) -> Matrix:
        dtype = self._overrides.get(name, self._dtype)
        packed = getattr(self._weights, "packed", None)
        held = packed(name) if dtype == "s4" and packed is not None else None
        if held is not None:
            codes, scale, group = held
            return Matrix(codes, scale, dtype, group)
        return quantise_matrix(value, dtype)

    @property
    def nbytes(self) -> int:
        """Bytes held by what has been asked for so far."""
        return sum(int(value.nbytes) for value in self._kept.values())
