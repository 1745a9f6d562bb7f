"""What a result depends on, as short hashes: the code, and any document."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from axsim.spec.descriptor import data_folder

PRESENTATION = frozenset({"show", "cli", "data", "study"})
"""Rooms that show results and have no part in them."""


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Twelve hexadecimal digits that change with any source file and any shipped measurement that
    results depend on."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    ledger = data_folder("measurements").iterdir()
    for path in sorted(path for path in ledger if path.is_file()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] not in PRESENTATION:
            digest.update(name.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def file_fingerprint(path: str | Path) -> str:
    """Twelve hexadecimal digits of a file's content; external data of an ONNX file are not in
    it."""
    with Path(path).open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]


def fingerprint(document: object) -> str:
    """Sixteen hexadecimal digits of plain JSON types; the order of keys does not matter."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
