"""Seeded synthetic weights of full shape, for runs without a checkpoint.

Matrices, biases and embeddings are Gaussian with standard deviation 0.02, layer scales are 0.1 and
norm scales 1: with these, 24 random layers stay as well-conditioned as trained ones, while
unit-gain random layers are chaotic. A few channels of each width have a norm scale of 6 in every
layer, because outlier channels are what makes activations hard to quantise. All values are exact in
bfloat16.

A tensor depends on the seed and its own name only. Random bits come from SFC64 and SeedSequence,
whose streams numpy keeps from release to release.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from math import prod
from statistics import NormalDist

import numpy as np

from axsim.kernels.arithmetic import round_bf16
from axsim.kernels.array import Array
from axsim.kernels.parallel import parallel
from axsim.models.config import ModelConfig
from axsim.models.weights import tensor_shapes

STANDARD_DEVIATION = 0.02
LAYER_SCALE = 0.1
OUTLIER_SCALE = 6.0
OUTLIERS_IN = 256
"""One channel in so many is an outlier."""

_BLOCK = 1 << 18
"""Elements made from one random stream, so that rows can be made alone and blocks in parallel."""


class SyntheticWeights:
    """The tensors of ``config``, made when asked for.

    ``weights(name)`` gives float32, the same for the same seed, in any order. Raises KeyError for
    a name that the model does not have.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        self._shapes = tensor_shapes(config)
        self._seed = seed

    def __call__(self, name: str) -> Array:
        """The whole tensor, float32."""
        shape = self._shapes[name]
        part = name.rpartition(".")[0].rpartition(".")[2]
        if name.endswith((".ls1", ".ls2")):
            return np.full(shape, round_bf16(np.float32(LAYER_SCALE)), np.float32)
        if name.endswith(".weight") and len(shape) == 1 and ("norm" in part or part == "0"):
            return self._norm(shape[0])
        out = np.empty(prod(shape), np.float32)
        parallel(-(-out.size // _BLOCK), lambda i: self._fill(name, i, out))
        return out.reshape(shape)

    def rows(self, name: str, indices: Sequence[int]) -> Array:
        """Rows of a matrix [rows, width] as float32 [len(indices), width]."""
        height, width = self._shapes[name]
        out = np.empty((len(indices), width), np.float32)
        blocks: dict[int, Array] = {}
        for row, index in zip(out, indices, strict=True):
            if not 0 <= index < height:
                raise IndexError(f"{name} has {height} rows, not {index}")
            start, end = index * width, (index + 1) * width
            while start < end:
                block, offset = divmod(start, _BLOCK)
                if block not in blocks:
                    blocks[block] = self._block(
                        name, block, min(_BLOCK, height * width - block * _BLOCK)
                    )
                count = min(end - start, _BLOCK - offset)
                row[start - index * width :][:count] = blocks[block][offset : offset + count]
                start += count
        return out

    def _norm(self, width: int) -> Array:
        scale = np.ones(width, np.float32)
        stream = _stream(self._seed, f"outliers of {width}", 0)
        bits = stream.random_raw(max(width // OUTLIERS_IN, 1))
        scale[(bits % np.uint64(width)).astype(np.intp)] = OUTLIER_SCALE
        return scale

    def _fill(self, name: str, block: int, out: Array) -> None:
        part = out[block * _BLOCK : (block + 1) * _BLOCK]
        part[:] = self._block(name, block, part.size)

    def _block(self, name: str, block: int, size: int) -> Array:
        # Little-endian on every machine: 64 random bits are four 16-bit quantile numbers.
        bits = _stream(self._seed, name, block).random_raw(-(-size // 4)).astype("<u8", copy=False)
        index = bits.view("<u2")[:size].astype(np.intp)
        values: Array = np.take(_quantiles(), index, mode="clip")
        return values


def gaussian(seed: int, name: str, shape: tuple[int, ...]) -> Array:
    """Float32 numbers of mean 0 and standard deviation 1 that depend on seed and name alone."""
    out = np.empty(prod(shape), np.float32)

    def block(i: int) -> None:
        part = out[i * _BLOCK : (i + 1) * _BLOCK]
        bits = _stream(seed, name, i).random_raw(-(-part.size // 4)).astype("<u8", copy=False)
        index = bits.view("<u2")[: part.size].astype(np.intp)
        np.multiply(_quantiles()[index], np.float32(1 / STANDARD_DEVIATION), out=part)

    parallel(-(-out.size // _BLOCK), block)
    return out.reshape(shape)


def _stream(seed: int, name: str, block: int) -> np.random.SFC64:
    digest = np.frombuffer(sha256(name.encode()).digest()[:16], "<u4")
    return np.random.SFC64(np.random.SeedSequence([seed, block, *digest.tolist()]))


@lru_cache(maxsize=1)
def _quantiles() -> Array:
    """65536 equally likely values of the Gaussian, in bfloat16."""
    normal = NormalDist(0, STANDARD_DEVIATION)
    half = [normal.inv_cdf((i + 0.5) / 65536) for i in range(32768)]
    return round_bf16(np.array([*half, *(-v for v in reversed(half))], np.float32))
