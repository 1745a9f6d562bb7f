"""A checkpoint folder's config.json as a workload file, with comments that tell the source."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from math import lcm, prod
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem, printable
from axsim.models.checkpoint import architecture, eos_token_ids, read_config
from axsim.models.config import (
    DecoderConfig,
    ModelConfig,
    ProjectorConfig,
    RopeScaling,
    VisionConfig,
)
from axsim.models.families import FAMILIES
from axsim.models.gptq import Gptq
from axsim.models.hf_config import assumed_sizes
from axsim.models.joins import JOINS, language_part
from axsim.models.parts import Parts
from axsim.models.weights import tensor_shapes
from axsim.spec.architecture import ModelSection
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, load_mapping, shipped
from axsim.spec.located import parse, scalar
from axsim.spec.package import Package, find_package
from axsim.spec.workload import FLAGGED, NEWEST_TOOLCHAIN, Workload, layered

SMALL_IMAGE = 224
"""Pixels along a side of the smaller package that the vendor builds beside the model's own size."""

TEXT_TOKENS = 54
SPOKEN_TOKENS = 4
"""Before what Whisper writes: start, language, task, no timestamps."""
NEW_TOKENS = 16
KV_CACHE_LEN = 1023
CHUNK_STEP = 64
"""The vendor's packages take one prompt in one prefill call: 118 tokens in 128, 223 in 256, 310 in
320. A multiple of 64 that holds the prompt gives all three."""


def workload_text(folder: str | Path) -> str:
    """YAML text of a workload for the model in ``folder``.

    The architecture is that of config.json, every field that differs from the default written out;
    build and request are those of the vendor's demonstrations, with a variant for each image size
    and vision dtype, or for each weight dtype of a decoder alone. Of a package of the vendor's
    runtime, the build is its own (:mod:`axsim.spec.package`).

    Raises:
        InputError: config.json is missing or broken, or describes an unknown architecture; a
            package contradicts itself.
    """
    folder = _folder(folder)
    package = find_package(folder)
    name = printable(folder.resolve().name).strip() or "model"
    folder = package.model if package else folder
    source = str(folder / "config.json")
    description = read_config(folder)
    model = architecture(folder)
    Gptq.of(description, source)
    _check_model(model, source)
    try:
        text = _text_of(folder, description, model, name, package)
    except ValueError as error:  # sizes that no graph holds
        raise InputError(f"{source}: {error}") from None
    try:
        load_mapping(Workload, scalar(text), "")
    except InputError as error:
        what = "what it describes cannot be deployed as the vendor's demonstrations are"
        raise InputError(
            Problem(source, each.key, f"{what}: {each.what}", each.allowed)
            for each in error.problems
        ) from None
    return text


def assumed(folder: str | Path) -> dict[str, object]:
    """The sizes that config.json of a checkpoint leaves to the defaults of transformers."""
    folder = _folder(folder)
    package = find_package(folder)
    return assumed_sizes(read_config(package.model if package else folder))


def _folder(path: str | Path) -> Path:
    """The checkpoint's folder, of which config.json may be given."""
    path = Path(path)
    if str(path) in shipped("workload") and not path.exists():
        what = f"{path} comes with axsim and needs no import: axsim run {path} --chip CHIP"
        raise InputError(what)
    return path.parent if path.name == "config.json" and path.is_file() else path


def _check_model(model: ModelConfig, source: str) -> None:
    """InputError when a workload's file could not hold the architecture."""
    parts = {"vision": model.vision, "projector": model.projector, "decoder": model.decoder}
    found = {key: asdict(part) for key, part in parts.items() if part is not None}
    try:
        load_mapping(ModelSection, found, "")
    except InputError as error:
        raise InputError(
            Problem(source, each.key, each.what, each.allowed) for each in error.problems
        ) from None


