"""The build configuration of the vendor's compiler, Pulsar2, as far as a workload has its keys.

Key names and defaults are those of the compiler's documentation (``pulsar2 build --config``, the
messages ``quant.input_configs``, ``quant.layer_configs`` and ``input_processors``). What the
documentation calls ``AutoColorSpace`` is BGR of three channels and GRAY of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import ConfigDict, Field, PositiveFloat, model_validator

from axsim.errors import Fault, InputError, Problem, checked
from axsim.numerics.formats import OP_TYPE
from axsim.spec.descriptor import Section, document, load
from axsim.spec.located import Key, Located, display, parse
from axsim.spec.preprocess import EVERY

DTYPES = {"U8": "u8", "S8": "u8", "U16": "u16", "S16": "u16"}
"""Our activation dtype for the vendor's name of one; signs are the compiler's own choice."""


_Path: TypeAlias = tuple[Key, ...]
_LAYERS: _Path = ("quant", "layer_configs")


class _Named(NamedTuple):
    """A name at the key ``path`` of a list's entry; ``among`` is the key of the list."""

    among: _Path
    path: _Path
    name: str


class _Open(Section):
    """A message of which only some keys mean something here."""

    model_config = ConfigDict(extra="allow")


class _InputConfig(_Open):
    tensor_name: str = EVERY
    calibration_mean: tuple[float, ...] = ()
    calibration_std: tuple[PositiveFloat, ...] = ()


class _InputProcessor(_Open):
    tensor_name: str = EVERY
    tensor_format: Literal["AutoColorSpace", "BGR", "RGB", "GRAY"] = "AutoColorSpace"
    tensor_layout: Literal["NativeLayout", "NCHW", "NHWC"] = "NativeLayout"
    mean: tuple[float, ...] = ()
    std: tuple[PositiveFloat, ...] = ()


class _LayerConfig(_Open):
    layer_name: str | None = None
    layer_names: tuple[str, ...] = ()
    op_type: str | None = None
    op_types: tuple[str, ...] = ()
    data_type: Literal["U8", "S8", "U16", "S16", "S32", "FP16", "BF16", "FP32"] | None = None

    @property
    def patterns(self) -> Iterator[tuple[_Path, str]]:
        """What it speaks of, as a workload's ``precision_overrides`` name it, by key."""
        if self.op_type:
            yield ("op_type",), f"{OP_TYPE}{self.op_type}"
        for index, name in enumerate(self.op_types):
            yield ("op_types", index), f"{OP_TYPE}{name}"
        if self.layer_name:
            yield ("layer_name",), self.layer_name
        for index, name in enumerate(self.layer_names):
            yield ("layer_names", index), name


class _Quant(_Open):
    input_configs: tuple[_InputConfig, ...] = ()
    layer_configs: tuple[_LayerConfig, ...] = ()
    calibration_method: Literal["MinMax", "Percentile", "MSE", "KL"] | None = None


