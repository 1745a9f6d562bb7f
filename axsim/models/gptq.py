"""GPTQ's packed matrices: qweight, qzeros, scales, g_idx in place of a linear layer's weight.

Format of AutoGPTQ and its successors: ``qweight`` int32 [in * bits / 32, out] holds codes along the
inputs, the first one in the lowest bits; ``qzeros`` int32 [groups, out * bits / 32] holds zero
points along the outputs, one less than meant unless ``checkpoint_format`` is gptq_v2; ``scales``
[groups, out]; ``g_idx`` [in] gives each input's group. A weight is (code - zero point) * scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from axsim.errors import InputError
from axsim.kernels.array import Array
from axsim.models.joins import language_part

PARTS = ("qweight", "qzeros", "scales", "g_idx")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Gptq:
    """``bits`` of a code, inputs of a ``group`` (-1: all), and what is added to a zero point."""

    bits: int
    group: int
    zero_offset: int

    @classmethod
    def of(cls, config: Mapping[str, Any], source: str) -> Gptq | None:
        """What config.json says; None when it names no quantisation.

        Raises InputError for a method or width that is not known.
        """
        inner = language_part(config)
        found = config.get("quantization_config") or inner.get("quantization_config")
        if not found:
            return None
        method, bits = found.get("quant_method"), found.get("bits")
        if method != "gptq" or bits not in (4, 8):
            what = f"quantization_config is {method}" + (f" with {bits} bits" if bits else "")
            allowed = "gptq with 4 or 8 bits, or a checkpoint that is not quantised"
            raise InputError(f"{source}: {what}; supported: {allowed}")
        v2 = found.get("checkpoint_format") == "gptq_v2"
        return cls(bits, int(found.get("group_size", 128)), 0 if v2 else 1)

    def shapes(self, rows: int, inputs: int) -> dict[str, Shape]:
        """Shapes of the parts of a weight [rows, inputs]."""
        pack, groups = 32 // self.bits, -(-inputs // self.inputs_of_a_group(inputs))
        return {
            "qweight": (inputs // pack, rows),
            "qzeros": (groups, rows // pack),
            "scales": (groups, rows),
            "g_idx": (inputs,),
        }

    def inputs_of_a_group(self, inputs: int) -> int:
        """Inputs that share a scale."""
        return inputs if self.group < 1 else self.group

    def dequantise(self, part: Callable[[str], Array]) -> Array:
        """The weight as float32 [out, in]; ``part`` gives the stored parts by name."""
        codes, zeros, scales, groups = self._unpacked(part)
        centred = codes.astype(np.float32) - zeros[groups].astype(np.float32)
        return np.ascontiguousarray((centred * scales[groups]).T)

    def symmetric(self, part: Callable[[str], Array]) -> tuple[Array, Array, int] | None:
        """int8 codes [out, in] around zero, float32 scales [out, groups], inputs of a group; None
        for other widths than 4 bits, other zero points than the middle, and regrouped inputs."""
        if self.bits != 4:
            return None
        codes, zeros, scales, groups = self._unpacked(part)
        size = self.inputs_of_a_group(len(codes))
        if (zeros != 8).any() or (groups != np.arange(len(codes)) // size).any():
            return None
        signed = (codes.astype(np.int16) - 8).astype(np.int8)
        return np.ascontiguousarray(signed.T), np.ascontiguousarray(scales.T), size

    def _unpacked(self, part: Callable[[str], Array]) -> tuple[Array, Array, Array, Array]:
        """Codes [in, out], zero points [groups, out], scales [groups, out], group of each input."""
        packed, zeros = part("qweight"), part("qzeros")
        codes = self._spread(packed, 1).reshape(-1, packed.shape[1])
        points = self._spread(zeros, 2).reshape(len(zeros), -1).astype(np.int16) + self.zero_offset
        return codes, points, part("scales").astype(np.float32), part("g_idx").astype(np.intp)

    def _spread(self, packed: Array, axis: int) -> Array:
        """uint8 codes of int32 words along a new ``axis``."""
        words = np.expand_dims(packed.view(np.uint32), axis)
        along = [-1 if i == axis else 1 for i in range(3)]
        shifts: Array = np.arange(0, 32, self.bits, dtype=np.uint32).reshape(along)
        spread: Array = ((words >> shifts) & np.uint32(2**self.bits - 1)).astype(np.uint8)
        return spread
