"""What the README promises of additions, done: one file each, in a copy of the package.

Each case writes its file, says what changed, and runs the copy in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("axsim", "chips", "boards", "workloads", "scenarios", "measurements")

pytestmark = pytest.mark.skipif(
    not all((ROOT / part).is_dir() for part in PARTS), reason="needs a clone to copy"
)


class Copy:
    """A copy of the package and of what is shipped with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part)
        self._before = self._files()

    def without(self, path: str) -> None:
        """As if a file had never been there."""
        (self.folder / path).unlink()
        self._before = self._files()

    def write(self, path: str, text: str) -> None:
        """Add a file."""
        assert not (self.folder / path).exists()
        (self.folder / path).write_text(text, encoding="utf-8")

    def insert(self, path: str, after: str, text: str) -> None:
        """Add ``text`` to a file, behind the only place where it says ``after``."""
        whole = (self.folder / path).read_text(encoding="utf-8")
        assert whole.count(after) == 1
        (self.folder / path).write_text(whole.replace(after, after + text), encoding="utf-8")

    def changed(self) -> list[str]:
        """Files that are new or different."""
        now = self._files()
        return sorted(path for path in now if now[path] != self._before.get(path))

    def run(self, *arguments: str, code: int = 0) -> str:
        """What a process with the copy first on its path prints; on stderr when it fails."""
        found = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "120"},
        )
        assert found.returncode == code, found.stdout + found.stderr
        return found.stderr if code else found.stdout

    def python(self, script: str) -> str:
        """What a script prints."""
        return self.run("-c", script)

    def axsim(self, *arguments: str, code: int = 0) -> str:
        """What a command prints."""
        return self.run("-c", "from axsim.cli import main; main()", *arguments, code=code)

    def _files(self) -> dict[str, str]:
        files = (p for part in PARTS for p in (self.folder / part).rglob("*") if p.is_file())
        return {
            path.relative_to(self.folder).as_posix(): sha256(path.read_bytes()).hexdigest()
            for path in files
            if "__pycache__" not in path.parts
        }


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


HEAD = """
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import one_pass, shape
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array
"""

RELU = f'''"""Relu: the larger of an element and zero. Cost: one pass."""
{HEAD}

def _kernel(x: Array) -> tuple[Array]:
    import numpy as np

    return (np.maximum(x, 0),)


RELU = Operator("Relu", shape, one_pass, _kernel, role="function")
'''

SQUEEZE = f'''"""Squeeze: without its dimensions of size 1."""
{HEAD}

def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    return [tuple(size for size in shapes[0] if size != 1)]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(moves=10**9)  # nobody asks: a view is free


def _kernel(x: Array) -> tuple[Array]:
    return (x.squeeze(),)


SQUEEZE = Operator("Squeeze", _shape, _work, _kernel, role="view")
'''

GRAPH = '''
import numpy as np
from axsim.compiler.compile import compile_graph
from axsim.graph.builder import GraphBuilder
from axsim.machine.npu import Npu
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_vision
from axsim.numerics.integer_graph import Integer
from axsim.numerics.ranges import Calibration
from axsim.numerics.weight_only import WeightOnly
from axsim.spec.chip import load_chip

ROWS, WIDTH = 256, 384
rng = np.random.default_rng(1)
W = {n: rng.standard_normal((WIDTH, WIDTH), np.float32) / 20 for n in ("w1.weight", "w2.weight")}
X = rng.standard_normal((1, ROWS, WIDTH), np.float32)

def graph(op, dtype):
    """Two projections behind the operator; a Reshape where a view would go."""
    b = GraphBuilder("added")
    x = b.input("x", (1, ROWS, WIDTH))
    x = b.node(op if op == "Squeeze" else "Reshape", [x], name="rows",
               **({} if op == "Squeeze" else {"shape": (ROWS, WIDTH)}))
    if op == "Relu":
        x = b.node("Relu", [x], name="relu")
    x = b.node("Gemm", [x, b.weight("w1.weight", (WIDTH, WIDTH))], name="first", transB=1)
    x = b.node("Gemm", [x, b.weight("w2.weight", (WIDTH, WIDTH))], name="second", transB=1)
    g = b.build([b.node("Reshape", [x], name="output", shape=(1, ROWS, WIDTH))])
    return g if dtype == "f32" else assign_vision(g, dtype)

def microseconds(op, dtype="u8", name="ax650n"):
    chip = load_chip(name)
    program = compile_graph(graph(op, dtype), chip, chip.mode(chip.default_mode), part="vision")
    return Npu().run(program).duration_us

def values(op, dtype):
    g, arithmetic = graph(op, dtype), None
    if dtype in ("u8", "u16"):
        seen = Calibration()
        Executor(graph(op, "f32"), W.__getitem__, seen).run_all({"x": X})
        arithmetic = Integer(seen.qparams(g))
    elif dtype == "bf16":
        arithmetic = WeightOnly()
    return Executor(g, W.__getitem__, arithmetic).run_all({"x": X})["output"][0]

def expected(op):
    x = np.maximum(X[0], 0) if op == "Relu" else X[0]
    return x @ W["w1.weight"].T @ W["w2.weight"].T

def check(op):
    for dtype, bound in {"f32": 1e-5, "u16": 0.02, "bf16": 0.02, "u8": 0.05}.items():
        want = expected(op)
        error = np.linalg.norm(values(op, dtype) - want) / np.linalg.norm(want)
        assert error < bound, (op, dtype, error)
'''


