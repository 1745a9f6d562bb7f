"""Text generation: files found by pattern, caches in numpy, prefill in slices, greedy decoding."""

import argparse
import os
import re

import numpy as np
from axengine import InferenceSession
from ml_dtypes import bfloat16


class LLM:
    def __init__(self, folder, prefix, kv_cache_len):
        names = [n for n in os.listdir(folder) if re.match(rf"{prefix}_p\d+_l\d+_together", n)]
        self.slice_len = int(re.search(r"_p(\d+)_l", names[0])[1])
        self.kv_cache_len = kv_cache_len
        self.embeds = np.load(os.path.join(folder, "model.embed_tokens.weight.npy"))
        self.layers = [
            InferenceSession(f"{folder}/{prefix}_p{self.slice_len}_l{i}_together.axmodel")
            for i in range(len(names))
        ]
        self.post = InferenceSession(f"{folder}/{prefix}_post.axmodel")
        kv_dim = self.layers[0].get_outputs()[0].shape[-1]
        shape = (1, kv_cache_len, kv_dim)
        self.k_caches = [np.zeros(shape, dtype=bfloat16) for _ in names]
        self.v_caches = [np.zeros(shape, dtype=bfloat16) for _ in names]

    def head(self, row):
        logits = self.post.run(None, {"input": row})[0]
        return int(np.argmax(logits.astype(np.float32)))

    def prefill(self, prompt):
        size, hidden = self.slice_len, prompt.shape[-1]
        for s in range((len(prompt) - 1) // size + 1):
            start, count = s * size, min(size, len(prompt) - s * size)
            indices = np.arange(start, start + size, dtype=np.uint32)[None]
            mask = np.full((1, size, start + size), -65536)
            data = np.zeros((1, size, hidden), dtype=bfloat16)
            data[:, :count] = prompt[start : start + count]
            for i in range(count):
                mask[:, i, : start + i + 1] = 0
            mask = mask.astype(bfloat16)
            dummy = np.zeros((1, 1, hidden), dtype=bfloat16)
            for i, layer in enumerate(self.layers):
                feed = {
                    "K_cache": self.k_caches[i][:, :start] if s else dummy,
                    "V_cache": self.v_caches[i][:, :start] if s else dummy,
                    "indices": indices,
                    "input": data,
                    "mask": mask,
                }
                k, v, data = layer.run(None, feed, shape_group=s + 1)
                self.k_caches[i][:, start : start + count] = k[:, :count]
                self.v_caches[i][:, start : start + count] = v[:, :count]
        return self.head(data[:, count - 1, None, :])

    def generate(self, prompt, new_tokens):
        tokens = [self.prefill(prompt.astype(bfloat16))]
        mask = np.full((1, 1, self.kv_cache_len + 1), -65536, dtype=np.float32).astype(bfloat16)
        mask[:, :, -1] = 0
        mask[:, :, : len(prompt)] = 0
        for start in range(len(prompt), len(prompt) + new_tokens - 1):
            data = self.embeds[tokens[-1]].astype(bfloat16).reshape((1, 1, -1))
            indices = np.array([[start]], np.uint32)
            for i, layer in enumerate(self.layers):
                feed = {
                    "K_cache": self.k_caches[i],
                    "V_cache": self.v_caches[i],
                    "indices": indices,
                    "input": data,
                    "mask": mask,
                }
                k, v, data = layer.run(None, feed, shape_group=0)
                self.k_caches[i][:, start] = k[:, 0]
                self.v_caches[i][:, start] = v[:, 0]
            mask[..., start] = 0
            tokens.append(self.head(data))
        return tokens


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axmodel_path", required=True)
    parser.add_argument("--prefix", default="qwen2")
    parser.add_argument("--kv_cache_len", type=int, default=40)
    parser.add_argument("--new_tokens", type=int, default=5)
    parser.add_argument("--prompt", type=int, nargs="+", required=True)
    args = parser.parse_args()
    llm = LLM(args.axmodel_path, args.prefix, args.kv_cache_len)
    print("tokens:", *llm.generate(llm.embeds[args.prompt], args.new_tokens))
