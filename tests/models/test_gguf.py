"""GGUF files against transformers, which reads them too."""

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

from axsim.errors import InputError  # noqa: E402
from axsim.models.checkpoint import Checkpoint, architecture  # noqa: E402
from axsim.models.config import DecoderConfig, ModelConfig  # noqa: E402
from axsim.models.layout import decoder_source  # noqa: E402
from axsim.models.weights import DECODER  # noqa: E402
from axsim.spec.from_checkpoint import workload_text  # noqa: E402
from tests.models.running import Loop, relative  # noqa: E402
from tests.models.seeded import SeededWeights, embeddings  # noqa: E402

LLAMA = DecoderConfig("llama", 2, 64, 96, 4, 2, 211, rope_theta=1e4, rms_norm_eps=1e-5)
QWEN3 = DecoderConfig("qwen3", 2, 64, 96, 4, 2, 211, head_dim=32, tie_word_embeddings=True)
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip


def written(path, cfg, weights, kind=None):
    """A file of ``cfg``, as llama.cpp's converter lays it out; matrices quantised to ``kind``."""
    writer = gguf.GGUFWriter(path, cfg.family)
    writer.add_block_count(cfg.num_hidden_layers)
    writer.add_embedding_length(cfg.hidden_size)
    writer.add_feed_forward_length(cfg.intermediate_size)
    writer.add_head_count(cfg.num_attention_heads)
    writer.add_head_count_kv(cfg.num_key_value_heads)
    writer.add_key_length(cfg.head_dim)
    writer.add_value_length(cfg.head_dim)
    writer.add_layer_norm_rms_eps(cfg.rms_norm_eps)
    writer.add_rope_freq_base(cfg.rope_theta)
    writer.add_context_length(512)
    writer.add_vocab_size(cfg.vocab_size)
    writer.add_eos_token_id(7)
    for name in weights.shapes:
        plain = decoder_source(cfg, name.removeprefix(DECODER)).name
        value, (module, _, kind_of) = weights(name), plain.rpartition(".")
        layer = ""
        if module.startswith("model.layers."):
            _, _, index, module = module.split(".", 3)
            layer = f"blk.{index}."
        if cfg.family == "llama" and module.endswith(("q_proj", "k_proj")):
            heads = cfg.num_attention_heads if "q_" in module else cfg.num_key_value_heads
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        value = np.ascontiguousarray(value)
        target = f"{layer}{NAMES[module]}.{kind_of}"
        if kind is not None and value.ndim == 2:
            packed = gguf.quants.quantize(value, kind)
            writer.add_tensor(target, packed, raw_dtype=kind)
        else:
            writer.add_tensor(target, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("cfg", [LLAMA, QWEN3], ids=["llama", "qwen3"])
def test_what_was_written_is_read(tmp_path, cfg):
    weights = SeededWeights(ModelConfig(cfg))
    path = written(tmp_path / "model.gguf", cfg, weights)
    for place in (path, tmp_path):
        checkpoint = Checkpoint(place)
        assert checkpoint.config == ModelConfig(cfg)
        assert checkpoint.eos_token_ids == (7,)
        for name in weights.shapes:
            np.testing.assert_array_equal(checkpoint(name), weights(name), err_msg=name)
    assert architecture(path) == ModelConfig(cfg)
    assert f"family: {cfg.family}" in workload_text(path)


def test_quantised_matrices_are_what_their_blocks_hold(tmp_path):
    weights = SeededWeights(ModelConfig(LLAMA))
    kind = gguf.GGMLQuantizationType.Q8_0
    checkpoint = Checkpoint(written(tmp_path / "q8.gguf", LLAMA, weights, kind))
    name = f"{DECODER}model.layers.1.self_attn.q_proj.weight"
    error = np.abs(checkpoint(name) - weights(name)).max()
    assert 0 < error <= np.abs(weights(name)).max() / 127
    table = f"{DECODER}model.embed_tokens.weight"
    np.testing.assert_array_equal(checkpoint.rows(table, [5, 3]), checkpoint(table)[[5, 3]])


@pytest.mark.oracle
def test_transformers_reads_the_same_model_from_the_file(tmp_path):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from gguf import GGUFReader
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    path = written(tmp_path / "model.gguf", LLAMA, SeededWeights(ModelConfig(LLAMA)))
    assert GGUFReader(path).tensors
    config = transformers.LlamaConfig(
        vocab_size=211, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=1e4,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    state = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)["tensors"]
    model.load_state_dict(state, strict=True)
    x = embeddings(20, 64)
    with torch.no_grad():
        expected = model.eval()(inputs_embeds=torch.from_numpy(x)[None]).logits[0].numpy()
    loop = Loop(Checkpoint(path), LLAMA, kv_len=40)
    assert relative(loop.logits(loop.prefill(x)), expected) <= 1e-5


def test_what_is_no_model(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"no")
    with pytest.raises(InputError, match=r"a\.gguf is no readable GGUF file"):
        Checkpoint(tmp_path)
    (tmp_path / "b.gguf").write_bytes(b"no")
    with pytest.raises(InputError, match="has 2 GGUF files; give one of them"):
        Checkpoint(tmp_path)
