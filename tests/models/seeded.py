"""Random weights of small models with strong gains, reproducible on every numpy release."""

from collections.abc import Sequence
from hashlib import sha256
from math import prod

import numpy as np

from axsim.kernels.arithmetic import round_bf16
from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig
from axsim.models.weights import tensor_shapes
from tests.models.towers import tower

VISION = tower(3, 64, 4, 112)
DECODERS = {
    "qwen2": DecoderConfig("qwen2", 3, 64, 96, 4, 2, 211, rope_theta=1e6),
    "qwen3": DecoderConfig("qwen3", 3, 64, 96, 4, 2, 211, head_dim=32, tie_word_embeddings=True),
    "llama": DecoderConfig("llama", 3, 64, 96, 4, 1, 211, rope_theta=1e4, rms_norm_eps=1e-5),
    "phi2": DecoderConfig(
        "phi2", 3, 64, 128, 4, 4, 211, rope_theta=1e4, rms_norm_eps=1e-5, partial_rotary_factor=0.5
    ),
}
INTERNVL = ModelConfig(DECODERS["qwen2"], VISION, ProjectorConfig(64))


def uniform(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Uniform in [-1, 1), float64."""
    words = [seed, *sha256(name.encode()).digest()[:8]]
    raw = np.random.SFC64(np.random.SeedSequence(words)).random_raw(prod(shape))
    return ((raw >> np.uint64(11)) * 2.0**-52 - 1).reshape(shape)


class SeededWeights:
    """Matrices of gain about 1, biases, norm scales around 1; all exact in bfloat16."""

    def __init__(self, config: ModelConfig) -> None:
        self.shapes = tensor_shapes(config)

    def __call__(self, name: str) -> np.ndarray:
        shape = self.shapes[name]
        value = uniform(name, shape)
        if len(shape) == 1:
            value *= 0.3
            if not name.endswith("bias"):
                value += 0.8
        elif "embed" not in name or "patch" in name:
            value *= (3 / prod(shape[1:])) ** 0.5
        return round_bf16(value.astype(np.float32))

    def rows(self, name: str, indices: Sequence[int]) -> np.ndarray:
        return self(name)[list(indices)]


def image(size: int | tuple[int, int]) -> np.ndarray:
    """[1, H, W, 3] uint8."""
    shape = (1, *((size, size) if isinstance(size, int) else size), 3)
    return ((uniform(f"image {size}", shape) + 1) * 128).astype(np.uint8)


def embeddings(tokens: int, hidden: int) -> np.ndarray:
    """[tokens, hidden] float32."""
    return uniform(f"embeddings {tokens}", (tokens, hidden)).astype(np.float32)
