"""Weights from a checkpoint folder: config.json and safetensors, one file or shards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from axsim.errors import InputError
from axsim.files import read_json
from axsim.kernels.array import Array
from axsim.models.advice import advice
from axsim.models.config import ModelConfig
from axsim.models.gguf import GgufFile, gguf_file
from axsim.models.gptq import Gptq
from axsim.models.hf_config import model_config
from axsim.models.joins import JOINS, language_part
from axsim.models.layout import Stored, ignored, layout_of
from axsim.models.safetensors import SafetensorsFile, tensor_names
from axsim.models.weights import tensor_shapes
from axsim.models.whisper import nested

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_LISTED = 12
"""So many tensors of each kind of mistake are named in an error."""


class Checkpoint:
    """The tensors of a checkpoint, memory-mapped: each is read and widened to float32 when asked
    for, by its OpenGVLab name whatever the layout of the files.

    ``config`` is the architecture that config.json gives, ``eos_token_ids`` the tokens that end an
    answer (None when the folder does not tell). Raises InputError when a file is missing or broken,
    the architecture is unknown, or tensors are missing, left over or wrongly shaped; all of them
    are in the one message.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        description = read_config(self.folder)
        self._files = _stored_in(self.folder)
        described = _described(self.folder, description)
        self.config = _tying(described, description, self._files)
        self.eos_token_ids = eos_token_ids(self.folder, description)
        self._gptq = Gptq.of(description, str(self.folder / "config.json"))
        layout = layout_of(self._files, description)
        self._shapes = tensor_shapes(self.config)
        self._sources = {name: layout.sources(self.config, name) for name in self._shapes}
        self._check()

    def __call__(self, name: str) -> Array:
        """The tensor as float32; KeyError when the model has none of that name."""
        parts = [self._float32(s) for s in self._sources[name]]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return self._shaped(name, self._finite(name, whole))

    def _finite(self, name: str, values: Array) -> Array:
        """The values; InputError when some are infinite or no numbers."""
        with np.errstate(all="ignore"):
            sound = np.isfinite(values.sum()) or np.isfinite(values).all()
        if not sound:
            wrong = int(values.size - np.isfinite(values).sum())
            source = self._sources[name][0].name
            what = f"{wrong:,} of its {values.size:,} values are infinite or no numbers"
            raise InputError(f"{self.folder}: {source}: {what}")
        return values

    def _shaped(self, name: str, stored: Array) -> Array:
        """The tensor in our dimensions."""
        shape = self._shapes[name]
        if self._sources[name][0].pixels_last:
            out, channels, height, width = shape
            stored = stored.reshape(out, height, width, channels).transpose(0, 3, 1, 2)
        return stored.reshape(shape)

    def packed(self, name: str) -> tuple[Array, Array, int] | None:
        """A matrix that is stored as 4-bit codes around zero: int8 codes [out, in], float32 scales
        [out, groups], inputs of a group. None for any other tensor."""
        source, *others = self._sources[name]
        stem = self._stem(source.name)
        if others or stem is None or self._gptq is None:
            return None
        codes = self._gptq.symmetric(self._part_of(stem))
        return codes and (source.take(codes[0]), source.take(codes[1]), codes[2])

    def _stem(self, source: str) -> str | None:
        """The name before ``.weight`` when the matrix is stored packed."""
        stem = source.removesuffix(".weight")
        packed = self._gptq is not None and source != stem and f"{stem}.qweight" in self._files
        return stem if packed else None

    def _part_of(self, stem: str) -> Callable[[str], Array]:
        return lambda part: self._files[f"{stem}.{part}"].stored(f"{stem}.{part}")

    def _float32(self, source: Stored) -> Array:
        stem = self._stem(source.name)
        if stem is None or self._gptq is None:
            return source.take(self._files[source.name].float32(source.name))
        return source.take(self._gptq.dequantise(self._part_of(stem)))

    def rows(self, name: str, indices: Sequence[int]) -> Array:
        """Rows of a matrix as float32 [len(indices), width]; only they are read."""
        source = self._sources[name][0].name
        wanted = np.asarray(indices, np.intp)
        height = self._files[source].shapes[source][0]
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < height:
            raise IndexError(f"{name} has {height} rows, not {wanted.max()}")
        return self._finite(name, self._files[source].float32(source, wanted))

    def _check(self) -> None:
        missing, wrong = [], []
        used: set[str] = set()
        for name, shape in tensor_shapes(self.config).items():
            sources = self._sources[name]
            used.update(source.name for source in sources)
            expected = (shape[0] // len(sources), *shape[1:])
            for source, needed in self._needed(sources, expected):
                stored = source.name
                used.add(stored)
                if stored not in self._files:
                    missing.append(stored)
                elif not source.fits(needed, found := self._files[stored].shapes[stored]):
                    whole = list(source.shape(needed))
                    wrong.append(f"{stored} is {list(found)}, not {whole}")
        head = {"lm_head.weight", "language_model.lm_head.weight"}  # a copy when tied
        extra = [n for n in self._files if n not in used | head and not self._idle(n)]
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

    def _needed(
        self, sources: Sequence[Stored], shape: tuple[int, ...]
    ) -> Iterator[tuple[Stored, tuple[int, ...]]]:
        """Stored tensors that make up a tensor from ``sources``, each with the shape of ours."""
        for source in sources:
            stem = self._stem(source.name)
            if stem is None or self._gptq is None:
                yield source, shape
            else:
                whole = source.shape(shape)
                parts = self._gptq.shapes(whole[0], whole[1])
                yield from ((Stored(f"{stem}.{part}"), each) for part, each in parts.items())

    def _idle(self, name: str) -> bool:
        """Whether a stored tensor changes nothing: GPTQ writes zeros where a layer has no bias."""
        if ignored(name):
            return True
        beside = f"{name.removesuffix('bias')}qweight"
        zero = name.endswith(".bias") and beside in self._files
        return zero and not self._files[name].stored(name).any()


def architecture(folder: str | Path) -> ModelConfig:
    """The architecture in ``folder``/config.json; of tensors no more than the names are looked at,
    where there are any: whether a head is stored apart from the embedding table.

    Raises InputError when config.json is missing, broken, or describes an unknown architecture.
    """
    folder = Path(folder)
    description = read_config(folder)
    config = _described(folder, description)
    names = _stored_names(folder)
    if names:
        return _tying(config, description, names)
    join = JOINS.get(str(description.get("model_type")))
    if join is not None and join.head_apart and config.decoder is not None:
        return replace(config, decoder=replace(config.decoder, tie_word_embeddings=False))
    return config


def _described(folder: Path, description: dict[str, Any]) -> ModelConfig:
    """The architecture, with the mean and deviation of pixels that preprocessor_config.json gives.

    Raises InputError when either file is broken or describes something unknown.
    """
    config = model_config(description, str(folder / "config.json"))
    path = folder / "preprocessor_config.json"
    if config.vision is None or not path.exists():
        return config
    given = read_object(path)
    keys = {key: given[key] for key in ("image_mean", "image_std") if given.get(key)}
    for key, value in keys.items():
        least = 0.0 if key == "image_mean" else 1e-6
        numbers = isinstance(value, list) and all(
            isinstance(each, int | float) and not isinstance(each, bool) and least <= each <= 256
            for each in value
        )
        if not numbers or len(value) != config.vision.num_channels:
            allowed = f"a number for each channel, {least:g} to 256"
            raise InputError(f"{path}: {key} is {value!r}; allowed: {allowed}")
    pixels: dict[str, Any] = {key: tuple(map(float, value)) for key, value in keys.items()}
    return replace(config, vision=replace(config.vision, **pixels))


def eos_token_ids(folder: Path, description: dict[str, Any]) -> tuple[int, ...] | None:
    """The tokens that end an answer: ``eos_token_id`` of generation_config.json, else that of
    config.json (``description``), of its text part first; None when neither has any.

    Raises InputError when it is neither a number nor a list of numbers.
    """
    generation = folder / "generation_config.json"
    told = read_object(generation) if generation.exists() else {}
    inner = language_part(description)
    config = folder / "config.json"
    for source, keys in ((generation, told), (config, inner), (config, description)):
        found = keys.get("eos_token_id")
        if found is None:
            continue
        ids = found if isinstance(found, list) else [found]
        if not all(type(each) is int and each >= 0 for each in ids):
            raise InputError(f"{source}: eos_token_id is {found!r}; allowed: an id or a list")
        return tuple(ids)
    return None


def read_config(folder: str | Path) -> dict[str, Any]:
    """``folder``/config.json as it stands, or what a GGUF file says in its terms; InputError when
    it cannot be read."""
    file = gguf_file(folder)
    if file is not None:
        return GgufFile(file).description
    folder = Path(folder)
    what = ""
    if folder.is_file():
        what = f"{folder} is a file; give the folder that it is in"
        if not (folder.parent / "config.json").is_file():
            what = f"{folder} is no checkpoint's folder"
    elif not folder.exists():
        what = f"no such folder: {folder}"
    elif not (folder / "config.json").exists():
        what = f"{folder / 'config.json'} cannot be read: no such file"
    if what:
        raise InputError("; ".join(filter(None, (what, advice(folder)))))
    return dict(nested(read_object(folder / "config.json")))


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; InputError when it cannot be read."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object")
    return value


