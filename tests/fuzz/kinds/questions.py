"""What a checkpoint is asked: prompts, pictures, chat templates, tokenizers."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import mutate
from tests.fuzz.bounded import outcome
from tests.fuzz.kinds import base
from tests.fuzz.kinds.kind import Kind
from tests.runs.talking import SPECIAL, write_model


@cache
def _model() -> Path:
    """A checkpoint that can be talked to, with its workload."""
    folder = Path(tempfile.mkdtemp(prefix="axsim-fuzz-"))
    write_model(folder)
    made = outcome(["import", ".", "-o", "w.yaml"], folder)
    assert made.code == 0, made
    return folder


def _copied(folder: Path) -> None:
    for file in _model().iterdir():
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)


def _asked(prompt: str, *more: str) -> list[str]:
    return [
        "run",
        "w.yaml",
        "--chip",
        "ax630c",
        "--checkpoint",
        ".",
        "-q",
        "--prompt",
        prompt.replace("\0", ""),
        "--set",
        "request.new_tokens=1",
        *more,
    ]


def prompts(rng: Random, folder: Path) -> list[str]:
    _copied(folder)
    special = " ".join(rng.choice(SPECIAL) for _ in range(3))
    prompt = rng.choice(
        (
            "",
            " ",
            "\n",
            "hello",
            special,
            "\ud800",
            "a\udfffb",
            "\U0010ffff",
            "é" * 50,
            "<image>",
            "<image>" * 3,
            "{}",
            "{{ 1 }}",
            "%s",
            "\x1b[31m",
            "\u202e",
            "\ufeff",
            "e\u0301" * 20,
            "hello " * rng.choice((1, 10, 200_000)),
            *mutate.TEXTS,
        )
    )
    return _asked(prompt if rng.random() < 0.7 else mutate.text(rng, prompt[:1000]))


def _picture(rng: Random) -> bytes:
    import numpy as np
    from PIL import Image

    size = rng.choice(((1, 1), (1, 300), (300, 1), (7, 5), (64, 48), (2, 2)))
    mode = rng.choice(("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F", "I", "YCbCr"))
    noise = np.random.default_rng(rng.randrange(1 << 30)).integers(
        0, 255, (size[1], size[0], 4), np.uint8
    )
    picture = Image.fromarray(noise, "RGBA")
    if mode == "I;16":
        picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    else:
        picture = picture.convert("RGB").convert(mode)
    formats = {
        "RGB": ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"),
        "CMYK": ("JPEG", "TIFF"),
        "F": ("TIFF",),
        "I": ("TIFF",),
        "YCbCr": ("JPEG", "TIFF"),
    }
    kind = rng.choice(formats.get(mode, ("PNG",)))
    out = BytesIO()
    extra: dict[str, Any] = {}
    if kind == "JPEG":
        exif = Image.Exif()
        exif[0x0112] = rng.choice((1, 3, 6, 8, 99))
        extra["exif"] = exif
    if kind == "GIF":
        extra |= {"save_all": True, "append_images": [picture] * 3}
    picture.save(out, kind, **extra)
    return out.getvalue()


def _bomb(rng: Random) -> bytes:
    """A small file of a large picture."""
    import zlib

    side = rng.choice((9_000, 13_000, 60_000))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    head = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 4096))
        + chunk(b"IEND", b"")
    )


def pictures(rng: Random, folder: Path) -> list[str]:
    _copied(folder)
    action = rng.random()
    content = _bomb(rng) if action < 0.05 else _picture(rng)
    if action > 0.5:
        content = mutate.blob(rng, content)
    name = rng.choice(("p.png", "p.jpg", "p", "p.gif", "p.svg"))
    base.write(folder, name, content)
    more = ["--dynamic-tiling"] if rng.random() < 0.2 else []
    return _asked("what", "--image", name, *more)


_LOOPS = (
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ 'a' * 10**10 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a'.ljust(10**10) }}",
    "{% set ns = namespace(x='aaaaaaaa') %}"
    "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ (range(100000)|list) * 100000 }}",
    "{{ 9**9**9 }}",
)
_ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ raise_exception.__globals__ }}",
    "{{ messages.append(1) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{{ strftime_now('%Y') }}",
    "{{ strftime_now('\x00') }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ messages[0]['content'].format(messages) }}",
    "{{ 1/0 }}",
    "{{ nothing.at.all }}",
    "{{ messages[7].content }}",
    "{{ raise_exception('\x1b[31mno') }}",
    "{{ messages | tojson(indent='x') }}",
    "{% endfor %}",
)
_PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def templates(rng: Random, folder: Path) -> list[str]:
    _copied(folder)
    config = json.loads((_model() / "config.json").read_text())
    del config["template"]
    (folder / "config.json").unlink(missing_ok=True)
    base.write(folder, "config.json", json.dumps(config))
    action = rng.random()
    source = rng.choice(_ESCAPES) if action < 0.4 else mutate.text(rng, _PLAIN)
    if action > 0.98:
        source = rng.choice(_LOOPS)
    place = rng.random()
    if place < 0.6:
        base.write(folder, "chat_template.jinja", mutate.encoded(rng, source))
    else:
        described = {"chat_template": source, "eos_token": "<|im_end|>"}
        odd = mutate.tree(rng, described) if rng.random() < 0.3 else described
        base.write(folder, "tokenizer_config.json", json.dumps(odd))
    return _asked("hello")


def tokenizers(rng: Random, folder: Path) -> list[str]:
    _copied(folder)
    document = json.loads((_model() / "tokenizer.json").read_text())
    (folder / "tokenizer.json").unlink()
    if rng.random() < 0.3:
        content = mutate.blob(rng, json.dumps(document).encode())
    else:
        model = document.pop("model")
        if rng.random() < 0.4:
            small = mutate.tree(
                rng, {k: v for k, v in model.items() if k not in ("vocab", "merges")}
            )
            model = {**model, **small} if isinstance(small, dict) else small
        else:
            document = mutate.tree(rng, document)
        if isinstance(document, dict):
            document["model"] = model
        content = json.dumps(document).encode()
    base.write(folder, "tokenizer.json", content)
    return _asked("hello")


def emptied(folder: Path) -> None:
    """Ready for the next input."""
    for file in folder.iterdir():
        shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()


KINDS = (
    Kind("prompts", prompts, 0.5, 1),
    Kind("pictures", pictures, 1.0, 2),
    Kind("templates", templates, 0.5, 1),
    Kind("tokenizers", tokenizers, 0.5, 2),
)
