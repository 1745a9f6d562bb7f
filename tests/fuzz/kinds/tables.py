"""Files that axsim or a spreadsheet wrote: ledgers, architectures, journals, baselines, results."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

import axsim
from axsim.fidelity.ledger import shipped_ledger, shipped_models
from tests.fuzz import mutate
from tests.fuzz.bounded import outcome
from tests.fuzz.kinds import base
from tests.fuzz.kinds.kind import Kind

ROWS = 4
"""Rows of a damaged ledger."""


@cache
def _published() -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(shipped_ledger().read_text()))
    small = [row for row in rows if row[header.index("metric")] != "ttft_ms"]
    return header, small


def _csv(header: list[str], rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


def ledgers(rng: Random, folder: Path) -> list[str]:
    header, rows = _published()
    chosen = [list(row) for row in rng.sample(rows, ROWS)]
    for _ in range(rng.choice((1, 2, 4))):
        row = rng.choice(chosen)
        value = str(mutate.odd(rng)) if rng.random() < 0.6 else str(rng.choice(mutate.INTEGERS))
        row[rng.randrange(len(row))] = value
    text = _csv(header, chosen)
    if rng.random() < 0.3:
        text = mutate.text(rng, text)
    base.write(folder, "l.csv", mutate.encoded(rng, text))
    given = ["validate", "--ledger", "l.csv"]
    if rng.random() < 0.5:
        given += ["--json", "-"]
    if rng.random() < 0.1:
        given += ["--explain", chosen[0][0]]
    return given


def ledger_floods(rng: Random, folder: Path) -> list[str]:
    """Hundreds of wrong rows."""
    header, rows = _published()
    column = rng.randrange(len(header))
    wrong = str(mutate.odd(rng))
    chosen = [[*row[:column], wrong, *row[column + 1 :]] for row in rows]
    if rng.random() < 0.3:
        chosen = [row[:-2] for row in chosen]
    base.write(folder, "l.csv", mutate.encoded(rng, _csv(header, chosen)))
    return ["validate", "--ledger", "l.csv", "-q"]


@cache
def _models() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(shipped_models().read_text())
    return document


def models(rng: Random, folder: Path) -> list[str]:
    document = _models()
    some = {
        part: dict(rng.sample(list(held.items()), min(2, len(held))))
        for part, held in document.items()
    }
    changed = mutate.tree(rng, some, rng.choice((1, 2)))
    text = yaml.safe_dump(changed)
    base.write(
        folder,
        "m.yaml",
        mutate.encoded(rng, mutate.text(rng, text) if rng.random() < 0.3 else text),
    )
    header, rows = _published()
    names = [name for held in some.values() for name in held]
    chosen = [row for row in rows if row[2] in names][:3] or rows[:1]
    base.write(folder, "l.csv", _csv(header, chosen))
    return ["validate", "--ledger", "l.csv", "--models", "m.yaml", "--json", "-"]


@cache
def _snapshot() -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base.write(folder, "w.yaml", base.tiny_text())
        made = outcome(["snapshot", "w.yaml", "--chip", "ax630c", "-o", "b.json"], folder)
        assert made.code == 0, made
        return (folder / "b.json").read_text()


def _json(rng: Random, document: Any) -> bytes:
    text = json.dumps(mutate.tree(rng, document))
    return mutate.encoded(rng, mutate.text(rng, text) if rng.random() < 0.3 else text)


def baselines(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "w.yaml", base.tiny_text())
    base.write(folder, "b.json", _json(rng, json.loads(_snapshot())))
    return ["check", "b.json"]


@cache
def _result() -> dict[str, Any]:
    workload = yaml.safe_load(base.tiny_text())
    from axsim.spec.descriptor import load_mapping
    from axsim.spec.workload import Workload

    return axsim.run(load_mapping(Workload, workload, "tiny"), "ax630c", timing_only=True).to_dict()


def results(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "a.json", _json(rng, _result()))
    base.write(folder, "b.json", json.dumps(_result()))
    return ["compare", "a.json", "b.json"]


def journals(rng: Random, folder: Path) -> list[str]:
    """A journal that somebody has touched, gone on from."""
    base.write(folder, "w.yaml", base.tiny_text())
    given = [
        "sweep",
        "w.yaml",
        "--chip",
        "ax630c",
        "--timing-only",
        "-j",
        "1",
        "-q",
        "-o",
        "out.csv",
        "--vary",
        "build.prefill_chunk=4,6",
        "--resume",
    ]
    content = mutate.blob(rng, _journal()) if rng.random() < 0.5 else _lines(rng)
    base.write(folder, "out.csv.journal", content)
    (folder / "out.csv").unlink(missing_ok=True)
    return given


@cache
def _journal() -> bytes:
    """Of both points of that sweep."""
    from axsim.spec.workload import load_workload
    from axsim.study.grid import grid
    from axsim.study.point import evaluate_all

    with tempfile.TemporaryDirectory() as name:
        base.write(Path(name), "w.yaml", base.tiny_text())
        workload = load_workload(Path(name) / "w.yaml")
    points = grid(
        workload, ["ax630c"], {"build.prefill_chunk": [4, 6]}, settings={}, timing_only=True
    )
    rows = evaluate_all(points)
    lines = [
        json.dumps({"point": point.key, "rows": made})
        for point, made in zip(points, rows, strict=True)
    ]
    return "\n".join([*lines, ""]).encode()


def _lines(rng: Random) -> bytes:
    changed = [
        json.dumps(mutate.tree(rng, json.loads(line)), ensure_ascii=True)
        for line in _journal().decode().splitlines()
    ]
    return "\n".join([*changed, ""]).encode()


def logs(rng: Random, folder: Path) -> list[str]:
    """What the vendor's runtime prints."""
    from tests.fidelity.test_board_logs import CHAT, LAYER

    base.write(folder, "a.log", mutate.encoded(rng, mutate.text(rng, rng.choice((LAYER, CHAT)))))
    given = ["ledger", "import", "a.log", "--chip", "ax650n", "--workload", "internvl2_1b"]
    if rng.random() < 0.2:
        name = rng.choice(mutate.TEXTS).replace("\0", "")
        given += ["--source", name, "--id-prefix", name]
    return [*given, "--variant", "224-u8", "-o", rng.choice(("-", "rows.csv"))]


