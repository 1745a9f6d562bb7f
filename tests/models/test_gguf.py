"""GGUF files against transformers, which reads them too."""

import re
from dataclasses import replace

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

from axsim.errors import InputError  # noqa: E402
from axsim.models.checkpoint import Checkpoint, architecture  # noqa: E402
from axsim.models.config import DecoderConfig, ModelConfig  # noqa: E402
from axsim.models.gguf import _MODULES, GgufFile  # noqa: E402
from axsim.models.gguf_formats import FORMATS  # noqa: E402
from axsim.models.hf_config import model_config  # noqa: E402
from axsim.models.layout import Layout  # noqa: E402
from axsim.models.weights import DECODER  # noqa: E402
from axsim.spec.from_checkpoint import workload_text  # noqa: E402
from tests.models.running import Loop, relative  # noqa: E402
from tests.models.seeded import SeededWeights, embeddings  # noqa: E402
from tests.models.small import DECODERS  # noqa: E402
from tests.models.writing import stored  # noqa: E402

LLAMA = DecoderConfig("llama", 2, 64, 96, 4, 2, 211, rope_theta=1e4, rms_norm_eps=1e-5)
QWEN3 = DecoderConfig("qwen3", 2, 64, 96, 4, 2, 211, head_dim=32, tie_word_embeddings=True)
FILES = {
    "llama": LLAMA,
    "qwen3": QWEN3,
    **{
        kind: replace(model_config(DECODERS[name]).decoder, **changes)
        for kind, name, changes in (
            ("phi3", "phi4-mini", {"sliding_window": 200}),
            ("gemma", "gemma", {}),
            ("gemma2", "gemma2", {"attention_multiplier": 32**-0.5}),
            ("gemma3", "gemma3", {"full_attention_layers": ()}),
            ("smollm3", "smollm3", {"nope_layers": ()}),
            ("granite", "granite", {}),
            ("olmo2", "olmo2", {}),
            ("starcoder2", "starcoder2", {}),
            ("ernie4_5", "ernie4_5", {}),
            ("arcee", "arcee", {}),
            ("nemotron", "nemotron", {}),
            ("seed_oss", "seed_oss", {}),
        )
    },
}
"""By ``general.architecture``; what files leave out is what transformers assumes."""


def written(path, cfg, weights, kind=None, arch=""):
    """A file of ``cfg``, as llama.cpp's converter lays it out; matrices quantised to ``kind``."""
    arch = arch or cfg.family
    form = FORMATS[arch]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(cfg.num_hidden_layers)
    writer.add_embedding_length(cfg.hidden_size)
    writer.add_feed_forward_length(cfg.intermediate_size)
    writer.add_head_count(cfg.num_attention_heads)
    writer.add_head_count_kv(cfg.num_key_value_heads)
    writer.add_key_length(cfg.head_dim)
    writer.add_value_length(cfg.head_dim)
    writer.add_rope_dimension_count(cfg.rotary_dim)
    if "norm_eps" in form.keys or "norm_epsilon" in form.keys:
        writer.add_layer_norm_eps(cfg.rms_norm_eps)
    else:
        writer.add_layer_norm_rms_eps(cfg.rms_norm_eps)
    writer.add_rope_freq_base(cfg.rope_theta)
    writer.add_context_length(512)
    writer.add_vocab_size(cfg.vocab_size)
    writer.add_eos_token_id(7)
    own = {
        "sliding_window": cfg.sliding_window, "rope_local_base_freq": cfg.sliding_rope_theta,
        "attn_logit_softcapping": cfg.attention_softcap,
        "final_logit_softcapping": cfg.logit_softcap,
        "embedding_multiplier": cfg.embedding_multiplier,
        "residual_multiplier": cfg.residual_multiplier,
        "attention_multiplier": cfg.attention_multiplier,
        "logits_scaling": 1 / cfg.logits_multiplier,
    }  # fmt: skip
    for key, theirs in form.keys.items():
        value = own.get(key)
        if value and isinstance(value, int):
            writer.add_uint32(f"{arch}.{theirs}", value)
        elif value:
            writer.add_float32(f"{arch}.{theirs}", value)
    scaling = cfg.rope_scaling
    if scaling and scaling.kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling.factor)
    if scaling and scaling.kind == "longrope":
        writer.add_rope_scaling_orig_ctx_len(scaling.original_max_position_embeddings)
        for name in ("long", "short"):
            factors = np.array(scaling.short_factor, np.float32)
            writer.add_tensor(f"rope_factors_{name}.weight", factors)
    names = {theirs: ours for ours, theirs in {**_MODULES, **form.modules}.items()}
    for plain, value in stored(weights, ModelConfig(cfg), Layout()).items():
        module, _, kind_of = plain.rpartition(".")
        layer = ""
        if module.startswith("model.layers."):
            _, _, index, module = module.split(".", 3)
            layer = f"blk.{index}."
        if form.paired and module.endswith(("q_proj", "k_proj")):
            heads = cfg.num_attention_heads if "q_" in module else cfg.num_key_value_heads
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        if "norm" in module and kind_of == "weight":
            value = value + np.float32(form.norm_offset)
        value = np.ascontiguousarray(value)
        target = f"{layer}{names[module]}.{kind_of}"
        assert gguf_knows(arch, target), target
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


