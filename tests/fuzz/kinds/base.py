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
def scenarios() -> tuple[dict[str, Any], ...]:
    """A tiny model beside a camera, AI-ISP and a host load; conversations; two models in turn."""
    camera = {"camera": {"size": "640x480", "fps": 30}}
    clients = {"workload": "w.yaml", "arrivals": {"closed": {"clients": 2, "think_ms": 5}}}
    timed = {"workload": "w.yaml", "arrivals": {"every_ms": 100}, "deadline_ms": 50}
    rows = {"workload": "w.yaml", "arrivals": {"csv": "a.csv"}}
    after = {"workload": "w.yaml", "arrivals": {"after": "a"}, "priority": 1}
    drawn = {"workload": "w.yaml", "arrivals": {"poisson_per_s": 9, "queue": 3}}
    load = {"cpu": {"cores": 1, "ms": 1, "every_ms": 20}}
    isp = {"npu": {"ms": 1, "every_ms": 40}}
    base = {"chip": "ax630c", "duration_s": 0.3, "seed": 1}
    return (
        {"name": "company", **base, "tenants": {"a": timed, "b": camera, "c": load, "d": isp}},
        {"name": "clients", **base, "tenants": {"a": clients, "b": {"bytes_per_s": 1e8}}},
        {"name": "rows", **base, "tenants": {"a": rows, "b": after, "c": drawn}},
    )


@cache
def boards() -> tuple[dict[str, Any], ...]:
    """The shipped boards."""
    return tuple(yaml.safe_load(path.read_text()) for path in shipped("board").values())


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
