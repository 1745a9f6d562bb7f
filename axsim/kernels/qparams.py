"""Scale and zero point: how real values become integer codes and back.

Formulas of the vendor's quantiser (PPQ family, linear.py), with ONNX QuantizeLinear's
division, round-half-to-even and saturation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axsim.kernels.array import Array

CODE_RANGE: dict[str, tuple[int, int]] = {
    "u8": (0, 255),
    "u16": (0, 65535),
    "s8": (-128, 127),
    "s16": (-32768, 32767),
    "s4": (-8, 7),
}
"""Least and largest code of each integer storage dtype."""

NUMPY_DTYPE: dict[str, type[np.generic]] = {
    "u8": np.uint8,
    "u16": np.uint16,
    "s8": np.int8,
    "s16": np.int16,
    "s4": np.int8,
    "s32": np.int32,
    "u32": np.uint32,
    "s64": np.int64,
    "bool": np.bool_,
    "f32": np.float32,
    "f16": np.float32,
    "bf16": np.float32,
}
"""How the executors hold each storage dtype: bf16 and f16 as float32 values, S4 as int8 codes."""

SMALLEST_SCALE = 1e-8
"""Floor of a scale (PPQ), so that an all-zero tensor can be quantised."""


@dataclass(frozen=True, slots=True)
class QParams:
    """Per-tensor quantisation: value = (code - zero_point) * scale.

    ``scale`` is a float32 value held as a Python float; ``dtype`` one of :data:`CODE_RANGE`.
    """

    scale: float
    zero_point: int = 0
    dtype: str = "u8"

    @property
    def low(self) -> int:
        """Least code."""
        return CODE_RANGE[self.dtype][0]

    @property
    def high(self) -> int:
        """Largest code."""
        return CODE_RANGE[self.dtype][1]

    @property
    def numpy(self) -> type[np.generic]:
        """numpy type of the codes."""
        return NUMPY_DTYPE[self.dtype]

    def scaled(self, factor: float) -> QParams:
        """Parameters of the same codes after multiplying the values by a positive ``factor``."""
        return QParams(
            float(np.float32(self.scale) * np.float32(factor)), self.zero_point, self.dtype
        )

    def dequantise(self, codes: Array) -> Array:
        """float32 values of ``codes``: ``(code - zero_point) * scale``."""
        y = codes.astype(np.float32)
        if self.zero_point:
            y -= np.float32(self.zero_point)
        y *= np.float32(self.scale)
        return y

    def quantise(self, values: Array) -> Array:
        """Codes of float32 ``values``: ``saturate(round(value / scale) + zero_point)``."""
        y = np.asarray(np.divide(values, np.float32(self.scale), dtype=np.float32))
        return self.quantise_scaled(y)

    def quantise_scaled(self, steps: Array) -> Array:
        """Codes of ``steps`` = value / scale (a float32 array, overwritten)."""
        np.rint(steps, out=steps)
        if self.zero_point:
            steps += np.float32(self.zero_point)
        np.maximum(steps, np.float32(self.low), out=steps)
        np.minimum(steps, np.float32(self.high), out=steps)
        return steps.astype(self.numpy)


def asymmetric(low: float, high: float, dtype: str = "u8") -> QParams:
    """Parameters of a tensor with values in [low, high]; the range is widened to hold zero.

    Raises ``ValueError`` when the range is not finite.
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    if not np.isfinite(high - low):
        raise ValueError(f"no quantisation covers the range {low} to {high}")
    least, most = CODE_RANGE[dtype]
    scale = float(np.float32(max((high - low) / (most - least), SMALLEST_SCALE)))
    zero = round(-low / scale) + least  # Python rounds half to even
    return QParams(scale, min(max(zero, least), most), dtype)
