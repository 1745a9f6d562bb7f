"""Vision-language models: how a tower and a decoder are joined in config.json and in checkpoints.

To add a way of joining them, add its row to :data:`JOINS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from axsim.models import picture_maker
from axsim.models.config import DecoderConfig, ProjectorConfig, VisionConfig
from axsim.models.families import Json

Projecting = Callable[[Json, VisionConfig, DecoderConfig], ProjectorConfig]
"""Makes the projector of config.json, the tower and the decoder."""


def _unchanged(config: Json, vision: VisionConfig) -> VisionConfig:
    return vision


@dataclass(frozen=True)
class Join:
    """One row.

    ``model_type`` is that of config.json, ``architectures`` its classes. ``decoder`` is the key of
    the language part, ``text`` the ``model_type`` of that part where it has none; where the key is
    missing, the whole config.json is the language part. ``tower_type`` is the same for the vision
    part. ``tower`` says what becomes of the tower's configuration in this model. ``required`` are
    keys of the whole that must have this value if they are given.

    ``tied`` is whether the head is the embedding table where config.json does not say;
    ``head_apart``: checkpoints store the head beside the table, whatever the language part says;
    ``parked`` counts the parameters of parts that are not deployed.
    ``prefixes``: where tower and projector stand in checkpoints, and how the decoder's names begin.
    ``modules`` maps our names of the projector's modules to theirs; ``norm_offset`` is added to
    the stored scale of its norm, ``transposed``: its matrices are stored [in, out]. ``image`` are
    the tokens before the image tokens of a prompt, for each of these, and behind them; ``row_end``
    one between rows of them; ``mark`` is what the chat template writes for a picture, the token of
    each row by default.
    """

    model_type: str
    architectures: tuple[str, ...]
    projector: Projecting
    prefixes: tuple[tuple[str, str, str], ...]
    modules: Mapping[str, str]
    image: tuple[str, str, str]
    row_end: str = ""
    mark: str = ""
    decoder: str = "text_config"
    text: str = ""
    tower_type: str = ""
    tower: Callable[[Json, VisionConfig], VisionConfig] = _unchanged
    required: Mapping[str, object] = field(default_factory=dict)
    norm_offset: float = 0.0
    transposed: bool = False
    tied: bool = False
    head_apart: bool = False
    parked: Callable[[Json], int] = lambda config: 0


def language_part(config: Json) -> Json:
    """The language part of a joined model's config.json; empty where the whole is a decoder."""
    parts = (config.get(join.decoder) for join in JOINS.values())
    return next((part for part in parts if part), {})