def _text_of(
    folder: Path,
    description: dict[str, Any],
    model: ModelConfig,
    name: str,
    package: Package | None,
) -> str:
    kind = description.get("model_type")
    sizes = _image_sizes(model, description)
    ends = eos_token_ids(folder, description)
    lines = [
        f"# Made by `axsim import` from {'the package' if package else 'config.json of'} {name} "
        f"(model_type {kind}).",
        f"name: {_text(name)}",
        f"description: {_text(_what(model))}",
        "",
        _commented("model:", _counted(model, description)),
    ]
    for key, part in (
        ("vision", model.vision),
        ("projector", model.projector),
        ("decoder", model.decoder),
    ):
        if part is not None:
            lines += _section(key, part, _source(key, kind))
    lines += [
        "",
        *_build(model, description, package),
        "",
        *_request(model, sizes, ends, _kv(model, description, package)),
        "",
        "variants:",
    ]
    rows = _variants(model, sizes, description, package)
    lines += [f"  - {{name: {n}, set: {{{s}}}}}" for n, s in rows]
    return "\n".join(lines) + "\n"


def workload_of(
    folder: str | Path, overrides: Overrides = NO_OVERRIDES, variant: str | None = None
) -> Workload:
    """The workload of :func:`workload_text`; ``overrides`` and ``variant`` as for
    :func:`axsim.spec.workload.load_workload`."""
    name = str(folder)
    document = parse(workload_text(folder), name).plain()
    _shorten(document["request"], overrides.get("build.kv_cache_len"))
    if variant is None:
        return load_mapping(Workload, document, name, overrides)
    base = load_mapping(Workload, document, name)
    base.variant(variant)
    chosen = next(v.set for v in base.variants if v.name == variant)
    return load_mapping(Workload, document, name, {**layered(chosen, overrides), "variants": ()})


def _shorten(request: dict[str, Any], kv: object) -> None:
    """Let the default prompt fit a shorter cache that is asked for."""
    if isinstance(kv, int) and "prompt_tokens" in request:
        request["new_tokens"] = max(1, min(request["new_tokens"], kv))
        room = max(1, kv + 1 - request["new_tokens"])
        request["prompt_tokens"] = min(request["prompt_tokens"], room)


def _counted(model: ModelConfig, description: dict[str, Any]) -> str:
    join = JOINS.get(str(description.get("model_type")))
    parked = join.parked(description) if join else 0
    text = f"{_parameters(model) + parked:,} parameters"
    return f"{text}, {parked:,} of them in parts that are not deployed" if parked else text


def _parameters(model: ModelConfig) -> int:
    """Elements of all tensors of a checkpoint."""
    return sum(prod(shape) for shape in tensor_shapes(model).values())


def _what(model: ModelConfig) -> str:
    if model.vision is None:
        return "a text prompt"
    if model.hears:
        return "half a minute of sound"
    return "one image and a question" if model.decoder else "one image"


def _source(part: str, kind: object) -> str:
    if part == "vision":
        return "vision_config of config.json" if str(kind) in JOINS else "config.json"
    if part == "projector":
        return "joins the tower to the decoder, as this model_type does"
    join = JOINS.get(str(kind))
    return f"{join.decoder} of config.json" if join else "config.json"


def _section(
    key: str, part: VisionConfig | ProjectorConfig | DecoderConfig, source: str
) -> list[str]:
    lines = [f"{f'  {key}:':<32}# {source}"]
    for field in fields(part):
        value = getattr(part, field.name)
        default = None if field.default is MISSING else field.default
        always = field.default is MISSING or field.name in _ALWAYS
        if value is None or (value == default and not always):
            continue
        if isinstance(value, RopeScaling | Parts):
            inner = ", ".join(f"{k}: {_text(v)}" for k, v in _changed(part, value).items())
            if inner:
                lines.append(f"    {field.name}: {{{inner}}}")
            continue
        meaning = _MEANING.get(field.name, "")
        if isinstance(part, VisionConfig) and part.stem == "sound" and field.name == "image_size":
            meaning = "frames of a spectrogram"
        lines.append(_commented(f"    {field.name}: {_text(value)}", meaning))
    return lines


