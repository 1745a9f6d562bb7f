"""Small Hugging Face models that hold the seeded weights. Needs torch and transformers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
CONFIG_MAPPING = transformers.CONFIG_MAPPING

from axsim.models.config import DecoderConfig, ModelConfig, VisionConfig  # noqa: E402
from axsim.models.weights import Weights  # noqa: E402
from tests.models import layouts  # noqa: E402
from tests.models.writing import decoder_json, stored  # noqa: E402

IMAGE_MEAN, IMAGE_STD = VisionConfig.image_mean, VisionConfig.image_std

transformers.logging.set_verbosity_error()


def text_config(cfg: DecoderConfig):
    """transformers' configuration of one of the seeded decoders."""
    return CONFIG_MAPPING[decoder_json(cfg)["model_type"]].from_dict(
        decoder_json(cfg) | {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}
    )


def _load(model, config: ModelConfig, weights: Weights, names: layouts.Layout):
    state = {n: torch.from_numpy(t) for n, t in stored(weights, config, names).items()}
    if config.decoder.tie_word_embeddings:
        state["lm_head.weight"] = state[names.in_decoder("model.embed_tokens.weight")]
    model.load_state_dict(state, strict=True)
    return model.eval()


def decoder(cfg: DecoderConfig, weights: Weights):
    """The causal language model in float32 with plain attention."""
    config = text_config(cfg)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config)
    return _load(model, ModelConfig(cfg), weights, layouts.PLAIN)


def internvl(config: ModelConfig, weights: Weights):
    """The native InternVL in float32 with plain attention."""
    vision = config.vision
    tower = transformers.InternVLVisionConfig(
        hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        num_hidden_layers=vision.num_hidden_layers,
        num_attention_heads=vision.num_attention_heads,
        patch_size=[vision.patch_size] * 2,
        image_size=[vision.image_size] * 2,
        attention_bias=True,
        layer_norm_eps=vision.layer_norm_eps,
    )
    outer = transformers.InternVLConfig(
        vision_config=tower,
        text_config=text_config(config.decoder),
        image_token_id=1,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    model = transformers.InternVLForConditionalGeneration(outer)
    return _load(model, config, weights, layouts.HF_INTERNVL)


def pixels(image: np.ndarray):
    """[1, S, S, 3] u8 to normalised [1, 3, S, S]."""
    x = (image.astype(np.float64) / 255 - IMAGE_MEAN) / IMAGE_STD
    return torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32))


def decoder_logits(model, x: np.ndarray) -> np.ndarray:
    """[tokens, hidden] embeddings to [tokens, vocab], causally masked."""
    with torch.no_grad():
        return model(inputs_embeds=torch.from_numpy(x)[None]).logits[0].numpy()


def tower_output(model, image: np.ndarray) -> np.ndarray:
    """The tower's last hidden state [1, tokens, hidden]."""
    with torch.no_grad():
        return model.model.vision_tower(pixels(image)).last_hidden_state.numpy()


def image_features(model, image: np.ndarray, normalised=pixels) -> np.ndarray:
    """Image tokens in the decoder's width [1, tokens, hidden]."""
    with torch.no_grad():
        out = model.model.get_image_features(normalised(image), return_dict=True)
    out = getattr(out, "pooler_output", out)
    return out.numpy()


def causal(description: dict, weights: Weights, cfg: DecoderConfig):
    """The causal language model of a config.json in float32 with plain attention."""
    config = CONFIG_MAPPING[description["model_type"]].from_dict(description)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config)
    return _load(model, ModelConfig(cfg), weights, layouts.PLAIN)


def token_logits(model, tokens: list[int]) -> np.ndarray:
    """[tokens, vocab] of token ids, causally masked."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0].numpy()
