"""A package of the vendor's runtime: a folder of compiled files, whose names and config.json tell
how it was built.

``llm_build`` names a layer's file ``qwen2_p128_l0_together.axmodel``: prefill calls of 128 tokens,
layer 0, all groups together. The runtime's config.json uses the names of its attributes, which its
log shows as well (ax-llm, LLM.hpp).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, prod
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem
from axsim.models.checkpoint import read_object
from axsim.models.config import DecoderConfig, ModelConfig
from axsim.models.weights import tensor_shapes

LAYER = re.compile(r"(?P<prefix>.+)_p(?P<chunk>\d+)_l(?P<layer>\d+)_together\.axmodel")
DEPTH = 2
"""Folders below a package's own that are looked into: compiled files, tokenizer."""

KV_CACHE = ("kv_cache_num", "kv_cache_len", "max_token_len")
"""What the runtime calls the tokens that the compiled KV cache holds, the surest first."""
GROUPS = ("prefill_max_kv_cache_num_grp", "prefill_kv_cache_num_grp")
"""What it calls the lengths of history that prefill is compiled for, one a group."""
STORED = {"s4": 0.95, "s8": 1.7, "bf16": inf}
"""Bytes of a layer's file for each of its weights, below: S4 0.57 to 0.80 in published packages,
S8 1.12 to 1.34 (with scales, padding and the program), 16-bit floats 2."""
LEAST_STORED = 0.4
"""Less than any weights take: a file that holds something else."""

LAYERS, CHUNK = "axmodel_num", "prefill_token_num"


@dataclass(frozen=True)
class Package:
    """How it was built. ``kv_cache_len`` and ``histories`` are None where nothing says so;
    ``layer_bytes`` is the size of a layer's file. ``model`` is the folder with the model's own
    config.json, ``layers`` how many files of layers there are."""

    model: Path
    prefix: str
    chunk: int
    layers: int
    layer_bytes: int
    kv_cache_len: int | None
    histories: tuple[int, ...] | None

    def weight_dtype(self, decoder: DecoderConfig) -> str | None:
        """The dtype of the layers' weights by the size of a file; None for an empty one."""
        shapes = tensor_shapes(ModelConfig(decoder))
        count = sum(prod(shape) for name, shape in shapes.items() if ".layers.0." in name)
        each = self.layer_bytes / count
        if each < LEAST_STORED:
            return None
        return next(dtype for dtype, most in STORED.items() if each < most)


def find_package(folder: Path) -> Package | None:
    """The package in ``folder``; None when there are no files of compiled layers.

    Raises:
        InputError: layers are missing or of different builds, config.json says something else than
            the files, or the model's own config.json is not there.
    """
    files = {path: match for path in _within(folder) if (match := LAYER.fullmatch(path.name))}
    if not files:
        return None
    builds = sorted({(match["prefix"], int(match["chunk"])) for match in files.values()})
    if len(builds) > 1:
        names = ", ".join(f"{prefix}_p{chunk}" for prefix, chunk in builds)
        raise InputError(Problem(str(folder), "", f"holds several builds: {names}", "one"))
    ((prefix, chunk),) = builds
    numbers = sorted(int(match["layer"]) for match in files.values())
    for index, number in enumerate(numbers):
        if number != index:
            what = "is missing" if number > index else "is there twice"
            name = f"{prefix}_p{chunk}_l{min(index, number)}_together.axmodel"
            raise InputError(Problem(str(folder), "", f"a layer {what}: {name}"))
    runtime, model = _configs(folder)
    for key, found in ((LAYERS, len(numbers)), (CHUNK, chunk)):
        said = runtime.get(key, found)
        if said != found:
            what = f"found {said!r}, but the names of the files say {found}"
            raise InputError(Problem(str(folder / "config.json"), key, what))
    if model is None:
        what = "the model's own config.json (with model_type) is not in the package"
        allowed = "the one of the model's page, in a folder of its own below"
        raise InputError(Problem(str(folder), "", what, allowed))
    return Package(
        model,
        prefix,
        chunk,
        len(numbers),
        max(path.stat().st_size for path in files),
        _count(runtime, KV_CACHE, folder),
        _lengths(runtime, folder),
    )


def _within(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Files of a folder and of those below."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path
        elif depth and path.is_dir() and not path.name.startswith("."):
            yield from _within(path, depth - 1)


def _configs(folder: Path) -> tuple[Mapping[str, Any], Path | None]:
    """What the runtime's config.json says, and the folder of the model's own."""
    runtime: Mapping[str, Any] = {}
    model = None
    for path in _within(folder):
        if path.name != "config.json":
            continue
        found = read_object(path)
        if "model_type" in found:
            model = model or path.parent
        else:
            runtime = runtime or found
    return runtime, model


def _count(runtime: Mapping[str, Any], keys: tuple[str, ...], folder: Path) -> int | None:
    for key in keys:
        value = runtime.get(key)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            what = f"found {value!r}"
            raise InputError(Problem(str(folder / "config.json"), key, what, "a whole number"))
        return value
    return None


def _lengths(runtime: Mapping[str, Any], folder: Path) -> tuple[int, ...] | None:
    for key in GROUPS:
        value = runtime.get(key)
        if value is None:
            continue
        whole = isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)
        if not whole or not value or value != sorted(set(value)):
            allowed = "lengths in ascending order, such as [1, 512, 1024]"
            raise InputError(Problem(str(folder / "config.json"), key, f"found {value!r}", allowed))
        return tuple(value)
    return None