def meters(rng: Random, folder: Path) -> list[str]:
    """What a meter read."""
    base.write(folder, "w.yaml", base.tiny_text())
    header = ["id", "workload", "variant", "set", "run", "watts"]
    key = f"{rng.choice(('build.kv_cache_len', 'request.new_tokens', 'chip.cpu.clock_mhz'))}=30"
    rows = [["a", "", "", "", "idle", "1.2"]]
    for name, run in zip("bcde", ("request", "decode", "prefill", "vision"), strict=True):
        rows.append([name, "w.yaml", "", rng.choice(("", "", key)), run, rng.choice("2345")])
    for _ in range(rng.choice((0, 1, 2))):
        value = str(mutate.odd(rng)) if rng.random() < 0.7 else str(rng.choice(mutate.FLOATS))
        rng.choice(rows)[rng.randrange(len(header))] = value
    text = _csv(header, rng.sample(rows, rng.randint(0, len(rows))))
    if rng.random() < 0.2:
        text = mutate.text(rng, text)
    base.write(folder, "m.csv", mutate.encoded(rng, text))
    given = ["calibrate", rng.choice(("ax630c", "ax650n")), "--power", "m.csv"]
    if rng.random() < 0.2:
        given += ["--keep", rng.choice(("teng_w", "idle_w", *mutate.TEXTS)).replace("\0", "")]
    return [*given, *rng.choice((["--json", "-"], ["-o", "c.yaml"], []))]


KINDS = (
    Kind("logs", logs, 0.5, 2),
    Kind("ledgers", ledgers, 2.0, 6),
    Kind("ledger floods", ledger_floods, 0.2, 2),
    Kind("architectures", models, 1.0, 3),
    Kind("baselines", baselines, 1.0, 4),
    Kind("results", results, 1.0, 4),
    Kind("meters", meters, 0.5, 3),
    Kind("journals", journals, 0.5, 2),
)