def _changed(part: object, value: RopeScaling | Parts) -> dict[str, object]:
    """The fields that a reader of the file would not assume."""
    if isinstance(value, Parts):
        assert isinstance(part, DecoderConfig)
        usual = asdict(FAMILIES[part.family].parts)
    else:
        usual = asdict(RopeScaling(value.kind)) | {"kind": ""}
    return {key: held for key, held in asdict(value).items() if held != usual[key]}


def _image_sizes(model: ModelConfig, description: dict[str, Any]) -> list[int]:
    """The model's own image size, and the vendor's smaller one where patches fit it."""
    vision = model.vision
    if vision is None:
        return []
    own = int(description.get("force_image_size") or vision.image_size)
    if model.hears:
        return [own]
    step = _step(model)
    if vision.position == "none":  # made for any size: as large as the usual context holds
        room = KV_CACHE_LEN + 1 - TEXT_TOKENS - NEW_TOKENS
        while model.projector and model.image_tokens(own) > room:
            own = own // step * step - step
    small = [SMALL_IMAGE] if own > SMALL_IMAGE and SMALL_IMAGE % step == 0 else []
    return [*small, own]


def _step(model: ModelConfig) -> int:
    """Pixels that an image's sides are a multiple of."""
    assert model.vision is not None
    block = model.projector.block if model.projector else 1
    return lcm(model.vision.patch_size * block, model.vision.window_size or 1)


def _prompt(model: ModelConfig, size: int) -> int:
    """Tokens of the default request with one image of ``size`` pixels."""
    if model.vision is None or model.projector is None:
        return 128
    return (SPOKEN_TOKENS if model.hears else TEXT_TOKENS) + model.image_tokens(size)


