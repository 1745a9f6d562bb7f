"""Checkpoints: config.json, safetensors, their index, GGUF."""

from __future__ import annotations

import json
import os
import struct
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.fuzz import mutate
from tests.fuzz.bounded import outcome
from tests.fuzz.kinds import base
from tests.fuzz.kinds.kind import Kind
from tests.models import layouts
from tests.models.seeded import SeededWeights
from tests.models.writing import decoder_json, stored, write_safetensors
from tests.runs import tiny


def imports(rng: Random, folder: Path) -> list[str]:
    """config.json with odd values."""
    config = mutate.tree(rng, rng.choice(base.configs()))
    text = json.dumps(config)
    base.write(
        folder,
        "config.json",
        mutate.encoded(rng, mutate.text(rng, text) if rng.random() < 0.2 else text),
    )
    if rng.random() < 0.1:
        base.write(folder, "generation_config.json", json.dumps({"eos_token_id": mutate.odd(rng)}))
    if rng.random() < 0.1:
        odd = json.dumps({"image_mean": mutate.odd(rng), "image_std": mutate.odd(rng)})
        base.write(folder, "preprocessor_config.json", odd)
    return ["import", "."]


def imported_runs(rng: Random, folder: Path) -> list[str]:
    """What ``import`` writes, run."""
    while True:
        config = mutate.tree(rng, rng.choice(base.configs()))
        base.write(folder, "config.json", json.dumps(config))
        made = outcome(["import", ".", "-o", "w.yaml"], folder)
        if made.faults:
            return ["import", ".", "-o", "w.yaml"]
        if made.code == 0:
            return [
                "run",
                "w.yaml",
                "--chip",
                "ax650n",
                "--timing-only",
                "--json",
                "-",
                "--set",
                "request.new_tokens=2",
            ]


@cache
def _tensors() -> dict[str, np.ndarray]:
    from axsim.models.config import ModelConfig

    config = ModelConfig(tiny.DECODER)
    return stored(SeededWeights(config), config, layouts.PLAIN)


@cache
def _safetensors() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.safetensors"
        write_safetensors(path, _tensors())
        return path.read_bytes()


def _parts() -> tuple[dict[str, Any], bytes]:
    data = _safetensors()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _packed(header: Any, body: bytes, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length % 2**64) + text + body


def _poisoned(rng: Random) -> dict[str, np.ndarray]:
    """Weights that are no numbers, infinite, or of another type."""
    tensors = {name: array.copy() for name, array in _tensors().items()}
    name = rng.choice(list(tensors))
    value = np.float32(rng.choice((np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, 0.0)))
    if rng.random() < 0.4:
        tensors[name][...] = value
    else:
        tensors[name].reshape(-1)[rng.randrange(tensors[name].size)] = value
    if rng.random() < 0.2:
        tensors[name] = tensors[name].astype(rng.choice((np.float16, np.float64)))
    return tensors


def weights(rng: Random, folder: Path) -> list[str]:
    config = decoder_json(tiny.DECODER)
    base.write(folder, "w.yaml", base.tiny_text())
    base.write(folder, "config.json", json.dumps(config))
    path = folder / "model.safetensors"
    path.unlink(missing_ok=True)
    action = rng.random()
    header, body = _parts()
    if action < 0.3:
        path.write_bytes(_packed(mutate.tree(rng, header), body))
    elif action < 0.5:
        name = rng.choice([n for n in header if n != "__metadata__"])
        begin, end = header[name]["data_offsets"]
        odd = rng.choice(
            (
                [begin, end + 4],
                [begin - 2, end - 2],
                [begin, float(end)],
                [-4, end - begin - 4],
                [0, end - begin],
                [end, begin],
                [True, end],
                [str(begin), end],
                [begin],
            )
        )
        header[name]["data_offsets"] = odd
        path.write_bytes(_packed(header, body))
    elif action < 0.6:
        path.write_bytes(_packed(header, body, rng.choice((0, 1, 2**40, 2**63, 2**64 - 1, 10**6))))
    elif action < 0.7:
        path.write_bytes(mutate.blob(rng, _safetensors()))
    elif action < 0.95:
        with np.errstate(all="ignore"):
            write_safetensors(path, _poisoned(rng))
    elif action < 0.97:
        os.symlink(rng.choice(("model.safetensors", "/dev/zero", "/nowhere", ".")), path)
    else:
        path.write_bytes(b"\x80\x04\x95 pickled")
    if rng.random() < 0.15:
        return [
            *("precision", "w.yaml", "--chip", "ax630c", "--checkpoint", "."),
            *("-o", rng.choice(("o.json", "o.csv"))),
        ]
    return [
        "run",
        "w.yaml",
        "--chip",
        "ax630c",
        "--checkpoint",
        ".",
        "--json",
        "-",
        "--set",
        "request.new_tokens=1",
    ]


def indices(rng: Random, folder: Path) -> list[str]:
    """model.safetensors.index.json."""
    base.write(folder, "w.yaml", base.tiny_text())
    base.write(folder, "config.json", json.dumps(decoder_json(tiny.DECODER)))
    (folder / "model.safetensors").unlink(missing_ok=True)
    base.write(folder, "a.safetensors", _safetensors())
    index: Any = {"metadata": {}, "weight_map": dict.fromkeys(_tensors(), "a.safetensors")}
    if rng.random() < 0.3:
        index["weight_map"][rng.choice(list(_tensors()))] = rng.choice(
            (
                "../../../etc/passwd",
                "/etc/passwd",
                "",
                ".",
                "b.safetensors",
                "a.safetensors/..",
                7,
                None,
            )
        )
    else:
        index = mutate.tree(rng, index)
    base.write(folder, "model.safetensors.index.json", json.dumps(index))
    return [
        "run",
        "w.yaml",
        "--chip",
        "ax630c",
        "--checkpoint",
        ".",
        "--json",
        "-",
        "--set",
        "request.new_tokens=1",
    ]


@cache
def _gguf() -> bytes:
    from axsim.models.config import ModelConfig
    from tests.models.test_gguf import LLAMA, written

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "m.gguf"
        written(path, LLAMA, SeededWeights(ModelConfig(LLAMA)))
        return path.read_bytes()


def gguf(rng: Random, folder: Path) -> list[str]:
    """A GGUF file with damaged bytes, most of them in its head."""
    data = _gguf()
    base.write(folder, "m.gguf", mutate.blob(rng, data[:3000]) + data[3000:])
    if rng.random() < 0.7:
        return ["import", "m.gguf", "-o", "w.yaml"]
    return ["run", "m.gguf", "--chip", "ax630c", "--timing-only", "--json", "-"]


KINDS = (
    Kind("gguf", gguf, 0.5, 2),
    Kind("config.json", imports, 4.0, 8),
    Kind("imported workloads", imported_runs, 0.5, 2),
    Kind("weights", weights, 1.0, 1),
    Kind("indices", indices, 0.5, 1),
)