def _internvl(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    return ProjectorConfig(decoder.hidden_size, config.get("downsample_ratio", 0.5))


def _qwen2(
    config: Json, vision: VisionConfig, decoder: DecoderConfig, key: str = "hidden_size"
) -> ProjectorConfig:
    """Norm on patches, 2 x 2 of them side by side, Linear, GELU, Linear."""
    block = config["vision_config"].get("spatial_merge_size", 2)
    out = config["vision_config"].get(key, decoder.hidden_size)
    if out != decoder.hidden_size:
        raise ValueError(
            f"vision_config.{key} is {out}, the language part has {decoder.hidden_size}"
        )
    return ProjectorConfig(
        decoder.hidden_size,
        1 / block,
        layer_norm_eps=1e-6,
        norm=vision.norm,
        norm_first=True,
        inner_size=vision.hidden_size * block * block,
    )


def _qwen2_5(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    return _qwen2(config, vision, decoder, "out_hidden_size")


def _qwen3(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    deep = config["vision_config"].get("deepstack_visual_indexes", (8, 16, 24))
    return replace(_qwen2_5(config, vision, decoder), deepstack_layers=tuple(deep))


def _idefics(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    """Pixel shuffle and one matrix."""
    factor = config.get("scale_factor", 2)
    return ProjectorConfig(decoder.hidden_size, 1 / factor, norm="none", layers=1, bias=False)


def _llava(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    return ProjectorConfig(
        decoder.hidden_size,
        1.0,
        norm="none",
        bias=config.get("multimodal_projector_bias", True),
        activation=config.get("projector_hidden_act", "gelu"),
    )


def _llava_tower(config: Json, vision: VisionConfig) -> VisionConfig:
    """The layer that the features come from, before any norm after the last one."""
    layer = config.get("vision_feature_layer", -2)
    if not isinstance(layer, int):
        raise ValueError(f"vision_feature_layer is {layer}; only one layer is supported")
    strategy = config.get("vision_feature_select_strategy", "default")
    if strategy != "default" and vision.class_token:
        raise ValueError("vision_feature_select_strategy is 'full' with a class token")
    idle = ("post_norm", *(["newline"] if "image_grid_pinpoints" in config else []))
    layer = layer if layer < 0 else layer - vision.num_hidden_layers - 1
    return replace(vision, feature_layer=layer, idle=(*_pooled(vision), *idle))


def _onevision_tower(config: Json, vision: VisionConfig) -> VisionConfig:
    config = {
        "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
        "image_grid_pinpoints": (), **config,
    }  # fmt: skip
    return _llava_tower(config, vision)


def _next_tower(config: Json, vision: VisionConfig) -> VisionConfig:
    return _llava_tower({"image_grid_pinpoints": (), **config}, vision)


def _pooled(vision: VisionConfig) -> tuple[str, ...]:
    """A pooling head that the language model does not use."""
    return ("pool",) if vision.pool == "attention" else ()


def _siglip_tower(config: Json, vision: VisionConfig) -> VisionConfig:
    return replace(vision, idle=_pooled(vision))


def _paligemma(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    hidden = decoder.hidden_size
    return ProjectorConfig(hidden, 1.0, norm="none", layers=1, sees_ahead="prompt")


def _gemma3(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    """The mean of blocks of patches, RMSNorm, one matrix."""
    side, _ = vision.grid(vision.image_size)
    tokens = round(config.get("mm_tokens_per_image", 256) ** 0.5)
    return ProjectorConfig(
        decoder.hidden_size,
        tokens / side,
        layer_norm_eps=vision.layer_norm_eps,
        join="average",
        norm="RMSNormalization",
        layers=1,
        bias=False,
        sees_ahead="image",
    )


def _janus(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    depth = config["vision_config"].get("depth", 2)
    out = config["vision_config"].get("projection_dim", decoder.hidden_size)
    if out != decoder.hidden_size:
        what = f"vision_config.projection_dim is {out}, the language part has"
        raise ValueError(f"{what} {decoder.hidden_size}")
    return ProjectorConfig(decoder.hidden_size, 1.0, norm="none", layers=depth)


def _mistral3(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    """RMSNorm on patches, 2 x 2 of them joined by a matrix, Linear, GELU, Linear."""
    return ProjectorConfig(
        decoder.hidden_size,
        1 / config.get("spatial_merge_size", 2),
        layer_norm_eps=decoder.rms_norm_eps,
        join="channels",
        norm="RMSNormalization",
        norm_first=True,
        joined_size=vision.hidden_size,
        bias=config.get("multimodal_projector_bias", False),
        activation=config.get("projector_hidden_act", "gelu"),
    )


def _paddleocr(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    """LayerNorm on patches, 2 x 2 of them side by side, Linear, GELU, Linear."""
    block = config["vision_config"].get("spatial_merge_size", 2)
    inner = vision.hidden_size * block * block
    return ProjectorConfig(decoder.hidden_size, 1 / block, norm_first=True, inner_size=inner)


def _minicpmv(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    queries = config.get("query_num", 64)
    return ProjectorConfig(decoder.hidden_size, 1.0, layer_norm_eps=1e-6, queries=queries)


def _minicpmv_tower(config: Json, vision: VisionConfig) -> VisionConfig:
    """SigLIP with the positions of Idefics, at the size of a slice; 2.0 leaves the last layer out
    of the checkpoint."""
    if config.get("drop_vision_last_layer"):
        vision = replace(vision, num_hidden_layers=vision.num_hidden_layers - 1)
    size, table = config.get("image_size", 448), vision.image_size
    return replace(vision, image_size=size, position_size=table, resampling="nearest", pool="none")


def _deepseek(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    """Linear, GELU, Linear."""
    return ProjectorConfig(decoder.hidden_size, 1.0, norm="none")


def _whisper(config: Json, vision: VisionConfig, decoder: DecoderConfig) -> ProjectorConfig:
    layers = decoder.num_hidden_layers
    return ProjectorConfig(decoder.hidden_size, 1.0, norm="none", cross_layers=layers)


_TWO = {"mlp1.1": "linear_1", "mlp1.3": "linear_2"}
# Hub files have the tower's inner name, which newer releases of transformers left out.
_HF = (
    ("model.vision_tower.vision_model.", "model.multi_modal_projector.", "model."),
    ("model.vision_tower.", "model.multi_modal_projector.", "model."),
    ("vision_tower.vision_model.", "multi_modal_projector.", "language_model."),
    ("vision_tower.", "multi_modal_projector.", "language_model."),
)
_QWEN = (
    ("model.visual.", "model.visual.", "model."),
    ("visual.", "visual.", ""),
)

_INTERNVL_IMAGE = ("<img>", "<IMG_CONTEXT>", "</img>")  # conversation.py of the models
_QWEN_IMAGE = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")  # their chat templates
_LLAVA_IMAGE = ("", "<image>", "")

_ROWS = (
    Join(  # OpenGVLab's own code
        "internvl_chat", ("InternVLChatModel",), _internvl,
        prefixes=(("vision_model.", "", "language_model."),),
        image=_INTERNVL_IMAGE,
        modules={"mlp1.0": "mlp1.0", "mlp1.1": "mlp1.1", "mlp1.3": "mlp1.3"},
        decoder="llm_config", tower_type="intern_vit_6b",
        required={"select_layer": -1, "ps_version": "v2"}, head_apart=True,
    ),
    Join(  # Hugging Face transformers
        "internvl", ("InternVLForConditionalGeneration",), _internvl, prefixes=_HF,
        image=_INTERNVL_IMAGE,
        modules={"mlp1.0": "layer_norm", **_TWO}, text="qwen2", tower_type="internvl_vision",
        required={"vision_feature_layer": -1, "projector_hidden_act": "gelu"}, tied=True,
    ),
    Join(
        "qwen2_vl", ("Qwen2VLForConditionalGeneration",), _qwen2, prefixes=_QWEN,
        image=_QWEN_IMAGE,
        modules={"mlp1.0": "merger.ln_q", "mlp1.1": "merger.mlp.0", "mlp1.3": "merger.mlp.2"},
        text="qwen2_vl_text", tower_type="qwen2_vl_vision",
    ),
    Join(
        "qwen2_5_vl", ("Qwen2_5_VLForConditionalGeneration",), _qwen2_5, prefixes=_QWEN,
        image=_QWEN_IMAGE,
        modules={"mlp1.0": "merger.ln_q", "mlp1.1": "merger.mlp.0", "mlp1.3": "merger.mlp.2"},
        text="qwen2_5_vl_text", tower_type="qwen2_5_vl_vision",
    ),
    Join(
        "qwen3_vl", ("Qwen3VLForConditionalGeneration",), _qwen3, prefixes=_QWEN,
        image=_QWEN_IMAGE,
        modules={
            "mlp1.0": "merger.norm", "mlp1.1": "merger.linear_fc1", "mlp1.3": "merger.linear_fc2",
            "deepstack.{}.0": "deepstack_merger_list.{}.norm",
            "deepstack.{}.1": "deepstack_merger_list.{}.linear_fc1",
            "deepstack.{}.3": "deepstack_merger_list.{}.linear_fc2",
        },
        text="qwen3_vl_text", tower_type="qwen3_vl_vision",
    ),
    *(
        Join(
            kind, (f"{name}ForConditionalGeneration",), _idefics,
            prefixes=(("model.vision_model.", "model.connector.", "model.text_model"),),
            image=("<fake_token_around_image><global-img>", "<image>", "<fake_token_around_image>"),
            modules={"mlp1.1": "modality_projection.proj"}, text="llama",
            tower_type=f"{kind}_vision",
        )
        for kind, name in (("idefics3", "Idefics3"), ("smolvlm", "SmolVLM"))
    ),
    Join(
        "llava", ("LlavaForConditionalGeneration",), _llava, prefixes=_HF,
        image=_LLAVA_IMAGE,
        modules=_TWO,
        text="llama", tower_type="clip_vision_model", tower=_llava_tower,
    ),
    Join(
        "llava_next", ("LlavaNextForConditionalGeneration",), _llava, prefixes=_HF,
        image=_LLAVA_IMAGE,
        modules=_TWO,
        text="llama", tower_type="clip_vision_model", tower=_next_tower,
    ),
    Join(
        "llava_onevision", ("LlavaOnevisionForConditionalGeneration",), _llava, prefixes=_HF,
        image=_LLAVA_IMAGE,
        modules=_TWO, text="qwen2", tower_type="siglip_vision_model", tower=_onevision_tower,
    ),
    Join(
        "paligemma", ("PaliGemmaForConditionalGeneration",), _paligemma, prefixes=_HF,
        image=_LLAVA_IMAGE,
        modules={"mlp1.1": "linear"}, text="gemma", tower_type="siglip_vision_model",
        tower=_siglip_tower, tied=True,
    ),
    Join(
        "gemma3", ("Gemma3ForConditionalGeneration",), _gemma3, prefixes=_HF,
        image=("\n\n<start_of_image>", "<image_soft_token>", "<end_of_image>\n\n"),
        mark="<start_of_image>",
        modules={"mlp1.0": "mm_soft_emb_norm", "mlp1.1": "mm_input_projection_weight"},
        text="gemma3_text", tower_type="siglip_vision_model", tower=_siglip_tower, tied=True,
        norm_offset=1.0, transposed=True,
    ),
    Join(
        "paddleocr_vl", ("PaddleOCRVLForConditionalGeneration",), _paddleocr,
        prefixes=(
            ("model.visual.vision_model.", "model.projector.", "model."),
            ("visual.vision_model.", "mlp_AR.", ""),
        ),
        image=("<|IMAGE_START|>", "<|IMAGE_PLACEHOLDER|>", "<|IMAGE_END|>"),
        modules={"mlp1.0": "pre_norm", **_TWO}, text="paddleocr_vl_text",
        tower_type="paddleocr_vl_vision", tied=True,
    ),
    Join(
        "minicpmv", ("MiniCPMV",), _minicpmv, prefixes=(("vpm.", "", "llm."),),
        image=("<image>", "<unk>", "</image>"), modules={}, text="qwen2",
        tower_type="siglip_vision_model", tower=_minicpmv_tower,
    ),
    Join(
        "janus", ("JanusForConditionalGeneration",), _janus,
        prefixes=(("model.vision_model.", "model.aligner.", "model."),),
        image=("<begin_of_image>", "<image_placeholder>", "<end_of_image>"),
        modules={"mlp1.1": "fc1", "mlp1.3": "hidden_layers.0", "mlp1.5": "hidden_layers.1"},
        text="llama", tower_type="janus_vision_model", tied=True,
        parked=lambda config: picture_maker.parameters(config.get("vq_config") or {}),
    ),
    Join(
        "lighton_ocr", ("LightOnOcrForConditionalGeneration",), _mistral3,
        prefixes=(("model.vision_encoder.", "model.vision_projection.", "model."),),
        image=("", "<|image_pad|>", ""),
        modules={"mlp1.0": "norm", "mlp1.join": "patch_merger.merging_layer", **_TWO},
        text="qwen3", tower_type="pixtral", tied=True,
    ),
    Join(
        "deepseek_vl", ("DeepseekVLForConditionalGeneration",), _deepseek,
        prefixes=(("model.vision_model.", "model.aligner.", "model."),),
        image=("", "<image_placeholder>", ""),
        modules={"mlp1.1": "linear1", "mlp1.3": "linear2"}, text="llama",
        tower_type="siglip_vision_model", tower=_siglip_tower, tied=True,
    ),
    Join(
        "whisper", ("WhisperForConditionalGeneration",), _whisper,
        prefixes=(("model.encoder.", "model.decoder.layers.", "model.decoder"),),
        image=("", "", ""),
        modules={"cross.{}.k": "{}.encoder_attn.k_proj", "cross.{}.v": "{}.encoder_attn.v_proj"},
        text="whisper_decoder", tower_type="whisper_encoder", tied=True,
    ),
    Join(
        "mistral3", ("Mistral3ForConditionalGeneration",), _mistral3, prefixes=_HF,
        image=("", "[IMG]", "[IMG_END]"), row_end="[IMG_BREAK]",
        modules={"mlp1.0": "norm", "mlp1.join": "patch_merger.merging_layer", **_TWO},
        text="mistral", tower_type="pixtral", required={"vision_feature_layer": -1}, tied=True,
    ),
)  # fmt: skip

JOINS: dict[str, Join] = {row.model_type: row for row in _ROWS}
"""Every way of joining tower and decoder by ``model_type`` of config.json."""
