"""transformers' modules in float32, every operator's result rounded to bf16.

Its own bf16 rounds inside operators, too: scores and their scale before softmax, cosines and sines
of the rotation, RMSNorm before its scale. Here a result is rounded where
:mod:`axsim.kernels.arithmetic` says, once per operator.
"""

from types import MethodType

import numpy as np
import torch
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from axsim.models.config import VisionConfig

IMAGE_MEAN = [255 * m for m in VisionConfig.image_mean]
IMAGE_STD = [255 * s for s in VisionConfig.image_std]
NAME = "rounded"
PARTS = ("Linear", "Conv2d", "LayerNorm", "RMSNorm", "Activation")
"""Ends of the names of modules whose results are rounded."""


def bf16(x: torch.Tensor) -> torch.Tensor:
    """float32 with bf16 values."""
    return x.to(torch.bfloat16).to(torch.float32)


def rounded(model):
    """The model, changed so that results are rounded."""
    ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
    for module in model.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = NAME
        kind = type(module).__name__
        if kind.endswith(PARTS):
            # Sums and products that are no modules are rounded in place, where they are read next.
            module.register_forward_pre_hook(_in_place)
            module.register_forward_hook(lambda _, args, out: bf16(out))
        if kind == "InternVLVisionEmbeddings":
            module.interpolate_pos_encoding = _then_rounded(module.interpolate_pos_encoding)
        if kind == "InternVLVisionLayer":
            module.forward = MethodType(_vision_layer, module)
        if kind == "PhiDecoderLayer":
            module.forward = MethodType(_phi_layer, module)
    return model


def pixels(image):
    """[1, S, S, 3] u8 to normalised [1, 3, S, S], rounded after each step."""
    centred = bf16(torch.from_numpy(image.astype(np.float32)) - torch.tensor(IMAGE_MEAN).float())
    scaled = bf16(centred * (1 / torch.tensor(IMAGE_STD).double()).float())
    return scaled.permute(0, 3, 1, 2).contiguous()


def _in_place(module, args):
    args[0].copy_(bf16(args[0]))


def _attention(module, query, key, value, mask, scaling=None, dropout=0.0, **_):
    """Scores and softmax in float32; probabilities rounded for the product with V."""
    heads = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(heads, 1) for x in (bf16(key), value))
    scores = bf16(query) @ key.transpose(2, 3) * scaling
    if mask is not None:
        scores = scores + mask
    context = bf16(bf16(torch.softmax(scores, -1)) @ value)
    return context.transpose(1, 2).contiguous(), None


def _then_rounded(function):
    return lambda *args: bf16(function(*args))


def _vision_layer(self, x):
    attention, _ = self.attention(self.layernorm_before(x))
    x = bf16(x + bf16(self.lambda_1 * attention))
    return bf16(x + bf16(self.lambda_2 * self.mlp(self.layernorm_after(x))))


def _phi_layer(self, x, **options):
    norm = self.input_layernorm(x)
    attention, _ = self.self_attn(hidden_states=norm, **options)
    return bf16(x + bf16(attention + self.mlp(norm)))
