"""What the deployed arithmetic computes, to the bit. The one place where exactness is defined.

**Codes.** A quantised tensor holds integer codes ``q``; its value is ``(q - zero_point) * scale``
with a float32 scale. Quantising divides in float32, rounds half to even and saturates, exactly as
ONNX QuantizeLinear does (:mod:`axsim.kernels.qparams`).

**Integer vision tower (U8, U16).** Activations are U8 or U16 codes, asymmetric per tensor; matrix
weights S8 codes, symmetric per output channel with scale ``max|row| / 127``.

* Gemm and Conv: ``acc = sum((a - a_zero) * w) + bias`` over exact integers, where ``bias`` is
  ``round(b / (a_scale * w_scale))`` saturated to S32. For U8 activations ``acc`` fits S32 (the
  inner size must not exceed 65 793); for U16 activations it is as wide as it needs to be (36 bits
  at an inner size of 4096). Then one requantisation per element:
  ``code = saturate(round(float32(acc) * multiplier[channel]) + y_zero)``, where the float32
  ``multiplier`` is ``a_scale * w_scale / y_scale`` evaluated left to right in float32.
  Padding is the code of ``a_zero``; a group's channels sum alone; ConvTranspose sums the same way.
* A Relu or Clip that alone reads such a result takes no operation: the result has the range of
  what the limit leaves, and saturation limits it.
* MatMul of two activations: the same with ``acc = sum((a - a_zero) * (b - b_zero))`` and one
  multiplier for the whole tensor.
* Elementwise operators: dequantise, compute in float32, quantise. For one operand of U8 or U16 the
  result depends on the code alone and comes from a table of all codes, which is the same thing.
* Softmax: ``e = round(2^24 exp(-scale n))`` for ``n`` = the row's largest code - code, from a table
  of all ``n``; the result is ``float32(e) * (1 / (float32(sum e) * y_scale))``, rounded, saturated.
* LayerNormalization: mean and variance of a row from the exact sums of its codes and of their
  squares, in float64; then per element in float32 ``((code - mean) * (x_scale / deviation)) * gamma
  + beta``, quantised. Neither depends on an order of summation.
* Operators that choose among elements (Reshape, Transpose, Slice, Split, MaxPool, ReduceMax,
  nearest Resize) and a product with a positive scalar keep codes.
* What else there is (averages, interpolation) dequantises, computes in float64, whose sums of
  float32 numbers are as good as exact, and quantises.

Every sum is exact and every other operation a single IEEE one, so that results do not depend on the
CPU, on the backend, on the number of threads or on the order of summation. Tables of functions are
made once in float64 (exp) or float32 (GELU and the like), by numpy.

**Weight-only decoder (w8a16, w4a16).** Hidden states, K, V and every stored activation are bf16.

* Gemm with S8 weights: a row of activations is put on a grid of 24 bits up to its largest number,
  where bf16 numbers down to 2^-15 of that lie as they are; the whole numbers times the codes sum
  exactly; ``float32(sum) * grid * scale + bias`` is rounded to bf16. As exact as float32 sums at
  their best, and the same bits on any CPU, backend and number of threads
  (:mod:`axsim.numerics.fixed_point`).
* Gemm with S4 weights (scaled per group of 128 inputs) and with bf16 ones: products accumulated in
  float32, plus the float32 bias; the result is rounded to bf16.
* Every other operator computes in float32 on bf16 operands and its result is rounded to bf16,
  except within attention: scores, their scale and mask, and the softmax stay in float32 until the
  probabilities are rounded to bf16 for the product with V; exponentials below 1e-35 count as
  zero. A function of one bf16 number (SiLU, GELU) may come from a table of all of them, which is
  the same thing.
* Rounding to bf16 is round-half-to-even.

The order of float32 accumulation, in attention and norms too, is not defined (the vendor does not
document it): there two correct implementations agree to rounding of the last bf16 bit, not to the
last bit.

**Reference.** float32 everywhere.
"""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.twin import twin

MAX_INNER_U8 = (2**31 - 1) // (255 * 128)
"""Largest inner size whose U8 x S8 sums cannot leave S32."""
MAX_INNER_BYTES = (2**31 - 1) // (255 * 255)
"""Largest inner size whose U8 x U8 sums cannot leave S32."""


def round_bf16(x: Array, *, inplace: bool = False) -> Array:
    """``x`` (float32) rounded half-to-even to bf16 values, still stored as float32.

    ``inplace`` overwrites a contiguous float32 array. Infinities stay; values beyond the bf16
    range round to infinity; a NaN stays a NaN as long as it is a quiet one.
    """
    y = x if inplace else np.array(x, dtype=np.float32, order="C")
    if not y.flags.c_contiguous:
        raise ValueError("round_bf16 in place needs a contiguous array")
    round_bits(y.reshape(-1).view(np.uint32))
    return y


@twin("axsim.kernels.bf16_numba")
def round_bits(bits: Array) -> None:
    """:func:`round_bf16` of float32 bit patterns (uint32 [N]), in place."""
    for start in range(0, bits.size, _BLOCK):
        block = bits[start : start + _BLOCK]
        odd = block >> 16
        odd &= 1
        odd += 0x7FFF
        block += odd
        block &= 0xFFFF0000


def to_bf16_bits(x: Array) -> Array:
    """bf16 bit patterns (uint16) of float32 values, rounded half to even."""
    bits: Array = (round_bf16(x).view(np.uint32) >> 16).astype(np.uint16)
    return bits


def from_bf16_bits(bits: Array) -> Array:
    """float32 values of bf16 bit patterns (uint16)."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


_BLOCK = 1 << 16  # elements: 256 KiB of float32 and as much again, within a core's cache
