"""Small vision models of Hugging Face transformers with random weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from axsim.models.config import ModelConfig  # noqa: E402

transformers.logging.set_verbosity_error()


def build(description: dict):
    """The model in float32 with plain attention, its parameters random and of sensible gains."""
    config = transformers.CONFIG_MAPPING[description["model_type"]].from_dict(description)
    joined = "text_config" in description
    auto = transformers.AutoModelForImageTextToText if joined else transformers.AutoModel
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    model = auto.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.5, 1.1)
            else:
                gain = (3 / np.prod(parameter.shape[1:])) ** 0.5
                parameter.uniform_(-gain, gain)
    return model.eval()


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


def outputs(description: dict, config: ModelConfig, model, image: np.ndarray) -> dict:
    """What the vision part makes of [1, S, S, 3] u8, by our names of its outputs."""
    kind, vision = description["model_type"], config.vision
    x = (image.astype(np.float64) / 255 - vision.image_mean) / vision.image_std
    pixels = torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32))
    with torch.no_grad():
        if kind.startswith("qwen"):
            return _qwen(model, vision, pixels)
        if kind == "paddleocr_vl":
            return {"output": _rows(model.model.get_image_features(*_paddle(vision, pixels)))}
        if kind in ("idefics3", "smolvlm"):
            return {"output": _rows(model.model.get_image_features(pixels[None]))}
        if kind == "llava_onevision":
            last = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
            return {"output": model.model.multi_modal_projector(last).numpy()}
        if kind in ("mistral3", "lighton_ocr"):
            sizes = torch.tensor([pixels.shape[2:]])
            return {"output": _rows(model.model.get_image_features(pixels, image_sizes=sizes))}
        if "text_config" in description:
            return {"output": _rows(model.model.get_image_features(pixels))}
        return {"output": _alone(kind, vision, model, pixels)}


def _alone(kind: str, vision, model, pixels):
    if kind == "siglip2_vision_model":
        patch, (rows, columns) = vision.patch_size, vision.grid(vision.image_size)
        cut = pixels.reshape(1, 3, rows, patch, columns, patch).permute(0, 2, 4, 3, 5, 1)
        tokens = rows * columns
        out = model(
            cut.reshape(1, tokens, -1),
            pixel_attention_mask=torch.ones(1, tokens, dtype=torch.long),
            spatial_shapes=torch.tensor([[rows, columns]]),
        )
    else:
        out = model(pixels)
    row = out.pooler_output if vision.pool != "none" else None
    return (out.last_hidden_state if row is None else row[:, None]).numpy()


def _rows(features) -> np.ndarray:
    """[1, tokens, hidden] of whatever a release of transformers returns."""
    features = getattr(features, "pooler_output", features)
    if isinstance(features, (list, tuple)):
        features = features[0]
    return features.reshape(1, -1, features.shape[-1]).numpy()


def _paddle(vision, pixels):
    patch, (rows, columns) = vision.patch_size, vision.grid(tuple(pixels.shape[2:]))
    cut = pixels.reshape(3, rows, patch, columns, patch).permute(1, 3, 0, 2, 4)
    return cut.reshape(rows * columns, 3, patch, patch), torch.tensor([[1, rows, columns]])


def _qwen(model, vision, pixels) -> dict:
    grid = torch.tensor([[1, *vision.grid(tuple(pixels.shape[2:]))]])
    out = model.model.visual(_qwen_patches(vision, pixels), grid_thw=grid)
    found = {"output": _rows(out)}
    for i, deep in enumerate(getattr(out, "deepstack_features", None) or ()):
        found[f"deepstack.{i}"] = _rows(deep)
    return found


def _qwen_patches(vision, pixels):
    """Patches in the order of the merged blocks, each picture as two equal frames."""
    patch, (rows, columns) = vision.patch_size, vision.grid(tuple(pixels.shape[2:]))
    x = pixels.reshape(3, rows // 2, 2, patch, columns // 2, 2, patch)
    x = x.permute(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None].expand(-1, -1, -1, -1, -1, 2, -1, -1)
    return x.reshape(rows * columns, -1)


def logits(
    description: dict, config: ModelConfig, model, image: np.ndarray, tokens, prompt: int
) -> np.ndarray:
    """[tokens, vocab] of a prompt, and an answer from its end on, in which token 1 stands for each
    row of the image."""
    vision, kind = config.vision, description["model_type"]
    x = (image.astype(np.float64) / 255 - vision.image_mean) / vision.image_std
    pixels = torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32))
    given = {"input_ids": torch.from_numpy(tokens)[None], "pixel_values": pixels}
    if kind.startswith("qwen"):
        given["pixel_values"] = _qwen_patches(vision, pixels)
        given["image_grid_thw"] = torch.tensor([[1, *vision.grid(image.shape[1:3])]])
        given["mm_token_type_ids"] = given["input_ids"] == 1
    if kind == "paddleocr_vl":
        given["pixel_values"], given["image_grid_thw"] = _paddle(vision, pixels)
        given["mm_token_type_ids"] = given["input_ids"] == 1
    if kind == "gemma3":
        given["token_type_ids"] = (given["input_ids"] == 1).long()
    if kind == "paligemma":  # what follows the prompt is answer
        given["token_type_ids"] = (torch.arange(len(tokens)) >= prompt).long()[None]
    if kind == "smolvlm":
        given["pixel_values"] = pixels[None]
    with torch.no_grad():
        return model(**given).logits[0].numpy()