def gguf_knows(arch, name):
    """Whether llama.cpp has a tensor of that name in the architecture."""
    constants = gguf.constants
    (kind,) = [k for k, v in constants.MODEL_ARCH_NAMES.items() if v == arch.replace("_", "-")
               or v == arch]  # fmt: skip
    known = {constants.TENSOR_NAMES[each] for each in constants.MODEL_TENSORS[kind]}
    return re.sub(r"blk\.\d+", "blk.{bid}", name).rpartition(".")[0] in known


@pytest.mark.parametrize("arch", FILES)
def test_what_was_written_is_read(tmp_path, arch):
    cfg = FILES[arch]
    weights = SeededWeights(ModelConfig(cfg))
    path = written(tmp_path / "model.gguf", cfg, weights, arch=arch)
    for place in (path, tmp_path):
        checkpoint = Checkpoint(place)
        assert checkpoint.config == ModelConfig(cfg)
        assert checkpoint.eos_token_ids == (7,)
        for name in weights.shapes:
            if FORMATS[arch].norm_offset and "norm" in name:
                np.testing.assert_allclose(checkpoint(name), weights(name), 1e-6, 1e-6, name)
            else:
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


@pytest.mark.oracle
@pytest.mark.parametrize("arch", ["qwen3", "phi3", "gemma2", "gemma3", "starcoder2", "nemotron"])
def test_transformers_reads_the_same_tensors(tmp_path, arch):
    """Names, order of rows, and what is added to the scale of norms."""
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    cfg = FILES[arch]
    path = written(tmp_path / "m.gguf", cfg, SeededWeights(ModelConfig(cfg)), arch=arch)
    kind = FORMATS[arch].model_type
    config = transformers.CONFIG_MAPPING[kind].from_dict(
        {
            "model_type": kind, "vocab_size": cfg.vocab_size, "hidden_size": cfg.hidden_size,
            "num_hidden_layers": cfg.num_hidden_layers, "head_dim": cfg.head_dim,
            "num_attention_heads": cfg.num_attention_heads, "pad_token_id": None,
            "num_key_value_heads": cfg.num_key_value_heads,
            "intermediate_size": cfg.intermediate_size,
        }
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config)
    theirs = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)["tensors"]
    ours = GgufFile(path)
    compared = 0
    for name in ours.shapes:
        if name in theirs:
            np.testing.assert_allclose(ours.float32(name), theirs[name].numpy(), 1e-6, 1e-6, name)
            compared += 1
    assert compared > 0.9 * len(ours.shapes)


@pytest.mark.parametrize(
    ("arch", "keys", "reason"),
    [
        ("qwen3moe", {"qwen3moe.expert_count": 8}, "a mixture of 8 experts is not supported"),
        ("qwen2vl", {}, "general.architecture is 'qwen2vl'; its tower is in another file"),
        ("mamba2", {}, "layers with a recurrent state are not supported"),
        ("bert", {}, "it is no decoder of a language model"),
        ("gpt2", {}, "general.architecture is 'gpt2'; known: llama, qwen2"),
    ],
)
def test_other_architectures_are_refused_with_the_reason(tmp_path, arch, keys, reason):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", arch)
    for key, value in keys.items():
        writer.add_uint32(key, value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match=reason):
        workload_text(tmp_path / "m.gguf")


def test_what_is_no_model(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"no")
    with pytest.raises(InputError, match=r"a\.gguf is no readable GGUF file"):
        Checkpoint(tmp_path)
    (tmp_path / "b.gguf").write_bytes(b"no")
    with pytest.raises(InputError, match="has 2 GGUF files; give one of them"):
        Checkpoint(tmp_path)
