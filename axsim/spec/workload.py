"""What is deployed and asked: the model, how it is built for the NPU, and the request.

A workload is one YAML file (``workloads/``). Architectures use the field names of Hugging Face
config.json and become the dataclasses of :mod:`axsim.models.config`. The numbers that follow from
several keys (image tokens, prompt tokens, prefill chunks) are properties of :class:`Workload`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from axsim.errors import Fault, InputError, Problem, checked
from axsim.models.config import ModelConfig, Pixels, size_text
from axsim.numerics.formats import VisionDtype, WeightDtype, WeightFormat
from axsim.spec.architecture import ModelSection
from axsim.spec.chip import Link
from axsim.spec.descriptor import (
    NETWORK_SUFFIX,
    NO_OVERRIDES,
    Overrides,
    Section,
    find,
    load,
    load_mapping,
    override,
)
from axsim.spec.limits import too_large, too_many
from axsim.spec.located import Located, locate
from axsim.spec.picture_size import picture_size, size_fault
from axsim.spec.preprocess import EVERY, Preprocess
from axsim.spec.pulsar2 import read_pulsar2
from axsim.spec.request_section import RequestSection as RequestSection
from axsim.spec.turns import Asked, Compiled, asked, length_faults

Toolchain = Literal[
    "pulsar2-2.5", "pulsar2-3.2", "pulsar2-3.3", "pulsar2-3.4", "pulsar2-4.x", "pulsar2-5.1"
]
ALLOWED_TOOLCHAINS: tuple[Toolchain, ...] = get_args(Toolchain)
"""Generations of the vendor's compiler that published measurements tell apart, oldest first."""
NEWEST_TOOLCHAIN: Toolchain = ALLOWED_TOOLCHAINS[-1]
OLD_RUNTIMES: tuple[Toolchain, ...] = ("pulsar2-2.5", "pulsar2-3.2", "pulsar2-3.3")
"""Builds that spend longer around every layer of a decoder: about 1 ms in prefill."""
FLAGGED: tuple[Toolchain, ...] = ("pulsar2-5.1",)
"""Builds whose own example of llm_build sets float_matmul_on_conv."""


