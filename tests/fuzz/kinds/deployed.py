"""What stands in for a board reads: deployed files, samples, packages of the vendor's runtime, and
what clients send to its server."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.fuzz import mutate
from tests.fuzz.bounded import outcome
from tests.fuzz.kinds import base
from tests.fuzz.kinds.kind import POST, Kind
from tests.fuzz.kinds.networks import _networks

SCRIPT = """\
import numpy as np, axengine
session = axengine.InferenceSession("m.axmodel")
print([(each.name, each.shape, each.dtype) for each in session.get_inputs()])
try:
    print(np.shape(session.run(None, {"x": np.ones((1, 3, 8, 8), np.float32)})[0]))
except ValueError as error:  # what a script may expect
    print(type(error))
"""


@cache
def _built() -> bytes:
    """A small network as deployed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base.write(folder, "n.onnx", _networks()[0])
        given = ["build", "n.onnx", "--chip", "ax630c", "-o", "out", "--no-check", "-q"]
        made = outcome(given, folder)
        assert made.code == 0, made
        (file,) = (folder / "out").glob("*.axmodel")
        return file.read_bytes()


def containers(rng: Random, folder: Path) -> list[str]:
    """A deployed file with damaged bytes, or with sound entries that say something else."""
    content = _built()
    content = mutate.blob(rng, content) if rng.random() < 0.3 else _repacked(rng, content)
    base.write(folder, "m.axmodel", content)
    base.write(folder, "script", SCRIPT)
    return ["exec", "--chip", "ax630c", "-q", "script"]


def _repacked(rng: Random, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        entries = [(name, old.read(name)) for name in old.namelist()]
    place = rng.randrange(len(entries))
    name, data = entries[place]
    action = rng.random()
    if action < 0.6:
        place = next(i for i, (each, _) in enumerate(entries) if each.endswith(".json"))
        text = json.dumps(mutate.tree(rng, json.loads(entries[place][1])))
        entries[place] = entries[place][0], text.encode("utf-8", "surrogatepass")
    elif action < 0.75 and not name.endswith(".json"):
        entries[place] = name, _array(rng, data)
    elif action < 0.85:
        odd = rng.choice(("../../x", "/x", "x/", "a\\b", "é", "\x1b", "x" * 300, entries[0][0]))
        entries[place] = odd, data
    elif action < 0.9:
        del entries[place]
    else:
        entries.append((rng.choice(("padding", "arrays/99999.npy", "x")), bytes(5000)))
    compression = rng.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,))
    out = io.BytesIO()
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", compression) as new:
        warnings.simplefilter("ignore")  # of names that are there twice
        for each, held in entries:
            new.writestr(each, held)
    return out.getvalue()


def _array(rng: Random, data: bytes = b"") -> bytes:
    """An array file of another type, shape or truth; now and then a pickle."""
    out = io.BytesIO()
    shape = rng.choice(((), (0,), (3,), (1, 3, 8, 8), (2, 3, 8, 8), (2, 3, 8, 8), (4, 3, 3, 3)))
    kind = rng.choice(
        ("f4", "f4", "f4", "f8", "f2", "i1", "i8", "u8", "?", "c8", "U3", "S2", "M8[s]", "V4")
    )
    if rng.random() < 0.3 and data:
        return mutate.blob(rng, data)
    if rng.random() < 0.1:
        np.save(out, np.array([{}, None], object), allow_pickle=True)
        return out.getvalue()
    with np.errstate(all="ignore"):
        array = np.full(shape, rng.choice((0, 1, 7))).astype(kind if kind != "V4" else "f4")
    if kind[0] == "f" and array.size and rng.random() < 0.4:
        array.reshape(-1)[0] = rng.choice((np.nan, np.inf, -np.inf))
    np.save(out, array.view("V4") if kind == "V4" else array)
    if rng.random() < 0.15:
        said = {"descr": "<f4", "fortran_order": False, "shape": (rng.choice((10**6, 2**62)),)}
        text = (repr(mutate.tree(rng, said)) + "\n").encode("utf-8", "replace")
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) % 65536) + text
    return out.getvalue()


