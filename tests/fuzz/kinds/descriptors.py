"""Chips and workloads in YAML: odd values, broken text, other encodings, bombs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import yaml

from axsim.spec.descriptor import shipped
from tests.fuzz import mutate
from tests.fuzz.kinds import base
from tests.fuzz.kinds.kind import Kind


def _written(rng: Random, document: Any) -> bytes:
    if not isinstance(document, dict):
        return str(document).encode("utf-8", "replace")
    return yaml.safe_dump(document, allow_unicode=rng.random() < 0.5).encode("utf-8", "replace")


def _whole(chip: dict[str, Any]) -> dict[str, Any]:
    """A chip with the keys that shipped files leave to their defaults."""
    networks = {"pixels": 8, "depthwise_columns": 16, "bands": 6, "halo": 0.5, "banded_issue": 2.0}
    power = {"idle_w": 1.0, "conv_w": 0.5, "dram_pj_per_byte": 40.0, "mac_pj": {"int8": 0.2}}
    npu = {**chip.get("npu", {}), "networks": networks}  # one that is like another has none
    return {**chip, "npu": npu, "power": power}


def chip_values(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "w.yaml", base.tiny_text())
    document = mutate.tree(rng, _whole(rng.choice(base.chips())))
    base.write(folder, "c.yaml", _written(rng, document))
    if rng.random() < 0.15:
        return ["show", "c.yaml"]
    name = "w.yaml"
    if rng.random() < 0.2:
        name = base.write(folder, "n.onnx", networks())
    return ["run", name, "--chip", "c.yaml", "--timing-only", "--json", "-"]


def networks() -> bytes:
    """A network with a convolution, for the keys that only those have."""
    from tests.fuzz.kinds.networks import _networks

    return _networks()[0]


def workload_values(rng: Random, folder: Path) -> list[str]:
    document = mutate.tree(rng, rng.choice(base.workloads()))
    base.write(folder, "w.yaml", _written(rng, document))
    if rng.random() < 0.15:
        return ["show", "w.yaml"]
    return ["run", "w.yaml", "--chip", "ax630c", "--timing-only", "--json", "-"]


def board_values(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "w.yaml", base.tiny_text())
    base.write(folder, "b.yaml", _written(rng, mutate.tree(rng, rng.choice(base.boards()))))
    if rng.random() < 0.15:
        return ["show", "b.yaml"]
    return ["run", "w.yaml", "--board", "b.yaml", "--timing-only", "--json", "-"]


def scenario_values(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "w.yaml", base.tiny_text())
    rows = "ms,prompt_tokens,new_tokens\n5,,\n20,8,3\n"
    base.write(folder, "a.csv", mutate.text(rng, rows) if rng.random() < 0.2 else rows)
    document = mutate.tree(rng, rng.choice(base.scenarios()))
    if isinstance(document, dict):
        duration = document.setdefault("duration_s", 0.3)
        if isinstance(duration, int | float) and 3 < duration < 1e6:
            document["duration_s"] = 3  # longer ones are work, no attack
    base.write(folder, "s.yaml", _written(rng, document))
    if rng.random() < 0.15:
        return ["show", "s.yaml"]
    if rng.random() < 0.1:
        return ["simulate", "s.yaml", "--costs", "-q", "--csv", "-"]
    return ["simulate", "s.yaml", "--json", "-"]


def yaml_text(rng: Random, folder: Path) -> list[str]:
    kind = rng.choice(("chip", "workload"))
    source = rng.choice(list(shipped(kind).values())).read_text()
    if kind == "workload" and rng.random() < 0.7:
        source = base.tiny_text()
    base.write(folder, "x.yaml", mutate.encoded(rng, mutate.text(rng, source)))
    if rng.random() < 0.5:
        return ["show", "x.yaml"]
    if kind == "chip":
        base.write(folder, "w.yaml", base.tiny_text())
        return ["run", "w.yaml", "--chip", "x.yaml", "--timing-only", "--json", "-"]
    return ["run", "x.yaml", "--chip", "ax630c", "--timing-only", "--json", "-"]


def _laughs(rng: Random) -> str:
    wide = rng.choice((2, 10, 50))
    lines = ['a0: &a0 ["lol"]']
    for level in range(1, rng.randint(2, 40)):
        names = ", ".join([f"*a{level - 1}"] * wide)
        lines.append(f"a{level}: &a{level} [{names}]")
    return "\n".join(lines)


def _bombs() -> dict[str, Any]:
    return {
        "laughs": _laughs,
        "self": lambda rng: "a: &a [*a]\nname: &b {x: *b}\n",
        "deep": lambda rng: "[" * rng.choice((100, 1000, 100_000)),
        "deep block": lambda rng: "\n".join(" " * i + "a:" for i in range(rng.choice((50, 900)))),
        "comments": lambda rng: "# x\n" * rng.choice((10, 100_000)) + "name: x\n",
        "keys": lambda rng: "".join(f"k{i}: {i}\n" for i in range(rng.choice((20, 30_000)))),
        "one line": lambda rng: "a: [" + "1, " * rng.choice((10, 300_000)) + "1]  # x\n",
        "large": lambda rng: "a: " + "x" * rng.choice((10, 20_000_000)),
        "doubled": lambda rng: base.tiny_text() + "name: again\n",
        "merge": lambda rng: "a: &a {b: 1}\n<<: *a\n" + base.tiny_text(),
        "many": lambda rng: "--- \n" * 50 + base.tiny_text(),
        "tab": lambda rng: base.tiny_text().replace("  ", "\t"),
        "number": lambda rng: "name: " + rng.choice(("0x" + "f" * 9000, "9" * 9000, "1e99999")),
        "nothing": lambda rng: rng.choice(
            ("", "\n", "# only\n", "null", "[]", "7", "\0", "\ufeff")
        ),
    }


def yaml_bombs(rng: Random, folder: Path) -> list[str]:
    bombs = _bombs()
    content = bombs[rng.choice(list(bombs))](rng)
    base.write(folder, "x.yaml", mutate.encoded(rng, content))
    if rng.random() < 0.5:
        return ["show", "x.yaml"]
    if rng.random() < 0.5:
        return ["run", "x.yaml", "--chip", "ax630c", "--timing-only", "--json", "-"]
    return ["run", "qwen3_0_6b", "--chip", "x.yaml", "--timing-only", "--json", "-"]


KINDS = (
    Kind("chip values", chip_values, 3.0, 6),
    Kind("workload values", workload_values, 3.0, 6),
    Kind("board values", board_values, 0.5, 4),
    Kind("scenario values", scenario_values, 1.5, 6),
    Kind("yaml text", yaml_text, 2.0, 6),
    Kind("yaml bombs", yaml_bombs, 0.1, 2),
)