def test_a_vector_operator_takes_time_and_computes_in_every_arithmetic(copy: Copy) -> None:
    copy.without("axsim/graph/ops/relu.py")
    copy.write("axsim/graph/ops/relu.py", RELU)
    assert copy.changed() == ["axsim/graph/ops/relu.py"]
    out = copy.python(
        f"{GRAPH}\ncheck('Relu')\n"
        "for dtype in ('u8', 'u16', 'bf16'): print(microseconds('Relu', dtype) "
        "- microseconds(None, dtype))"
    )
    assert all(float(line) > 0.1 for line in out.split())


def test_a_view_costs_no_time(copy: Copy) -> None:
    copy.without("axsim/graph/ops/squeeze.py")
    copy.write("axsim/graph/ops/squeeze.py", SQUEEZE)
    assert copy.changed() == ["axsim/graph/ops/squeeze.py"]
    out = copy.python(
        f"{GRAPH}\ncheck('Squeeze')\n"
        "for dtype in ('u8', 'u16', 'bf16'): print(microseconds('Squeeze', dtype) "
        "== microseconds(None, dtype))"
    )
    assert out.split() == ["True"] * 3


def test_an_operator_without_a_role_fails_as_it_is_imported(copy: Copy) -> None:
    copy.without("axsim/graph/ops/relu.py")
    copy.write("axsim/graph/ops/relu.py", RELU.replace(', role="function"', ""))
    error = copy.run("-c", "import axsim.graph.ops", code=1).strip().splitlines()[-1]
    assert error == (
        "ImportError: axsim/graph/ops/relu.py: operator Relu has no role; allowed: view, join, "
        "cast, gather, matrix, norm, function, elementwise, vector"
    )


def test_a_chip(copy: Copy) -> None:
    text = (ROOT / "chips/ax650n.yaml").read_text(encoding="utf-8")
    copy.write("chips/mine.yaml", text.replace("\nname: ax650n", "\nname: mine"))
    assert copy.changed() == ["chips/mine.yaml"]
    assert "mine " in copy.axsim("chips")
    assert "InternVL2-1B on mine" in copy.axsim(
        "run", "internvl2_1b", "--chip", "mine", "--timing-only"
    )


FAMILY = """
    Family(
        "nova",
        ("nova",),
        ("Nova",),
        Parts(qk_norm="head", gated=False, activation="gelu_pytorch_tanh", mlp_bias=True),
        end_of_sequence=7,
        epsilon="norm_eps",
        required={"attention_bias": False},
    ),"""
CONFIG = """{"model_type": "nova", "num_hidden_layers": 2, "hidden_size": 32, "vocab_size": 101,
 "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "norm_eps": 1e-6,
 "hidden_act": "gelu_pytorch_tanh", "tie_word_embeddings": true}"""


