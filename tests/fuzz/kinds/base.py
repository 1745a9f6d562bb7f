"""Small sound inputs that the kinds damage: made once, copied often."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from axsim.spec.descriptor import shipped
from tests.models.small import DECODERS
from tests.models.small_vision import ALONE, JOINED
from tests.runs import tiny


@cache
def chips() -> tuple[dict[str, Any], ...]:
    """The shipped chips."""
    return tuple(yaml.safe_load(path.read_text()) for path in shipped("chip").values())


@cache
def workloads() -> tuple[dict[str, Any], ...]:
    """A tiny VLM, its decoder and its tower, as documents of YAML."""
    from axsim.models.config import ModelConfig

    decoder = tiny.workload(ModelConfig(tiny.DECODER), prompt_tokens=12)
    tower = tiny.workload(ModelConfig(None, tiny.VISION))
    return tuple(
        json.loads(each.model_dump_json(exclude_unset=True))
        for each in (tiny.variants(), decoder, tower)
    )


@cache
def tiny_text() -> str:
    """The tiny decoder as YAML text."""
    return yaml.safe_dump(workloads()[1])


@cache
def configs() -> tuple[dict[str, Any], ...]:
    """config.json of small models of all sorts."""
    return (*DECODERS.values(), *JOINED.values(), *ALONE.values())


def write(folder: Path, name: str, content: str | bytes) -> str:
    """A file of the folder; its name."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / name).write_bytes(data)
    return name
