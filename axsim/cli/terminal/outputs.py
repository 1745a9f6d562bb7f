"""Files that a command is to write, whoever reads what it says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer

_FORMATS = frozenset(
    {".axmodel", ".csv", ".gif", ".htm", ".html", ".jpeg", ".jpg", ".json", ".md", ".npy", ".npz"}
    | {".onnx", ".parquet", ".pdf", ".png", ".svg", ".tar", ".tsv", ".webp", ".xlsx", ".xml"}
    | {".yaml", ".yml", ".zip"}
)
"""Suffixes that promise a format; others, as of ``run.2024``, are part of a name."""


def written_as(*suffixes: str) -> Callable[[Path | None], Path | None]:
    """The callback of an option that names a file of one format: refuses a name whose suffix
    promises another one. ``suffixes`` are allowed, with ``.gz`` behind or not, and any that promise
    nothing."""

    def checked(value: Path | None) -> Path | None:
        if value is not None and Path(value.name.removesuffix(".gz")).suffix.lower() in others:
            raise typer.BadParameter(f"{value} promises another format; allowed: {told}")
        return value

    others = _FORMATS.difference(suffixes)
    told = ", ".join([*suffixes, *(f"{each}.gz" for each in suffixes), "or no suffix"])
    return checked


def will_write(*paths: str | Path | None) -> None:
    """At the beginning of a command: find out whether its files can be written, and see that they
    will be although the reader of its tables leaves (``| head``).

    Raises:
        InputError: as :func:`axsim.files.check_outputs`.
    """
    from axsim.files import STDOUT, check_outputs

    check_outputs(*paths)
    if any(path is not None and str(path) != STDOUT for path in paths):
        outlive_readers()


@contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Inside, ``folder`` is there to be filled; folders that were made for it and hold nothing in
    the end, because of Ctrl-C or an error, are gone again.

    Raises:
        InputError: it cannot be made.
    """
    from axsim.errors import InputError

    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {folder}: {error.strerror}") from None
        yield
    finally:
        for each in missing:
            with suppress(OSError):  # it holds something
                each.rmdir()


def outlive_readers() -> None:
    """From here on a closed pipe behind standard output or error does not end the command."""
    if sys.stdout is not None:  # None when it is closed from the start
        sys.stdout = _Patient(sys.stdout)
    if sys.stderr is not None:
        sys.stderr = _Patient(sys.stderr)


class _Patient:
    """A stream of text that nobody need read to the end."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except BrokenPipeError:
            self._leave()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._leave()

    def _leave(self) -> None:
        """What is held for the pipe, and all that follows, goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
