"""The build configuration of the vendor's compiler, Pulsar2, as far as a workload has its keys.

Key names and defaults are those of the compiler's documentation (``pulsar2 build --config``, the
messages ``quant.input_configs``, ``quant.layer_configs`` and ``input_processors``). What the
documentation calls ``AutoColorSpace`` is BGR of three channels and GRAY of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, PositiveFloat

from axsim.errors import InputError, Problem
from axsim.numerics.formats import OP_TYPE
from axsim.spec.descriptor import Section, load
from axsim.spec.located import Located, display, parse
from axsim.spec.preprocess import EVERY

DTYPES = {"U8": "u8", "S8": "u8", "U16": "u16", "S16": "u16"}
"""Our activation dtype for the vendor's name of one; signs are the compiler's own choice."""


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


class _Quant(_Open):
    input_configs: tuple[_InputConfig, ...] = ()
    layer_configs: tuple[_LayerConfig, ...] = ()
    calibration_method: Literal["MinMax", "Percentile", "MSE", "KL"] | None = None


class _Configuration(_Open):
    npu_mode: Literal["NPU1", "NPU2", "NPU3"] | None = None
    quant: _Quant = Field(default_factory=_Quant)
    input_processors: tuple[_InputProcessor, ...] = ()

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
    have no effect."""

    build: Mapping[str, Any]
    ignored: tuple[str, ...]


def read_pulsar2(path: str | Path) -> Pulsar2:
    """What a build configuration says.

    Raises:
        InputError: no such file, no JSON, or values that it cannot have; each with its line.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(Problem(str(path), "", "no such file", "Pulsar2's build configuration"))
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
    return Pulsar2(build, tuple(ignored))


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
    kept = [(each, DTYPES[each.data_type]) for each in configs if each.data_type in DTYPES]
    for each, dtype in kept:
        for name in (*filter(None, [each.op_type]), *each.op_types):
            yield f"{OP_TYPE}{name}", dtype
    for each, dtype in kept:
        for name in (*filter(None, [each.layer_name]), *each.layer_names):
            yield name, dtype


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
