"""A small InternVL checkpoint with a tokenizer of bytes, written in the true layout."""

from __future__ import annotations

import json
from dataclasses import replace

from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig
from tests.models import layouts
from tests.models.seeded import VISION, SeededWeights
from tests.models.writing import internvl_chat_json, stored, write

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>")
MERGES = ("h e", "l l", "he ll", "Ġ t", "Ġt h")
DECODER = DecoderConfig("qwen2", 2, 64, 96, 4, 2, 256 + len(MERGES) + len(SPECIAL))
MODEL = ModelConfig(DECODER, replace(VISION, num_hidden_layers=1), ProjectorConfig(64))


def vocabulary() -> dict[str, int]:
    """The 256 bytes as GPT-2 writes them, and what the merges make."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in shown}
    hidden = (b for b in range(256) if b not in letters)
    letters |= {b: chr(256 + i) for i, b in enumerate(hidden)}
    words = [letters[b] for b in range(256)] + [merge.replace(" ", "") for merge in MERGES]
    return {word: index for index, word in enumerate(words)}


def write_tokenizer(folder, whole):
    """tokenizer.json, or vocab.json, merges.txt and added_tokens.json."""
    words = vocabulary()
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    merges = "\n".join(["#version: 0.2", *MERGES])
    (folder / "merges.txt").write_text(merges + "\n", encoding="utf-8")
    added = {token: len(words) + index for index, token in enumerate(SPECIAL)}
    (folder / "added_tokens.json").write_text(json.dumps(added), encoding="utf-8")
    if whole:
        from axsim.inputs.tokenizer import Tokens

        Tokens(folder)._model.save(str(folder / "tokenizer.json"))
        for name in ("vocab.json", "merges.txt", "added_tokens.json"):
            (folder / name).unlink()


def write_model(folder, whole=True):
    """The folder of a checkpoint that can be talked to."""
    tensors = stored(SeededWeights(MODEL), MODEL, layouts.OPENGVLAB)
    write(folder, internvl_chat_json(MODEL), tensors)
    write_tokenizer(folder, whole)
    return folder
