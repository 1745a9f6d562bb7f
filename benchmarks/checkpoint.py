"""What a full-size checkpoint costs: time and memory of importing it and of asking it something.

    python benchmarks/checkpoint.py [--chip ax650n] [--variants 224-u8,448-u16] [--shards 3]
        [--tokens 16] [--tiling] [--json FILE]

Writes an InternVL2-1B checkpoint of seeded weights in OpenGVLab's layout (bf16, 1.9 GB) with a
tokenizer of bytes into a temporary folder. Every command runs in a new process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from run import AXSIM, ROOT, Measure, measured, table

sys.path.insert(0, str(ROOT))

from axsim.kernels.arithmetic import to_bf16_bits
from axsim.models.config import ModelConfig
from axsim.models.synthetic import SyntheticWeights
from axsim.models.weights import tensor_shapes
from tests.models.internvl2 import MODEL
from tests.models.writing import internvl_chat_json
from tests.runs.talking import write_tokenizer

PEAK_MB = 3000


def write_shards(folder: Path, model: ModelConfig, count: int) -> None:
    """The model's tensors as bf16 safetensors, one at a time; an index beside several files."""
    names = list(tensor_shapes(model))
    part = -(-len(names) // count)
    weight_map = {}
    for index in range(count):
        file = f"model-{index + 1:05d}-of-{count:05d}.safetensors"
        file = "model.safetensors" if count == 1 else file
        held = names[index * part : (index + 1) * part]
        weight_map |= dict.fromkeys(held, file)
        _write_file(folder / file, model, held)
    if count > 1:
        text = json.dumps({"metadata": {}, "weight_map": weight_map})
        (folder / "model.safetensors.index.json").write_text(text)


def _write_file(path: Path, model: ModelConfig, names: list[str]) -> None:
    weights = SyntheticWeights(model)
    header, offset = {}, 0
    for name in names:
        shape = tensor_shapes(model)[name]
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(to_bf16_bits(weights(name)).tobytes())


def write_checkpoint(folder: Path, shards: int) -> None:
    """The whole folder."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(internvl_chat_json(MODEL)))
    write_tokenizer(folder, whole=True)
    write_shards(folder, MODEL, shards)


def picture(path: Path) -> Path:
    """A seeded picture of 640 x 480."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC).save(path)
    return path


def command(name: str, arguments: list[object], folder: Path, size_mb: float | None) -> Measure:
    wall, peak = measured([*AXSIM, *map(str, arguments)], folder)
    return Measure(name, wall, None, peak, PEAK_MB, size_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chip", default="ax630c")
    parser.add_argument("--variants", default="224-u8,448-u8,448-u16")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--tiling", action="store_true", help="also with --dynamic-tiling")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model"
        # In a process of its own: the peak of this one would count as that of its children.
        writer = get_context("spawn").Process(target=write_checkpoint, args=(model, options.shards))
        writer.start()
        writer.join()
        if writer.exitcode:
            sys.exit("the checkpoint could not be written")
        size = sum(path.stat().st_size for path in model.iterdir()) / 1e6
        workload, asked = folder / "mine.yaml", picture(folder / "picture.png")
        imported = ["import", model, "-o", workload]
        lines = [command("axsim import", imported, folder, size)]
        tokens = f"request.new_tokens={options.tokens}"
        ask = ["run", workload, "--chip", options.chip, "--checkpoint", model, "--set", tokens]
        ask += ["--image", asked, "--prompt", "What is it?"]
        for variant in options.variants.split(","):
            title = f"axsim run --checkpoint --image --prompt, {variant}"
            lines.append(command(title, [*ask, "--variant", variant], folder, None))
        if options.tiling:  # a cache that holds thirteen tiles and the question
            room = ["--set", "build.kv_cache_len=2047", "--variant", "224-u8", "--dynamic-tiling"]
            lines.append(command("the same with --dynamic-tiling", [*ask, *room], folder, None))
    print(table(lines))
    load = os.getloadavg()[0]
    print(f"\n{os.cpu_count()} cores, load {load:.1f}, Python {sys.version.split()[0]}")
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")


if __name__ == "__main__":
    main()
