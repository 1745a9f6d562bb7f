"""Output files that appear whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from axsim.errors import InputError, Problem

LARGEST_JSON = 256 << 20
"""Bytes of a JSON file: tokenizers with their vocabularies take some tens of MiB."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How texts begin that spreadsheets compute."""

STDOUT = "-"
"""Path that stands for standard output."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` when the block ends without an exception. A link
    stays and what it points to is replaced; a device or a pipe is written to.

    Raises:
        InputError: the folder does not exist or cannot be written to, or it has no room.
    """
    path = Path(path)
    try:
        target = path.resolve() if path.is_symlink() else path
        if target.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if _is_device(target):
            handle, name = os.open(target, os.O_WRONLY), ""
        else:
            prefix = f".{target.name[:200]}."
            handle, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
            _unfinished.add(name)
    except OSError as error:
        raise InputError(Problem("", "", f"cannot write {path}: {error.strerror}")) from None
    try:
        with _told(path), os.fdopen(handle, "wb") as file:
            yield file
        if name:
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, target)
    except BaseException:
        if name:
            with suppress(OSError):
                os.unlink(name)
        raise
    finally:
        _unfinished.discard(name)


def remove_unfinished() -> None:
    """Delete what is being written, for a process that is about to end at once."""
    for name in tuple(_unfinished):
        with suppress(OSError):
            os.unlink(name)


_unfinished: set[str] = set()
"""Names of new files that have not taken their places."""


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """Faults of an open file (no room, an error of the disk) as InputErrors about ``path``."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename is not None or not error.strerror:
            raise  # whoever reads has enough, or it is another file
        raise InputError(Problem("", "", f"cannot write {path}: {error.strerror}")) from None


@contextmanager
def whole_text(path: str | Path) -> Iterator[IO[str]]:
    """The same for UTF-8 text; ``-`` is standard output; a name in ``.gz`` is compressed."""
    if str(path) == STDOUT:
        if sys.stdout is None:  # `>&-`
            raise InputError(Problem("", "", "cannot write standard output: it is closed"))
        with _told("standard output"):
            yield sys.stdout
            sys.stdout.flush()
        return
    with whole_file(path) as raw:
        packed = str(path).endswith(".gz")
        # No time stamp and no name inside: equal results are equal files.
        out = gzip.GzipFile("", "wb", 6, raw, mtime=0) if packed else raw
        # Half a surrogate pair, which no encoding has, becomes its escape.
        text = io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace", newline="")
        yield text
        text.flush()
        text.detach()
        if packed:
            out.close()


def check_writable(path: str | Path | None) -> None:
    """Find out before a long run that a file can't be written.

    Raises:
        InputError: as :func:`whole_file`.
    """
    if path is None or str(path) == STDOUT:
        return
    path = Path(path)
    if path.is_dir():
        raise InputError(Problem("", "", f"cannot write {path}: it is a folder"))
    if not path.parent.is_dir():
        raise InputError(Problem("", "", f"cannot write {path}: no folder {path.parent}"))
    if not os.access(path if _is_device(path) else path.parent, os.W_OK):
        raise InputError(Problem("", "", f"cannot write {path}: no permission"))


def check_outputs(*paths: str | Path | None) -> None:
    """:func:`check_writable` of all files that one command is to write, each another one.

    Raises:
        InputError: as :func:`whole_file`, or one would replace the other.
    """
    seen: set[Path] = set()
    for path in paths:
        check_writable(path)
        if path is None or str(path) == STDOUT or _is_device(Path(path)):
            continue
        if Path(path).resolve() in seen:
            raise InputError(Problem("", "", f"{path} is given for two outputs"))
        seen.add(Path(path).resolve())


def read_json(path: Path) -> Any:
    """What a JSON file of the user's holds.

    Raises:
        InputError: it cannot be read, is larger than :data:`LARGEST_JSON`, or is no JSON.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_JSON + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from None
    if len(content) > LARGEST_JSON:
        raise InputError(f"{path} is too large: more than {LARGEST_JSON >> 20} MiB")
    try:
        return json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no JSON file: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise InputError(f"{path} is no JSON file: {error}") from None
    except RecursionError:
        raise InputError(f"{path} is no usable JSON file: nested too deeply") from None


def write_json(document: Mapping[str, Any], path: str | Path) -> None:
    """Write a JSON object, indented."""
    with whole_text(path) as file:
        json.dump(document, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_csv(
    rows: Sequence[Mapping[str, Any]], path: str | Path, columns: Sequence[str] = ()
) -> None:
    """Write rows that have the same keys, ``columns`` where there may be no row; None is an empty
    cell, floats are exact. A text that a spreadsheet would compute begins with an apostrophe."""
    with whole_text(path) as file:
        names = columns or (list(rows[0]) if rows else ())
        if not names:
            return
        writer = csv.DictWriter(file, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def shortest(path: Path) -> str:
    """A path for people: from this folder if it is below it."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()