class BuildSection(Section):
    """How the vendor's compiler is told to build the model."""

    npu_mode: Literal["NPU1", "NPU2", "NPU3"] | None = Field(
        None, description="resource groups used; the chip's largest mode when not given"
    )
    vision_dtype: VisionDtype = Field(
        "u8", description="activations of the vision tower, or of an ONNX file's network"
    )
    precision_overrides: dict[str, Literal["u8", "u16"]] = Field(
        default_factory=dict,
        description="activations of the vision part or network by name pattern (*, ?), networks "
        "also by op_type:Add, stored otherwise; the last pattern that matches wins",
    )
    weight_dtype: WeightDtype = Field("s8", description="weights of the decoder layers")
    weight_format: WeightFormat = Field(
        "padded",
        description="how S8 weights of the layers are stored: plain takes a byte for each, padded "
        "1.10, gptq (converted from a GPTQ checkpoint of 8 bits) 1.16",
    )
    post_weight_dtype: WeightDtype = Field("s8", description="weights of the head")
    hidden_dtype: Literal["bf16"] = Field("bf16", description="hidden states, keys and values")
    prefill_chunk: PositiveInt = Field(128, description="prompt tokens that one prefill call takes")
    prefill_max_chunks: PositiveInt | None = Field(
        None, description="prefill calls compiled for one prompt; when not given, what the KV holds"
    )
    prefill_history: tuple[NonNegativeInt, ...] | None = Field(
        None,
        description="lengths of history that prefill is compiled for, ascending: a chunk takes the "
        "next one that holds what is before it; every multiple of prefill_chunk when not given",
    )
    kv_cache_len: PositiveInt = Field(1023, description="tokens that the compiled KV cache holds")
    kv_slots: PositiveInt = Field(
        1, description="KV caches kept in memory: one for each conversation that is to go on"
    )
    float_matmul_on_conv: bool | None = Field(
        None,
        description="attention's matmuls on CONV in place of TENG (vendor build flag); when not "
        "given, whether the vendor's example for the toolchain sets it",
    )
    toolchain: Toolchain = Field(
        NEWEST_TOOLCHAIN,
        description="generation of the vendor's compiler; up to 3.3, the runtime takes longer "
        "around every layer",
    )

    link: Link | None = Field(
        None,
        description="how the host reaches the chip, as on a card; what the chip's host.link says "
        "when not given",
    )
    pulsar2: str | None = Field(
        None,
        min_length=1,
        description="Pulsar2's build configuration (JSON) of an ONNX file's network, whose keys "
        "count where the workload does not give its own",
    )
    preprocess: dict[str, Preprocess] = Field(
        default_factory=dict,
        description="how pictures become inputs of an ONNX file's network, by the input's name or "
        f"{EVERY} for all",
    )
    observer: Literal["minmax", "percentile", "mse", "kl"] = Field(
        "minmax", description="how ranges of the activations of an ONNX file's network are found"
    )

    @model_validator(mode="after")
    def _consistent(self) -> BuildSection:
        faults = []
        if self.precision_overrides and self.vision_dtype == "bf16":
            what = "has no effect: a bf16 vision part is not quantised"
            faults.append(Fault("precision_overrides", what, also=["vision_dtype"]))
        ladder = self.prefill_history
        if ladder is not None:
            if not ladder or list(ladder) != sorted(set(ladder)):
                what = f"found {list(ladder)}"
                allowed = "lengths in ascending order, such as [0, 512, 1024]"
                faults.append(Fault("prefill_history", what, allowed))
            most = self.kv_cache_len + self.prefill_chunk
            if max(ladder, default=0) > most:
                what = f"found {max(ladder)}, more than the KV cache holds"
                faults.append(Fault("prefill_history", what, f"up to {most}, with a chunk behind"))
            if self.prefill_max_chunks is not None:
                what = "says in other words what is compiled"
                faults.append(Fault("prefill_max_chunks", what, also=["prefill_history"]))
        return checked(self, faults)

    @property
    def compiled_histories(self) -> tuple[int, ...]:
        """Lengths of history that prefill is compiled for; empty when it has all that it needs.
        Vendor logs call a group without history 1."""
        if self.prefill_history is not None:
            return tuple(0 if length == 1 else length for length in self.prefill_history)
        size = self.prefill_chunk
        chunks = min(self.prefill_max_chunks or 0, self.kv_cache_len // size + 1)
        return tuple(range(0, chunks * size, size))

    def history(self, tokens: int) -> int:
        """The compiled history that a prefill chunk after ``tokens`` tokens takes, as the vendor's
        runtime chooses its group: the shortest that holds them (axllm, SetKVCache).

        Raises ValueError when none is long enough.
        """
        for length in self.compiled_histories:
            if length >= tokens:
                return length
        if self.compiled_histories:
            raise ValueError(f"no compiled history holds {tokens} tokens")
        return -(-tokens // self.prefill_chunk) * self.prefill_chunk

    def histories(self, cached_tokens: int, new_tokens: int) -> tuple[int, ...]:
        """The compiled history of each prefill call on ``new_tokens`` after ``cached_tokens``."""
        starts = range(cached_tokens, cached_tokens + new_tokens, self.prefill_chunk)
        return tuple(map(self.history, starts))


class Variant(Section):
    """One named setting of keys that ``axsim run`` shows as a row."""

    name: str = Field(min_length=1, description="how the row is called")
    set: dict[str, Any] = Field(description="dotted keys and their values for this row")


OF_NETWORKS = {
    "build": (
        *("npu_mode", "vision_dtype", "precision_overrides", "float_matmul_on_conv", "link"),
        *("pulsar2", "preprocess", "observer"),
    ),
    "request": ("seed",),
}
"""Keys that a network from an ONNX file has, by section."""
NETWORKS_OWN = ("pulsar2", "preprocess", "observer")
"""Keys of the build that nothing else has."""

DEFAULT_TEXT_TOKENS = 54
"""Tokens around the image of the vendor's default request: 118 prompt tokens at 224 px with 64
image tokens, 310 at 448 px with 256."""


class Workload(Section):
    """A model, its build and a request; see the module's text."""

    REPLACES: ClassVar[dict[str, tuple[str, ...]]] = {
        "request.prompt_tokens": ("request.text_tokens", "request.turns"),
        "request.text_tokens": ("request.prompt_tokens", "request.turns"),
        "request.images": ("request.turns",),
        "request.turns": ("request.images", "request.prompt_tokens", "request.text_tokens"),
        "build.prefill_history": ("build.prefill_max_chunks",),
        "build.prefill_max_chunks": ("build.prefill_history",),
    }

    name: str = Field(min_length=1, description="the model's name, as measurements call it")
    description: str = Field("", description="what this workload is for")
    model: ModelSection = Field(description="the architecture, in Hugging Face field names")
    build: BuildSection = Field(BuildSection(), description="how it is built for the NPU")
    request: RequestSection = Field(RequestSection(), description="what is asked of it")
    variants: tuple[Variant, ...] = Field((), description="the rows that `axsim run` shows")

    @property
    def float_matmul_on_conv(self) -> bool:
        """The build flag: as given, else as the vendor's example for the toolchain builds language
        models."""
        given = self.build.float_matmul_on_conv
        if given is None:
            return self.model.decoder is not None and self.build.toolchain in FLAGGED
        return given

    @property
    def images(self) -> int:
        """Images (tiles) in the request; of the first turn, as all that follows, where there are
        several."""
        if self.request.turns:
            return self.request.turns[0].images
        if self.request.video is not None:
            vision = self.model.vision
            return self.request.video.patches(vision.temporal_patch_size if vision else 1)
        if self.request.images is None:
            return int(self.model.vision is not None)
        return self.request.images

    @property
    def all_images(self) -> int:
        """Images of all turns."""
        return sum(turn.images for turn in self.asked)

    @property
    def image_size(self) -> Pixels:
        """Pixels along one side of each image, or height and width: as the vision part takes them;
        0 without a tower."""
        return picture_size(self.model, self.request)

    @property
    def image_tokens(self) -> int:
        """Tokens of the prompt that one image takes; those of the bare tower without projector."""
        return self.model.config().image_tokens(self.image_size) if self.model.vision else 0

    @property
    def text_tokens(self) -> int:
        """Tokens of the prompt around the images; 0 without a decoder."""
        return self.prompt_tokens - self.images * self.image_tokens if self.model.decoder else 0

    @property
    def prompt_tokens(self) -> int:
        """Tokens that prefill has to take; 0 without a decoder."""
        if self.model.decoder is None:
            return 0
        turns = self.request.turns
        text = turns[0].text_tokens if turns else self.request.text_tokens or DEFAULT_TEXT_TOKENS
        return self.request.prompt_tokens or text + self.images * self.image_tokens

    @property
    def new_tokens(self) -> int:
        """Tokens to generate at most, the one after prefill included; 0 without a decoder."""
        if self.model.decoder is None:
            return 0
        own = self.request.turns[0].new_tokens if self.request.turns else None
        return own or self.request.new_tokens

    @property
    def cached_tokens(self) -> int:
        """Tokens before the prompt whose keys and values are there."""
        return self.request.cached_tokens

    @property
    def prefill_chunks(self) -> int:
        """Prefill calls, the last one padded; 0 without a decoder."""
        return -(-self.prompt_tokens // self.build.prefill_chunk)

    @property
    def histories(self) -> tuple[int, ...]:
        """The compiled history of each prefill call."""
        return self.build.histories(self.cached_tokens, self.prompt_tokens)

    @property
    def asked(self) -> tuple[Asked, ...]:
        """What each turn asks; a lone request is one turn."""
        request = self.request
        if not request.turns:
            alone = Asked(self.cached_tokens, self.images, self.prompt_tokens, self.new_tokens)
            return (alone,)
        size = self.image_tokens
        return tuple(asked(request.turns, self.cached_tokens, size, request.new_tokens))

    def turn(self, index: int, cached_tokens: int | None = None) -> Workload:
        """One turn as a request of its own, after so many tokens in the KV cache: by default those
        of the turns before, each with an answer of full length."""
        if not self.request.turns:
            return self
        cached, images, prompt, new = self.asked[index]
        keys = {
            "turns": (),
            "cached_tokens": cached if cached_tokens is None else cached_tokens,
            "images": images if self.model.vision else None,
            "prompt_tokens": prompt,
            "new_tokens": new,
        }
        request = self.request.model_copy(update=keys)
        return self.model_copy(update={"request": request, "variants": ()})

    @property
    def label(self) -> str:
        """A short name of this configuration: ``448-u8``, ``p128`` for a decoder alone, ``u8`` for
        a network."""
        if self.model.onnx is not None:
            return self.build.vision_dtype
        size = size_text(self.image_size)
        parts = [f"{size}-{self.build.vision_dtype}"] if self.model.vision else []
        return "-".join(parts) or f"p{self.prompt_tokens}"

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The names of the variants, in the order of the file."""
        return tuple(variant.name for variant in self.variants)

    def variant(self, name: str) -> Workload:
        """The workload with one variant's keys set, and no variants.

        Raises:
            InputError: there is no variant of that name.
        """
        for variant in self.variants:
            if variant.name == name:
                keys = {**variant.set, "variants": ()}
                return override(self, keys, f"variant {name!r} of {self.name}")
        allowed = ", ".join(self.variant_names) or "none: it is one build, which --set changes"
        raise InputError(Problem("", "", f"{self.name} has no variant {name!r}", allowed))

    def expand(self) -> dict[str, Workload]:
        """Every variant by name, or this workload by its label when it has none."""
        if not self.variants:
            return {self.label: self}
        return {name: self.variant(name) for name in self.variant_names}

    @classmethod
    def of(cls, name: str, model: ModelConfig, **sections: Mapping[str, object]) -> Workload:
        """A workload built in Python; ``build`` and ``request`` as mappings of their keys.

        Raises:
            InputError: the configuration contradicts itself.
        """
        architecture = {key: part for key, part in asdict(model).items() if part is not None}
        return load_mapping(cls, {"name": name, "model": architecture, **sections}, name)

    @classmethod
    def written(cls, source: Path) -> Located:
        """The document of a file; an ONNX file is a workload with the default build."""
        if source.suffix.lower() != NETWORK_SUFFIX:
            return super().written(source)
        return locate({"name": source.stem, "model": {"onnx": source.name}}, f"{source}:0")

    @classmethod
    def prepare(cls, tree: Located, overrides: Overrides) -> None:
        """Let an override select among the variants, see :func:`_select`; an ONNX file lies where
        the workload's file says, as seen from there."""
        super().prepare(tree, overrides)
        for file in (tree.nearest(("model", "onnx")), tree.nearest(("build", "pulsar2"))):
            named, depth = file
            if depth == 2 and isinstance(named.value, str):
                folder = Path(named.origin.rpartition(":")[0]).parent
                named.value = str(folder / named.value)
        _configured(tree, overrides)
        variants = tree.child("variants")
        if variants is not None and isinstance(variants.value, list):
            variants.value = _select(variants.value, overrides)

    @model_validator(mode="after")
    def _consistent(self) -> Workload:
        checked(self, too_large(self))
        checked(self, self._request_faults())
        checked(self, too_many(self))
        return checked(self, self._variant_faults())

    def _request_faults(self) -> Iterator[Fault]:
        vision, decoder = self.model.vision, self.model.decoder
        request, build = self.request, self.build
        if self.model.onnx is not None:
            yield from self._network_faults()
            return
        for name in sorted(build.model_fields_set.intersection(NETWORKS_OWN)):
            yield Fault(f"build.{name}", "belongs to an ONNX file, and there is none")
        if vision is None:
            for name in ("images", "image_size", "min_pixels", "max_pixels", "video"):
                if getattr(request, name):
                    yield Fault(f"request.{name}", "asks for vision, but model.vision is missing")
        else:
            fault = size_fault(self.model, request)
            if fault is not None:
                yield fault
                return
            if decoder is None and self.images == 0:
                yield Fault("request.images", "asks for nothing: there is no decoder either")
        if decoder is None:
            for name in ("turns", "cached_tokens"):
                if getattr(request, name):
                    yield Fault(f"request.{name}", "needs a decoder, and there is none")
            return
        beyond = [token for token in request.eos_token_id or () if token >= decoder.vocab_size]
        if beyond:
            what = f"found {beyond[0]}, which is not in the vocabulary"
            yield Fault("request.eos_token_id", what, f"below {decoder.vocab_size}, vocab_size")
        if request.prompt_tokens:
            if request.text_tokens:
                total = request.text_tokens + self.images * self.image_tokens
                if total != request.prompt_tokens:
                    yield Fault(
                        "request.prompt_tokens",
                        f"found {request.prompt_tokens}",
                        f"{total}, the text and image tokens together",
                        also=["request.text_tokens"],
                    )
            elif self.text_tokens < 0:
                least = self.images * self.image_tokens
                what = f"found {request.prompt_tokens}"
                yield Fault("request.prompt_tokens", what, f"at least {least}, the image tokens")
        held = build.prefill_chunk, build.compiled_histories, build.kv_cache_len
        keys = build.model_fields_set - (
            {"prefill_history"} if not build.prefill_history else set()
        )
        prompt = [key for key in ("prompt_tokens", "text_tokens") if getattr(request, key)]
        lone = None if request.turns else ("request", *prompt[:1])
        yield from length_faults(self.asked, Compiled(*held, keys), lone)
        if decoder.cross_tokens:
            yield from self._crossed_faults()
        scaling = decoder.rope_scaling
        trained = scaling.original_max_position_embeddings if scaling else 0
        if scaling and scaling.kind == "longrope" and build.kv_cache_len >= trained:
            what = (
                f"found {build.kv_cache_len}: beyond the context trained for, longrope turns other"
            )
            what += " frequencies for the whole sequence"
            yield Fault("build.kv_cache_len", what, f"up to {trained - 1}")
        if build.prefill_chunk > build.kv_cache_len:
            what = f"found {build.prefill_chunk}, more than the KV cache holds"
            yield Fault("build.prefill_chunk", what, f"up to {build.kv_cache_len}, kv_cache_len")

    def _crossed_faults(self) -> Iterator[Fault]:
        """Of a decoder that attends to an encoder, which has to run first, and once."""
        decoder, request = self.model.decoder, self.request
        assert decoder is not None
        if [turn.images for turn in self.asked] != [1, *[0] * (len(self.asked) - 1)]:
            allowed = "1 before the first turn: what the decoder attends to"
            yield Fault(
                "request.turns" if request.turns else "request.images",
                "found another number of images",
                allowed,
            )
        if request.cached_tokens:
            yield Fault(
                "request.cached_tokens", "has nothing to attend to before the encoder has run"
            )
        longest = decoder.position_rows or self.build.kv_cache_len + 1
        if self.build.kv_cache_len >= longest:
            what = f"found {self.build.kv_cache_len}"
            yield Fault("build.kv_cache_len", what, f"up to {longest - 1}, less than position_rows")

    def _network_faults(self) -> Iterator[Fault]:
        """Keys that mean nothing to a network from an ONNX file."""
        for name, allowed in OF_NETWORKS.items():
            for key in sorted(getattr(self, name).model_fields_set.difference(allowed)):
                what = "has no effect on a network from an ONNX file"
                yield Fault(f"{name}.{key}", what, ", ".join(allowed))

    def _variant_faults(self) -> Iterator[Fault]:
        seen: set[str] = set()
        for index, variant in enumerate(self.variants):
            if variant.name in seen:
                yield Fault(("variants", index, "name"), f"{variant.name!r} is given twice")
            seen.add(variant.name)
            try:
                override(self, {**variant.set, "variants": ()})
            except InputError as error:
                yield from (_blame_variant(index, variant, each) for each in error.problems)


def _blame_variant(index: int, variant: Variant, problem: Problem) -> Fault:
    """The problem that a variant's keys make, told at the key that makes it."""
    path: tuple[str | int, ...] = ("variants", index, "set")
    given = next((key for key in variant.set if problem.where.startswith(f"--set {key}=")), None)
    what = problem.what if given == problem.key else f"{problem.key}: {problem.what}"
    if problem.nearest:
        what += f"; did you mean {problem.nearest!r}?"
    return Fault((*path, given) if given else path, what, problem.allowed)


def load_workload(
    name_or_path: str | Path, overrides: Overrides = NO_OVERRIDES, variant: str | None = None
) -> Workload:
    """Find and load a workload, or make one of an ONNX file with the default build. With
    ``variant``, only that one: its keys, then ``overrides``.

    Raises:
        InputError: listing everything that is wrong.
    """
    source = find("workload", name_or_path)
    if variant is None:
        return load(Workload, source, overrides)
    base = load(Workload, source)
    base.variant(variant)  # names the variants when there is no such one
    chosen = next(v.set for v in base.variants if v.name == variant)
    return load(Workload, source, {**layered(chosen, overrides), "variants": ()})


def layered(below: Overrides, above: Overrides) -> dict[str, object]:
    """A variant's keys, then those that win over it: what says the same in other words
    (``request.turns`` and ``request.prompt_tokens``) gives way, too."""
    replaced = _replaced(above)
    return {key: value for key, value in below.items() if key not in replaced} | dict(above)


def _replaced(overrides: Overrides) -> set[str]:
    """The keys in whose place ``overrides`` stand."""
    return {
        other
        for key in overrides
        for knob, dropped in Workload.REPLACES.items()
        if key == knob or key.startswith(f"{knob}.")
        for other in dropped
    }


def _configured(tree: Located, overrides: Overrides) -> None:
    """Adds what Pulsar2's build configuration says to the build, where that has no key of its
    own."""
    file: object = overrides.get("build.pulsar2")
    if file is None:
        named, depth = tree.nearest(("build", "pulsar2"))
        file = named.value if depth == 2 else None
    if not isinstance(file, str) or not isinstance(tree.value, dict):
        return
    build = tree.value.setdefault("build", Located({}, file))
    if isinstance(build.value, dict):
        for key, value in read_pulsar2(file).build.items():
            build.value.setdefault(key, locate(value, f"{file}:0"))


def _select(variants: list[Located], overrides: Overrides) -> list[Located]:
    """Variants that agree with the overrides.

    An override of a key that variants set keeps those that set it to the same value
    (``--set build.vision_dtype=u16`` shows the U16 rows). When none does, the override holds in
    all of them, they are named by their values, and those that become the same are shown once. So
    it is where variants say the same in other words (``request.turns`` and
    ``request.prompt_tokens``).
    """
    replaced = _replaced(overrides)
    if any(replaced & _settings(variant).keys() for variant in variants):
        variants = _without(variants, replaced)
    for key, value in overrides.items():
        settings = [_settings(variant) for variant in variants]
        if not any(key in setting for setting in settings):
            continue
        agreeing = [
            variant
            for variant, setting in zip(variants, settings, strict=True)
            if key not in setting or setting[key].plain() == value
        ]
        if not agreeing:
            agreeing = _rename(variants, key, value)
        variants = agreeing
    return variants


def _without(variants: list[Located], replaced: set[str]) -> list[Located]:
    different: dict[str, Located] = {}
    for variant in variants:
        kept = {k: v for k, v in _settings(variant).items() if k not in replaced}
        values = "-".join(str(each.plain()) for each in kept.values())
        name = Located(values, variant.origin) if kept else variant.child("name")
        named = {"name": name, "set": Located(kept, variant.origin)}
        different.setdefault(values, Located(named, variant.origin))
    return list(different.values()) if any(different) else []


def _rename(variants: list[Located], key: str, value: object) -> list[Located]:
    different: dict[str, Located] = {}
    for variant in variants:
        settings = _settings(variant)
        values = [value if k == key else v.plain() for k, v in settings.items()]
        name = "-".join(str(each) for each in values if each is not None)
        kept = {k: v for k, v in settings.items() if k != key}
        renamed = {"name": Located(name, variant.origin), "set": Located(kept, variant.origin)}
        different.setdefault(name, Located(renamed, variant.origin))
    return list(different.values())


def _settings(variant: Located) -> dict[str, Located]:
    settings = variant.child("set")
    return settings.value if settings is not None and isinstance(settings.value, dict) else {}
