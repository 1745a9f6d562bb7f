"""Numerics beside torch float32: the same shapes, in one process, on as many threads.

    python benchmarks/numerics.py [--part tower|decoder] [--repeat 3] [--threads 2] [--clock cpu]

Prints milliseconds (the least of the repetitions, taken in turn so that a busy machine disturbs
both sides alike), the ratio axsim / torch, the target, and the peak memory of the process. Needs
torch (the ``oracle`` extra).
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Case:
    name: str
    target: float
    ours: Callable[[], object]
    theirs: Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["tower", "decoder"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: time of all threads, for a machine that others use too (with --threads 1)",
    )
    parser.add_argument("--size", type=int, default=448, help="pixels")
    args = parser.parse_args()
    if os.environ.get("AXSIM_THREADS") != str(args.threads):
        names = ("AXSIM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        os.environ.update(dict.fromkeys(names, str(args.threads)))
        os.execv(sys.executable, [sys.executable, *sys.argv])

    print(f"{'':34}{'axsim ms':>10}{'torch ms':>10}{'ratio':>8}{'target':>8}")
    for part in [args.part] if args.part else ["tower", "decoder"]:
        for case in tower(args.size) if part == "tower" else decoder():
            report(case, args.repeat, CLOCKS[args.clock])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory, both sides together: {peak:.2f} GiB")


PAUSE = 0.2
"""Seconds in which the threads of the side before stop looking for more work."""
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def report(case: Case, repeat: int, clock: Callable[[], float]) -> None:
    case.ours(), case.theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat):
        for run, taken in zip((case.ours, case.theirs), times, strict=True):
            time.sleep(PAUSE)
            start = clock()
            run()
            taken.append(1e3 * (clock() - start))
    ours, theirs = min(times[0]), min(times[1])
    target = f"{case.target:8.2f}"
    print(f"{case.name:34}{ours:10.0f}{theirs:10.0f}{ours / theirs:8.2f}{target}", flush=True)


def tower(size: int) -> list[Case]:
    """InternViT-300M with its projector."""
    import torch
    from torch.nn import functional as F

    from axsim.models.config import ModelConfig, ProjectorConfig, VisionConfig
    from axsim.models.synthetic import SyntheticWeights
    from axsim.models.vision import vision_graph
    from axsim.models.weights import vision_weights
    from axsim.numerics.executor import Executor
    from axsim.numerics.formats import assign_vision
    from axsim.numerics.integer_graph import Integer, IntegerWeights
    from axsim.numerics.ranges import Calibration

    vision = VisionConfig(24, 1024, 4096, 16, 14, 448)
    model = ModelConfig(None, vision, ProjectorConfig(896))
    graph = vision_graph(vision, size, model.projector)
    make = vision_weights(SyntheticWeights(model), vision, size)
    tensors = {t.name: make(t.name) for t in graph.weights()}
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    inputs = {"input": image}

    calibration = Calibration()
    reference = Executor(graph, tensors.__getitem__, calibration)
    reference.run_all(inputs)
    packed = IntegerWeights()
    cases = []
    w = {n: torch.from_numpy(a) for n, a in tensors.items()}
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2))).float() / 58 - 2

    @torch.no_grad()
    def theirs() -> object:
        e = "vision_model.embeddings"
        x = F.conv2d(
            pixels, w[f"{e}.patch_embedding.weight"], w[f"{e}.patch_embedding.bias"], stride=14
        )
        x = torch.cat([w[f"{e}.class_embedding"], x.flatten(2).transpose(1, 2)], 1)
        x = x + w[f"{e}.position_embedding"]
        for i in range(24):
            p = f"vision_model.encoder.layers.{i}"

            def linear(x: torch.Tensor, name: str, p: str = p) -> torch.Tensor:
                return F.linear(x, w[f"{p}.{name}.weight"], w[f"{p}.{name}.bias"])

            h = F.layer_norm(x, (1024,), w[f"{p}.norm1.weight"], w[f"{p}.norm1.bias"], 1e-6)
            q, k, v = linear(h, "attn.qkv").reshape(1, -1, 3, 16, 64).permute(2, 0, 3, 1, 4)
            h = torch.softmax(q * 0.125 @ k.transpose(2, 3), -1) @ v
            h = linear(h.transpose(1, 2).reshape(1, -1, 1024), "attn.proj")
            x = x + w[f"{p}.ls1"] * h
            h = F.layer_norm(x, (1024,), w[f"{p}.norm2.weight"], w[f"{p}.norm2.bias"], 1e-6)
            x = x + w[f"{p}.ls2"] * linear(F.gelu(linear(h, "mlp.fc1")), "mlp.fc2")
        side = size // 28
        x = x[:, 1:].reshape(side, 2, side, 2, 1024).permute(0, 2, 1, 3, 4).reshape(1, -1, 4096)
        x = F.layer_norm(x, (4096,), w["mlp1.0.weight"], w["mlp1.0.bias"])
        x = F.gelu(F.linear(x, w["mlp1.1.weight"], w["mlp1.1.bias"]))
        return F.linear(x, w["mlp1.3.weight"], w["mlp1.3.bias"])

    for dtype, target in (("u8", 0.45), ("u16", 0.9)):
        quantised = assign_vision(graph, dtype)
        arithmetic = Integer(calibration.qparams(quantised), packed)
        executor = Executor(quantised, tensors.__getitem__, arithmetic)
        run = (lambda e: lambda: e.run_all(inputs))(executor)
        cases.append(Case(f"tower {size} px {dtype}", target, run, theirs))
    plain = Executor(graph, tensors.__getitem__)
    cases.append(Case(f"tower {size} px float32", 1.0, lambda: plain.run_all(inputs), theirs))
    return cases


def decoder() -> list[Case]:
    """The Qwen2-0.5B decoder of InternVL2-1B: prefill of 320 tokens, one token at KV 1023."""
    import torch
    from torch.nn import functional as F

    from axsim.models.config import DecoderConfig, ModelConfig
    from axsim.models.decoder import decoder_layer_graph, post_graph
    from axsim.models.synthetic import SyntheticWeights
    from axsim.models.weights import layer_weights, post_weights
    from axsim.numerics.executor import Executor
    from axsim.numerics.formats import assign_decoder
    from axsim.numerics.stored import StoredWeights
    from axsim.numerics.weight_only import WeightOnly

    cfg = DecoderConfig("qwen2", 24, 896, 4864, 14, 2, 151655)
    source = SyntheticWeights(ModelConfig(cfg))
    stored, arithmetic = StoredWeights(source, ready=True), WeightOnly()
    layers = []
    for i in range(24):
        names = [t.name for t in decoder_layer_graph(cfg, 1, 0).weights()]
        layers.append({n: torch.from_numpy(layer_weights(source, i)(n)) for n in names})
    head = {
        n: torch.from_numpy(post_weights(source, cfg)(n)) for n in ("norm.weight", "lm_head.weight")
    }

    def case(new: int, cached: int, with_head: bool, name: str, target: float) -> Case:
        graph = assign_decoder(decoder_layer_graph(cfg, new, cached))
        executors = [Executor(graph, layer_weights(stored, i), arithmetic) for i in range(24)]
        post = Executor(assign_decoder(post_graph(cfg)), post_weights(stored, cfg), arithmetic)
        rng = np.random.default_rng(0)
        feed = {
            n: (0.02 * rng.standard_normal(graph.tensors[n].shape)).astype(np.float32)
            for n in graph.inputs
        }
        feed["indices"] = np.arange(cached, cached + new, dtype=np.uint32).reshape(1, -1)
        allowed = np.arange(cached + new) <= cached + np.arange(new)[:, None]
        feed["mask"] = np.where(allowed, 0, -65536).astype(np.float32)[None]

        def ours() -> None:
            x = feed["input"]
            for executor in executors:
                x = executor.run_all({**feed, "input": x})["output"]
            if with_head:
                post.run_all({"input": x[:, -1:]})

        t = {n: torch.from_numpy(a) for n, a in feed.items() if n != "indices"}
        positions = torch.arange(cached, cached + new)
        angles = positions[:, None] * 1e6 ** (-torch.arange(32) / 32)
        cos, sin = (torch.cat([f(angles)] * 2, -1) for f in (torch.cos, torch.sin))

        def rotate(x: torch.Tensor) -> torch.Tensor:
            return x * cos + torch.cat([-x[..., 32:], x[..., :32]], -1) * sin

        def norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            return F.rms_norm(x, (896,), weight, 1e-6)

        @torch.no_grad()
        def theirs() -> None:
            x = t["input"][0]
            for w in layers:
                h = norm(x, w["input_layernorm.weight"])
                q, k, v = (
                    F.linear(h, w[f"self_attn.{p}_proj.weight"], w[f"self_attn.{p}_proj.bias"])
                    .reshape(new, -1, 64)
                    .transpose(0, 1)
                    for p in "qkv"
                )
                q, k = rotate(q), rotate(k)
                if cached:
                    past = (
                        t[n][0].reshape(-1, 2, 64).transpose(0, 1) for n in ("K_cache", "V_cache")
                    )
                    k, v = (torch.cat(pair, 1) for pair in zip(past, (k, v), strict=True))
                k, v = (x.repeat_interleave(7, 0) for x in (k, v))
                h = torch.softmax(q @ k.transpose(1, 2) / 8 + t["mask"], -1) @ v
                h = h.transpose(0, 1).reshape(new, 896)
                x = x + F.linear(h, w["self_attn.o_proj.weight"])
                h = norm(x, w["post_attention_layernorm.weight"])
                gate = F.silu(F.linear(h, w["mlp.gate_proj.weight"]))
                h = gate * F.linear(h, w["mlp.up_proj.weight"])
                x = x + F.linear(h, w["mlp.down_proj.weight"])
            if with_head:
                F.linear(norm(x[-1:], head["norm.weight"]), head["lm_head.weight"])

        return Case(name, target, ours, theirs)

    return [
        case(320, 0, False, "prefill of 320 tokens, w8a16", 1.05),
        case(1, 1023, True, "token at KV 1023 with head, w8a16", 0.6),
    ]


if __name__ == "__main__":
    main()