def _chunk(model: ModelConfig, size: int) -> int:
    if model.hears:
        return SPOKEN_TOKENS
    return -(-_prompt(model, size) // CHUNK_STEP) * CHUNK_STEP


def _kv(model: ModelConfig, description: dict[str, Any], package: Package | None = None) -> int:
    """The package's context; else the usual one, or one that holds the largest image; no more than
    the model has."""
    if package is not None and package.kv_cache_len is not None:
        return package.kv_cache_len
    inner = language_part(description) or description
    longest = int(inner.get("max_position_embeddings") or KV_CACHE_LEN + 1)
    scaling = model.decoder.rope_scaling if model.decoder else None
    if scaling is not None and scaling.kind == "longrope":
        longest = min(longest, scaling.original_max_position_embeddings)
    sizes = _image_sizes(model, description)
    needed = _chunk(model, sizes[-1]) + CHUNK_STEP - 1 if sizes else 0
    return max(min(max(KV_CACHE_LEN, needed), longest - 1), 1)


def _packaged(model: ModelConfig, description: dict[str, Any], package: Package) -> list[str]:
    """The build that a package's files tell."""
    if model.decoder is None:
        what = "describes no decoder, of which the package has layers"
        raise InputError(Problem(str(package.model / "config.json"), "", what))
    lines = [_commented("build:", f"as the package {package.prefix}_p{package.chunk} says")]
    if model.vision is not None:
        lines.append(_commented("  vision_dtype: u8", "assumed: file names do not tell"))
    told = package.weight_dtype(model.decoder)
    size = f"{package.layer_bytes / 1e6:.1f} MB a layer"
    why = size if told else "assumed: the files hold no weights"
    lines.append(_commented(f"  weight_dtype: {told or _weights(description)}", why))
    lines.append(_commented(f"  prefill_chunk: {package.chunk}", "names of the layers' files"))
    known = package.kv_cache_len is not None
    source = "config.json of the runtime" if known else "assumed: config.json does not tell"
    lines.append(_commented(f"  kv_cache_len: {_kv(model, description, package)}", source))
    if package.histories is not None:
        lengths = ", ".join(map(str, package.histories))
        lines.append(_commented(f"  prefill_history: [{lengths}]", "groups of config.json"))
    return lines


def _toolchain() -> str:
    """The generation that is assumed, and what comes with it."""
    flag = "; builds with float_matmul_on_conv" if NEWEST_TOOLCHAIN in FLAGGED else ""
    return _commented(f"  toolchain: {NEWEST_TOOLCHAIN}", f"assumed: the newest{flag}")


def _build(model: ModelConfig, description: dict[str, Any], package: Package | None) -> list[str]:
    if package is not None:
        return [*_packaged(model, description, package), _toolchain()]
    lines = [_commented("build:", "as the vendor's demonstrations are built; edit freely")]
    if model.vision is not None:
        lines.append("  vision_dtype: u8")
    if model.decoder is not None:
        size = _image_sizes(model, description)[-1] if model.vision else 0
        kv = _kv(model, description)
        lines.append(f"  weight_dtype: {_weights(description)}")
        if _bits(description) == 8:
            lines.append(_commented("  weight_format: gptq", "quantization_config of 8 bits"))
        lines.append(_commented(f"  prefill_chunk: {min(_chunk(model, size), kv)}", "whole prompt"))
        lines.append(_commented(f"  kv_cache_len: {kv}", "tokens of prompt and answer"))
        lines.append(_toolchain())
    return lines


def _weights(description: dict[str, Any]) -> str:
    return "s4" if _bits(description) == 4 else "s8"


def _bits(description: dict[str, Any]) -> object:
    """Bits of GPTQ's weights; None for a checkpoint in floating point."""
    inner = description.get("llm_config") or description.get("text_config") or {}
    found = description.get("quantization_config") or inner.get("quantization_config") or {}
    return found.get("bits")


def _request(
    model: ModelConfig, sizes: list[int], ends: tuple[int, ...] | None, kv: int
) -> list[str]:
    lines = ["request:"]
    if sizes:
        lines.append(f"  image_size: {sizes[-1]}")
    if model.decoder is not None:
        if model.hears:
            comment = "start, language, task, no timestamps"
            lines.append(_commented(f"  text_tokens: {SPOKEN_TOKENS}", comment))
        elif sizes:
            comment = "chat template and a short question around the image"
            lines.append(_commented(f"  text_tokens: {TEXT_TOKENS}", comment))
        else:
            room = max(kv + 1 - NEW_TOKENS, 1)
            lines.append(f"  prompt_tokens: {min(_prompt(model, 0), room)}")
        lines.append(f"  new_tokens: {NEW_TOKENS}")
        known = [token for token in ends or () if token < model.decoder.vocab_size]
        if known:
            lines.append(_commented(f"  eos_token_id: {known}", "tokens that end the answer"))
    return lines


def _variants(
    model: ModelConfig, sizes: list[int], description: dict[str, Any], package: Package | None
) -> list[tuple[str, str]]:
    if not sizes:
        own = _weights(description)
        if package is not None and model.decoder is not None:
            own = package.weight_dtype(model.decoder) or own
            return [(own, f"build.weight_dtype: {own}")]
        return [(d, f"build.weight_dtype: {d}") for d in dict.fromkeys([own, "s8", "s4"])]
    found = []
    for size in sizes:
        for dtype in ("u8", "u16"):
            keys = f"request.image_size: {size}, build.vision_dtype: {dtype}"
            if model.decoder is not None and package is None:
                chunk = min(_chunk(model, size), _kv(model, description))
                keys += f", build.prefill_chunk: {chunk}"
            found.append((f"{size}-{dtype}", keys))
    return found


def _commented(line: str, comment: str) -> str:
    return f"{line:<32}# {comment}" if comment else line


def _text(value: object) -> str:
    """A scalar as YAML reads it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" in text else f"{text}.0"
    if isinstance(value, str):
        plain = value[:1].isalpha() and all(c.isalnum() or c in "-_. " for c in value)
        reserved = value.lower() in ("true", "false", "null")
        return value if plain and not reserved else json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


_ALWAYS = frozenset(
    {"head_dim", "tie_word_embeddings", "rms_norm_eps", "rope_theta", "qkv_bias", "layer_norm_eps"}
)
_MEANING = {
    "image_size": "position embeddings are interpolated for other sizes",
    "tie_word_embeddings": "whether the head is the embedding table",
}