def _stored_in(folder: Path) -> dict[str, SafetensorsFile] | dict[str, GgufFile]:
    """The file of every stored tensor."""
    single = gguf_file(folder)
    if single is not None:
        packed = GgufFile(single)
        return dict.fromkeys(packed.shapes, packed)
    if (folder / _SINGLE).exists():
        file = SafetensorsFile(folder / _SINGLE)
        return dict.fromkeys(file.shapes, file)
    if not (folder / _INDEX).exists():
        raise InputError(f"{folder} has neither {_SINGLE} nor {_INDEX}")
    weight_map = read_object(folder / _INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{folder / _INDEX} has no weight_map")
    for shard in weight_map.values():
        if not isinstance(shard, str) or Path(shard).name != shard or not shard:
            what = f"names the shard {shard!r}, which is no file of its folder"
            raise InputError(f"{folder / _INDEX} {what}")
    shards = {shard: SafetensorsFile(folder / shard) for shard in set(weight_map.values())}
    absent = [f"{n} in {s}" for n, s in weight_map.items() if n not in shards[s].shapes]
    if absent:
        raise InputError(f"{folder / _INDEX} names tensors that their shards lack: {absent[:12]}")
    return {name: shard for shard in shards.values() for name in shard.shapes}


def _stored_names(folder: Path) -> Collection[str]:
    """Names of the tensors that a folder has, or is to have when its download has ended; none when
    nothing readable tells."""
    if (folder / _SINGLE).exists():
        return tensor_names(folder / _SINGLE)
    try:
        weight_map = read_json(folder / _INDEX).get("weight_map")
    except InputError:
        return ()
    return weight_map if isinstance(weight_map, dict) else ()


def _tying(
    config: ModelConfig, description: dict[str, Any], stored: Collection[str]
) -> ModelConfig:
    """InternVL's configurations contradict each other on tying: a stored head is used."""
    if config.decoder is None or config.vision is None:
        return config
    tied = not {"lm_head.weight", "language_model.lm_head.weight"} & set(stored)
    if tied and not (
        description.get("tie_word_embeddings", True) or config.decoder.tie_word_embeddings
    ):
        tied = False  # then the head is reported missing
    return replace(config, decoder=replace(config.decoder, tie_word_embeddings=tied))
