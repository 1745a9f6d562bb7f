"""A script on a checkpoint of transformers says what transformers says."""

from __future__ import annotations

import sys

import pytest

from tests.axengine.test_scripts import ran, tokens_of
from tests.cli.command import axsim as command

pytestmark = pytest.mark.oracle


def test_a_question_is_answered_token_by_token_as_transformers_does(tmp_path):
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    words = {chr(code): index for index, code in enumerate([0, *range(32, 127)])}
    letters = Tokenizer(models.WordLevel(words, unk_token="\0"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    letters.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=letters, unk_token="\0")
    made.save_pretrained(tmp_path / "hf")
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = Qwen2Config(vocab_size=len(words), **sizes, **heads, tie_word_embeddings=False)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(tmp_path / "hf")

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")  # as config.json wants it

    question = "Hello board, what is up?"
    exact = Qwen2ForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32)
    ids = tokenizer(question, return_tensors="pt").input_ids
    count = ids.shape[1]
    for _ in range(12):
        likeliest = exact(ids).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, likeliest], dim=1)
    expected = ids[0, count:].tolist()

    out = tmp_path / "files"
    keys = "--set", "build.prefill_chunk=16", "--set", "build.kv_cache_len=127", "--no-check"
    for weights in ("s8", "bf16"):
        kind = ("--set", f"build.weight_dtype={weights}")
        command("build", tmp_path / "hf", "--chip", "ax650n", "-o", out, *keys, *kind)
        text = ran("chat", "--hf_model", out, "--axmodel_path", out, "-q", question)
        sys.modules.pop("llm", None)
        assert tokens_of(text) == tuple(expected)
        assert f"answer: {tokenizer.decode(expected)}" in text
    assert len(set(expected)) > 5
