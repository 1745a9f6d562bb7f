"""InternVL2-1B's architecture (config.json of OpenGVLab/InternVL2-1B)."""

from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig, VisionConfig

VISION = VisionConfig(
    num_hidden_layers=24,
    hidden_size=1024,
    intermediate_size=4096,
    num_attention_heads=16,
    patch_size=14,
    image_size=448,
)
DECODER = DecoderConfig(
    family="qwen2",
    num_hidden_layers=24,
    hidden_size=896,
    intermediate_size=4864,
    num_attention_heads=14,
    num_key_value_heads=2,
    vocab_size=151655,
)
PROJECTOR = ProjectorConfig(hidden_size=896)
MODEL = ModelConfig(DECODER, VISION, PROJECTOR)
