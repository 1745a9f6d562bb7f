"""``--set`` and ``--vary``, names of files, chips and variants on the command line."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.fuzz import mutate
from tests.fuzz.kinds import base
from tests.fuzz.kinds.kind import Kind


@cache
def _keys() -> tuple[str, ...]:
    """Dotted keys of the tiny workload and, with their prefix, of a chip."""
    found = [*_dotted(base.workloads()[1]), *(f"chip.{key}" for key in _dotted(base.chips()[1]))]
    optional = (
        "build.npu_mode",
        "build.link",
        "build.toolchain",
        "request.seed",
        "build.precision_overrides",
        "request.temperature",
        "request.top_k",
        "request.eos_token_id",
        "variants",
        "model.onnx",
        "model.shapes",
        "chip.npu.modes",
        "chip.dram.peak_gbps",
        "chip.npu.int8_tops",
    )
    return (*found, *optional)


def _dotted(value: Any, path: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [path]
    return [name for key in value for name in _dotted(value[key], f"{path}.{key}" if path else key)]


def _key(rng: Random) -> str:
    key = rng.choice(_keys())
    return mutate.text(rng, key) if rng.random() < 0.2 else key


def _value(rng: Random) -> str:
    value = str(mutate.odd(rng))
    return mutate.text(rng, value) if rng.random() < 0.4 else value


def _argument(text: str) -> str:
    """As the shell would pass it: without NUL, bytes that are no UTF-8 as lone surrogates."""
    return text.replace("\0", "")


def overrides(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "w.yaml", base.tiny_text())
    given = ["run", "w.yaml", "--chip", "ax630c", "--timing-only", "--json", "-"]
    for _ in range(rng.choice((1, 1, 2))):
        setting = f"{_key(rng)}={_value(rng)}"
        given += ["--set", _argument(setting if rng.random() < 0.9 else mutate.text(rng, setting))]
    return given


def _range(rng: Random) -> str:
    ends = [
        str(rng.choice((1, 2, 64, 128, 4.5, 1e300, "nan", ".nan", ".inf", "-1", "x", "1e999")))
        for _ in range(2)
    ]
    count = rng.choice(("1", "2", "3", "0", "-1", "9" * 12, "9" * 5000, "1.5", "", "x"))
    return f"{ends[0]}..{ends[1]}:{count}"


def vary(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "w.yaml", base.tiny_text())
    given = ["sweep", "w.yaml", "--chip", "ax630c", "--timing-only", "--jobs", "1", "-q"]
    for _ in range(rng.choice((1, 1, 2))):
        values = (
            _range(rng)
            if rng.random() < 0.5
            else ",".join(_value(rng) for _ in range(rng.randint(0, 3)))
        )
        given += ["--vary", _argument(f"{_key(rng)}={values}")]
    if rng.random() < 0.2:
        given += ["--objective", _argument(_value(rng)) or "ttft_ms"]
    if rng.random() < 0.2:
        given += ["--constraint", _argument(f"ttft_ms>={_value(rng)}")]
    return given


def names(rng: Random, folder: Path) -> list[str]:
    """Anything where the name of a thing is due."""
    base.write(folder, "w.yaml", base.tiny_text())
    odd = _argument(
        rng.choice(
            (
                *mutate.TEXTS,
                "../..",
                "/",
                ".",
                "/dev/null",
                "/proc/self/mem",
                "w.yaml/",
                "w",
                "AX630C",
                "nowhere/w.yaml",
                "~",
                "-",
                "--",
                "\ud800.yaml",
                "x" * 300 + ".yaml",
            )
        )
    )
    return rng.choice(
        (
            ["show", odd],
            ["run", odd, "--chip", "ax630c", "--timing-only"],
            ["run", "w.yaml", "--chip", odd, "--timing-only"],
            ["run", "w.yaml", "--chip", "ax630c", "--timing-only", "--variant", odd],
            ["run", "w.yaml", "--chip", "ax630c", "--timing-only", "--seed", odd],
            ["import", odd],
            ["check", odd],
            ["check", "w.yaml", "--tolerance", odd],
            ["compare", odd, "ax630c"],
            ["compare", "ax630c", odd, "--workload", "w.yaml"],
            ["validate", "--ledger", odd],
            ["validate", "--models", odd],
            ["validate", "--graphs", odd],
            ["validate", "--chip", odd],
            ["validate", "--explain", odd],
            ["run", "w.yaml", "--chip", "ax630c", "--checkpoint", odd],
            ["run", "w.yaml", "--chip", "ax630c", "--images", odd],
            ["sweep", "w.yaml", "--chip", odd, "--timing-only", "-j", "1"],
            ["sweep", "w.yaml", "--chip", "ax630c", "--timing-only", "-j", "1", "--objective", odd],
            ["explain", "w.yaml", "--chip", "ax630c", "--variant", odd],
            ["precision", "w.yaml", "--chip", odd],
            ["export", odd, "-o", "out"],
        )
    )


_RATES = ("fps", "every_ms", "poisson_per_s", "closed", "csv", "after", "queue")


def scenario_settings(rng: Random, folder: Path) -> list[str]:
    """A scenario's keys and the options of ``simulate``."""
    base.write(folder, "w.yaml", base.tiny_text())
    base.write(folder, "s.yaml", yaml.safe_dump(rng.choice(base.scenarios())))
    cells = [str(mutate.odd(rng)) for _ in range(rng.choice((0, 2, 6)))]
    rows = "\n".join(",".join(cells[start : start + 3]) for start in range(0, len(cells), 3))
    base.write(folder, "a.csv", f"ms,prompt_tokens,new_tokens\n5,,\n{rows}\n20,8,3\n")
    given = ["simulate", "s.yaml", "--json", "-"]
    for _ in range(rng.choice((0, 1, 2))):
        rate = f"tenants.{rng.choice('abcd')}.arrivals.{rng.choice(_RATES)}"
        own = [key for key in _dotted(rng.choice(base.scenarios())) if key != "duration_s"]
        key = rng.choice((rate, rng.choice(own), f"chip.{rng.choice(_dotted(base.chips()[1]))}"))
        value = str(rng.choice((1, 2, 7, 0.5, 30, 200, "w.yaml", "a", _value(rng))))
        given += ["--set", _argument(f"{key}={value}")]
    time = rng.choice(("0", "1", "1s", "20ms", "2s", "-1s", "1e9s", "nan", "inf", "x", "1e400"))
    if rng.random() < 0.3:
        given += ["--duration", _argument(time) or "1s"]
    if rng.random() < 0.3:
        given += ["--window", _argument(rng.choice((time, f"0s..{time}", f"{time}..{time}")))]
    if rng.random() < 0.2:
        given += ["--seed", _argument(str(mutate.odd(rng)))]
    elif rng.random() < 0.1:
        given += ["--seeds", rng.choice(("1", "2", "0", "-1", "x", "9" * 9)), "-j", "1"]
    elif rng.random() < 0.2:
        given += rng.choice((["--overload"], ["--costs"], ["--trace", "t.json"]))
    return given


KINDS = (
    Kind("overrides", overrides, 3.0, 6),
    Kind("varied keys", vary, 1.0, 5),
    Kind("names", names, 1.0, 6),
    Kind("scenario settings", scenario_settings, 1.0, 4),
)