def samples(rng: Random, folder: Path) -> list[str]:
    """What a build is calibrated on."""
    base.write(folder, "n.onnx", _networks()[0])
    out = io.BytesIO()
    compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name in rng.choice((("x",), ("x",), ("x", "y"), ("y",), ())):
            archive.writestr(f"{name}.npy", _array(rng))
    content = out.getvalue()
    if rng.random() < 0.2:
        content = _array(rng)  # one array alone
    elif rng.random() < 0.25:
        content = mutate.blob(rng, content)
    base.write(folder, "s.npz", content)
    given = ["build", "n.onnx", "--chip", "ax630c", "-o", "out", "--no-check", "-q"]
    return [*given, "--samples", "s.npz"]


def packages(rng: Random, folder: Path) -> list[str]:
    """A folder of the vendor's runtime."""
    decoders = [each for each in base.configs() if "num_hidden_layers" in each] or base.configs()
    config = rng.choice(decoders)
    layers = int(config.get("num_hidden_layers", 2))
    numbers = [str(each) for each in range(layers)]
    if rng.random() < 0.4:
        numbers[rng.randrange(len(numbers))] = rng.choice(("9" * 15, "00", "7", "٣", "9" * 100))
    chunk = rng.choice(("64", "64", "128", "0", "7", "9" * 20))
    compiled = folder / "compiled"
    compiled.mkdir(exist_ok=True)
    for number in numbers:
        with (compiled / f"q_p{chunk}_l{number}_together.axmodel").open("wb") as file:
            file.truncate(rng.choice((0, 1, 20_000, 200_000, 1 << 30)))
    runtime = {
        "axmodel_num": layers,
        "prefill_token_num": int(chunk) if len(chunk) < 4 else 64,
        "kv_cache_num": 512,
        "prefill_max_kv_cache_num_grp": [0, 128, 256],
    }
    changed = mutate.tree(rng, runtime) if rng.random() < 0.7 else runtime
    base.write(folder, "config.json", json.dumps(changed))
    own = folder / "model"
    own.mkdir(exist_ok=True)
    document = mutate.tree(rng, config) if rng.random() < 0.2 else config
    base.write(own, "config.json", json.dumps(document))
    return ["import", "."]


_PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhg"
    "GAWjR9awAAAABJRU5ErkJggg=="
)


def bodies(rng: Random, folder: Path) -> list[str]:
    """A request to the server."""
    picture = {"type": "image_url", "image_url": {"url": _PICTURE}}
    document: Any = {
        "model": "talking",
        "messages": [
            {"role": "system", "content": "be short"},
            {"role": "user", "content": [{"type": "text", "text": "what?"}, picture]},
        ],
        "stream": rng.random() < 0.3,
        "max_tokens": 2,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "seed": 7,
        "stop": ["x"],
        "stream_options": {"include_usage": True},
    }
    if rng.random() < 0.5:
        document["messages"] = [{"role": "user", "content": rng.choice(("hello", "a" * 5000, ""))}]
    if rng.random() < 0.1:
        document[rng.choice(("n", "tools", "logit_bias", "response_format"))] = mutate.odd(rng)
    if rng.random() < 0.7:
        document = mutate.tree(rng, document)
    if isinstance(document, dict) and "max_tokens" in document and rng.random() < 0.9:
        document["max_tokens"] = 2
    text = json.dumps(document)
    if rng.random() < 0.15:
        text = mutate.text(rng, text)
    if rng.random() < 0.05:
        text = rng.choice(("[" * 100_000, "9" * 5000, '{"a":' * 50_000, "", '"\\ud800"'))
    base.write(folder, "body", mutate.encoded(rng, text))
    paths = ("/v1/chat/completions",) * 30 + ("/v1/models", "/v1/models/../x", "/metrics", "//")
    return [POST, rng.choice(paths)]


KINDS = (
    Kind("containers", containers, 1.0, 4),
    Kind("samples", samples, 0.5, 2),
    Kind("packages", packages, 0.5, 3),
    Kind("bodies", bodies, 1.0, 4),
)