def test_a_model_family(copy: Copy) -> None:
    copy.insert("axsim/models/families.py", "_ROWS = (", FAMILY)
    assert copy.changed() == ["axsim/models/families.py"]
    folder = copy.folder / "Nova-tiny"
    folder.mkdir()
    (folder / "config.json").write_text(CONFIG)
    copy.axsim("import", "Nova-tiny", "-o", "nova.yaml")
    text = (copy.folder / "nova.yaml").read_text()
    assert "family: nova" in text
    (copy.folder / "nova.yaml").write_text(text.replace("new_tokens: 16", "new_tokens: 3"))
    shown = copy.axsim("run", "nova.yaml", "--chip", "ax630c", "--set", "request.prompt_tokens=9")
    assert "Nova-tiny on ax630c" in shown
    assert "tokens/s" in shown
    count = copy.python(
        "from math import prod; from axsim.models.weights import tensor_shapes\n"
        "from axsim.spec.workload import load_workload\n"
        "model = load_workload('nova.yaml').model.config()\n"
        "print(model.decoder.rms_norm_eps, sum(map(prod, tensor_shapes(model).values())))\n"
        "from axsim.inputs.sampling import family_end; print(*family_end(model.decoder))"
    )
    attention = 2 * 32 * 32 + 2 * 32 * 16 + 2 * 8
    layer = attention + 32 * 48 + 48 + 48 * 32 + 32 + 2 * 32
    assert count.split() == ["1e-06", str(2 * layer + 32 + 101 * 32), "7"]
    (folder / "config.json").write_text(CONFIG.replace("pytorch_tanh", "quick"))
    assert "hidden_act is 'gelu_quick'" in copy.axsim("import", "Nova-tiny", code=2)


METRIC = """
    Metric(
        "sixteen_tokens_ms",
        "ms",
        "less",
        "sixteen tokens",
        "from the image to the sixteenth token",
        lambda request: request.image_to_first_token_ms + 15 * request.token_ms,
        sources=("ttft_ms", "decode_tokens_per_s"),
    ),"""


def test_a_metric(copy: Copy) -> None:
    copy.insert("axsim/system/metrics.py", "_ROWS = (", METRIC)
    assert copy.changed() == ["axsim/system/metrics.py"]
    what = ["internvl2_1b", "--chip", "ax630c", "--timing-only", "--variant", "224-u8"]
    table = copy.axsim("run", *what)
    assert "sixteen" in table
    assert "sixteen_tokens_ms" in copy.axsim("run", *what, "--csv", "-").splitlines()[0]
    value, summed = map(float, copy.python(
        "import axsim\n"
        "v = axsim.run('internvl2_1b', 'ax630c', variants=['224-u8'], timing_only=True)[0]\n"
        "print(v.sixteen_tokens_ms.value,"
        " v.image_to_first_token_ms.value + 15 * v.token_ms.value)"
    ).split())  # fmt: skip
    assert value == pytest.approx(summed)
    assert f"{value:.0f}" in table
    sweep = ["--vary", "chip.dram.peak_gbps=8,16", "--jobs", "1", "--quiet"]
    best = copy.axsim(
        "sweep", *what, *sweep, "--objective", "sixteen_tokens_ms",
        "--constraint", "sixteen_tokens_ms<9e9",
    )  # fmt: skip
    assert "chip.dram.peak_gbps=16" in best
    assert "sixteen tokens, ms" in copy.python(
        "from axsim.show.plots.axes import axis_name; print(axis_name('sixteen_tokens_ms'))"
    )


COMMAND = '''"""``axsim greet``: says hello."""

from __future__ import annotations

import typer

from axsim.cli.command import Command
from axsim.cli.options import RunOptions


def greet(options: RunOptions) -> None:
    """Greet a workload on a chip."""
    typer.echo(f"hello {options.timed()[0].workload.name} {options.overrides}")


GREET = Command("greet", greet, "axsim greet internvl2_1b --chip ax630c")
'''


def test_a_command(copy: Copy) -> None:
    copy.write("axsim/cli/greet.py", COMMAND)
    assert copy.changed() == ["axsim/cli/greet.py"]
    assert "Greet a workload on a chip." in copy.axsim("--help")
    assert "--checkpoint" in copy.axsim("greet", "--help")
    said = copy.axsim("greet", "internvl2_1b", "--chip", "ax630c", "--set", "build.vision_dtype=u8")
    assert said == "hello InternVL2-1B {'build.vision_dtype': 'u8'}\n"
