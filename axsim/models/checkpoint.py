"""Weights from a checkpoint folder: config.json and safetensors, one file or shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from axsim.errors import InputError
from axsim.graph.array import Array
from axsim.models.config import ModelConfig
from axsim.models.hf_config import model_config
from axsim.models.layout import ignored, layout_of
from axsim.models.safetensors import SafetensorsFile
from axsim.models.weights import tensor_shapes

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_LISTED = 12
"""So many tensors of each kind of mistake are named in an error."""


class Checkpoint:
    """The tensors of a checkpoint, memory-mapped: each is read and widened to float32 when asked
    for, by its OpenGVLab name whatever the layout of the files.

    ``config`` is the architecture that config.json gives. Raises InputError when a file is missing
    or broken, the architecture is unknown, or tensors are missing, left over or wrongly shaped; all
    of them are in the one message.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        description = _json(self.folder / "config.json")
        self._files = _stored_in(self.folder)
        self.config = _tying(
            model_config(description, str(self.folder / "config.json")), description, self._files
        )
        layout = layout_of(self._files)
        self._sources = {name: layout(name) for name in tensor_shapes(self.config)}
        self._check()

    def __call__(self, name: str) -> Array:
        """The tensor as float32; KeyError when the model has none of that name."""
        parts = [self._files[s].float32(s) for s in self._sources[name]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def rows(self, name: str, indices: Sequence[int]) -> Array:
        """Rows of a matrix as float32 [len(indices), width]; only they are read."""
        (source,) = self._sources[name]
        wanted = np.asarray(indices, np.intp)
        height = self._files[source].shapes[source][0]
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < height:
            raise IndexError(f"{name} has {height} rows, not {wanted.max()}")
        return self._files[source].float32(source, wanted)

    def _check(self) -> None:
        missing, wrong = [], []
        used: set[str] = set()
        for name, shape in tensor_shapes(self.config).items():
            sources = self._sources[name]
            used.update(sources)
            expected = (shape[0] // len(sources), *shape[1:])
            for source in sources:
                if source not in self._files:
                    missing.append(source)
                elif (found := self._files[source].shapes[source]) != expected:
                    wrong.append(f"{source} is {list(found)}, not {list(expected)}")
        head = {"lm_head.weight", "language_model.lm_head.weight"}  # a copy when tied
        extra = [n for n in self._files if n not in used | head and not ignored(n)]
        problems = [
            f"  {len(names)} {what}: " + "; ".join(sorted(names)[:_LISTED])
            + ("; …" if len(names) > _LISTED else "")
            for what, names in (("missing", missing), ("wrong shape", wrong), ("left over", extra))
            if names
        ]  # fmt: skip
        if problems:
            raise InputError(
                f"{self.folder}: the tensors do not fit config.json\n" + "\n".join(problems)
            )


def architecture(folder: str | Path) -> ModelConfig:
    """The architecture in ``folder``/config.json; tensors are not looked at, except for whether a
    head is stored apart from the embedding table.

    Raises InputError when config.json is missing, broken, or describes an unknown architecture.
    """
    folder = Path(folder)
    description = read_config(folder)
    config = model_config(description, str(folder / "config.json"))
    if (folder / _SINGLE).exists() or (folder / _INDEX).exists():
        return _tying(config, description, _stored_in(folder))
    if description.get("model_type") == "internvl_chat" and config.decoder is not None:
        # OpenGVLab stores a head apart, whatever the inner configuration says.
        return replace(config, decoder=replace(config.decoder, tie_word_embeddings=False))
    return config


def read_config(folder: str | Path) -> dict[str, Any]:
    """``folder``/config.json as it stands; InputError when it cannot be read."""
    return _json(Path(folder) / "config.json")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is no JSON file: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object")
    return value


def _stored_in(folder: Path) -> dict[str, SafetensorsFile]:
    """The file of every stored tensor."""
    if (folder / _SINGLE).exists():
        file = SafetensorsFile(folder / _SINGLE)
        return dict.fromkeys(file.shapes, file)
    if not (folder / _INDEX).exists():
        raise InputError(f"{folder} has neither {_SINGLE} nor {_INDEX}")
    weight_map = _json(folder / _INDEX).get("weight_map")
    if not isinstance(weight_map, dict):
        raise InputError(f"{folder / _INDEX} has no weight_map")
    shards = {shard: SafetensorsFile(folder / shard) for shard in set(weight_map.values())}
    absent = [f"{n} in {s}" for n, s in weight_map.items() if n not in shards[s].shapes]
    if absent:
        raise InputError(f"{folder / _INDEX} names tensors that their shards lack: {absent[:12]}")
    return {name: shard for shard in shards.values() for name in shard.shapes}


def _tying(
    config: ModelConfig, description: dict[str, Any], stored: dict[str, SafetensorsFile]
) -> ModelConfig:
    """InternVL's configurations contradict each other on tying: a stored head is used."""
    if config.decoder is None or config.vision is None:
        return config
    tied = not {"lm_head.weight", "language_model.lm_head.weight"} & stored.keys()
    if tied and not (
        description.get("tie_word_embeddings", True) or config.decoder.tie_word_embeddings
    ):
        tied = False  # then the head is reported missing
    return replace(config, decoder=replace(config.decoder, tie_word_embeddings=tied))
