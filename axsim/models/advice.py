"""What a path seems to be that a command does not take, and what to do with it."""

from __future__ import annotations

import re
from pathlib import Path

_HUB_NAME = re.compile(
    r"(?:https?:/+(?:huggingface\.co|hf\.co)/)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)"
)
_NO_CONFIG = "the config.json of its safetensors is missing: download that too"
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


def advice(path: str | Path) -> str:
    """Empty when nothing is known of such a path."""
    path = Path(path)
    if path.is_dir():
        return _of_folder(path)
    kind, name = path.suffix.lower(), path.as_posix()
    if not path.exists():
        hub = _HUB_NAME.fullmatch(name)
        if hub is None or kind in (".onnx", ".axmodel", ".yaml", ".yml", *_WEIGHTS):
            return ""
        folder = hub[1].rpartition("/")[2]
        load = f"hf download {hub[1]} --local-dir {folder}"
        return f"a model of the hub of that name is downloaded with: {load}"
    if kind == ".onnx":
        return f"an ONNX network needs no import: axsim run {name} --chip CHIP"
    if kind in (".yaml", ".yml"):
        return f"a workload, a chip or a scenario needs no import: axsim show {name}"
    if kind == ".axmodel":
        return (
            "a compiled file is no model; axsim import takes the whole folder of the vendor's "
            "package, axsim exec runs scripts on what axsim build has made"
        )
    if kind == ".gguf":
        return _imported(name)
    if path.name == "config.json":
        return _imported(path.parent.as_posix())
    if kind == ".safetensors":
        has = (path.parent / "config.json").is_file()
        return _imported(path.parent.as_posix()) if has else _NO_CONFIG
    if kind in _WEIGHTS:
        return (
            "weights alone tell no architecture: give a folder with config.json and safetensors, "
            "or export the network as ONNX"
        )
    return ""


def _imported(name: str) -> str:
    return f"axsim import {name} -o mine.yaml, then axsim run mine.yaml --checkpoint {name}"


def _of_folder(path: Path) -> str:
    if (path / "config.json").is_file() or any(path.glob("*.gguf")):
        return _imported(path.as_posix())
    networks = sorted(path.glob("*.onnx"))
    if networks:
        return advice(networks[0])
    if any(path.glob("*.safetensors")):
        return _NO_CONFIG
    return ""