class _Configuration(_Open):
    npu_mode: Literal["NPU1", "NPU2", "NPU3"] | None = None
    quant: _Quant = Field(default_factory=_Quant)
    input_processors: tuple[_InputProcessor, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> _Configuration:
        first: dict[tuple[_Path, str], _Path] = {}
        faults = []
        for each in self.named():
            before = first.setdefault((each.among, each.name), each.path)
            if before != each.path:
                what = f"{each.name.removeprefix(OP_TYPE)!r} is configured twice"
                faults.append(Fault(each.path, what, "one entry for a name", also=[before]))
        return checked(self, faults)

    def named(self) -> Iterator[_Named]:
        """Every tensor, layer and type of operators that the file speaks of."""
        tensors: dict[_Path, tuple[_InputConfig | _InputProcessor, ...]] = {
            ("input_processors",): self.input_processors,
            ("quant", "input_configs"): self.quant.input_configs,
        }
        for among, entries in tensors.items():
            for index, entry in enumerate(entries):
                yield _Named(among, (*among, index, "tensor_name"), entry.tensor_name)
        for index, layer in enumerate(self.quant.layer_configs):
            if layer.data_type is not None:
                for key, name in layer.patterns:
                    yield _Named(_LAYERS, (*_LAYERS, index, *key), name)

    @classmethod
    def written(cls, source: Path) -> Located:
        """The document of a JSON file: YAML, but for tabs."""
        try:
            text = source.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InputError(Problem(str(source), "", "is no UTF-8 text", "JSON")) from None
        return parse(text.replace("\t", "  "), display(source))


@dataclass(frozen=True)
class Pulsar2:
    """``build``: keys of a workload's build that the file sets. ``ignored``: its keys, dotted, that
    have no effect. ``inputs`` and ``layers``: where the names in ``build.preprocess`` and the
    patterns in ``build.precision_overrides`` stand, as line and key."""

    build: Mapping[str, Any]
    ignored: tuple[str, ...]
    inputs: Mapping[str, tuple[str, str]]
    layers: Mapping[str, tuple[str, str]]


def read_pulsar2(path: str | Path) -> Pulsar2:
    """What a build configuration says.

    Raises:
        InputError: no such file, no JSON, values that it cannot have, or a name that is configured
            twice; each with its line.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise InputError(Problem(str(path), "", what, "Pulsar2's build configuration, a JSON file"))
    found = load(_Configuration, path)
    build: dict[str, Any] = {}
    if found.npu_mode is not None:
        build["npu_mode"] = found.npu_mode
    if found.quant.calibration_method is not None:
        build["observer"] = found.quant.calibration_method.lower()
    preprocess = _preprocess(found)
    if preprocess:
        build["preprocess"] = preprocess
    layers = dict(_layers(found.quant.layer_configs))
    if layers:
        build["precision_overrides"] = layers
    ignored = dict.fromkeys(_ignored(found, ""))
    wide = (each.data_type for each in found.quant.layer_configs)
    ignored |= dict.fromkeys(
        f"quant.layer_configs.data_type {name}" for name in wide if name and name not in DTYPES
    )
    at_inputs: dict[str, tuple[str, str]] = {}
    at_layers: dict[str, tuple[str, str]] = {}
    tree = document(_Configuration, path)
    for each in found.named():
        place = tree.nearest(each.path)[0].origin, ".".join(map(str, each.path))
        (at_layers if each.among == _LAYERS else at_inputs).setdefault(each.name, place)
    return Pulsar2(build, tuple(ignored), at_inputs, at_layers)


def _preprocess(found: _Configuration) -> dict[str, dict[str, Any]]:
    """By the name of a tensor; numbers of a processor go before those of the calibration."""
    configs = {each.tensor_name: each for each in found.quant.input_configs}
    processors = {each.tensor_name: each for each in found.input_processors}
    result = {}
    for name in dict.fromkeys([*processors, *configs]):
        config = configs.get(name, configs.get(EVERY, _InputConfig()))
        processor = processors.get(name, processors.get(EVERY, _InputProcessor()))
        how: dict[str, Any] = {
            "mean": processor.mean or config.calibration_mean,
            "std": processor.std or config.calibration_std or (1.0,),
            "format": processor.tensor_format,
        }
        if processor.tensor_format == "AutoColorSpace":
            how["format"] = "BGR"
        if processor.tensor_layout != "NativeLayout":
            how["layout"] = processor.tensor_layout
        result[name] = how
    return result


def _layers(configs: tuple[_LayerConfig, ...]) -> Iterator[tuple[str, str]]:
    """Patterns and dtypes; what is said of a type gives way to what is said of a layer."""
    kept = [
        (name, DTYPES[each.data_type])
        for each in configs
        if each.data_type in DTYPES
        for _, name in each.patterns
    ]
    yield from sorted(kept, key=lambda pair: not pair[0].startswith(OP_TYPE))


def _ignored(section: Section, path: str) -> Iterator[str]:
    """Keys without a field."""
    yield from (f"{path}{name}" for name in section.model_extra or ())
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _ignored(value, f"{path}{name}.")
        elif isinstance(value, tuple):
            for each in value:
                if isinstance(each, Section):
                    yield from _ignored(each, f"{path}{name}.")
