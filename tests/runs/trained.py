"""A small decoder that was trained for a moment on one text, as a checkpoint with a tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from axsim.inputs.passage import shipped_page  # noqa: E402
from axsim.inputs.tokenizer import Tokens  # noqa: E402
from tests.runs.talking import MERGES, SPECIAL, write_tokenizer  # noqa: E402

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256 + len(MERGES) + len(SPECIAL),
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def trained(folder: Path, steps: int = 30, kind: str = "Qwen2", **keys):
    """The model, whose files are in ``folder``; equal arguments give equal weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = getattr(transformers, f"{kind}Config")(**SIZES, **keys)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config)
    write_tokenizer(folder, whole=True)
    tokens = torch.tensor(Tokens(folder).encode(shipped_page().read_text(encoding="utf-8")))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(steps):
        batch = torch.stack(
            [tokens[(step * 4 + i) * 53 % (len(tokens) - 65) :][:65] for i in range(4)]
        )
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return model.eval()
