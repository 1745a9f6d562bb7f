"""The journal of a sweep: finished points, one JSON line each, safe from whatever ends the process.

Lines are only appended, and are on the disk before a point counts as finished. A line that was cut
short by a crash or changed since, as its checksum tells, is dropped when the journal is opened
again; lines of journals from before there were checksums are believed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any
from zlib import crc32

from axsim.errors import InputError, Problem

Rows = list[dict[str, Any]]


class Journal:
    """``finished`` maps the keys of points to their rows. Use as a context manager.

    Raises InputError when the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.finished: dict[str, Rows] = {}
        try:
            self._file: IO[bytes] = open(path, "a+b")  # noqa: SIM115  (closed by __exit__)
        except OSError as error:
            raise InputError(Problem("", "", f"cannot write {path}: {error.strerror}")) from None
        if not _locked(self._file):
            self._file.close()
            what = f"{path} is being written by another process"
            raise InputError(Problem("", "", what, "one sweep for an output"))
        self._read()

    @staticmethod
    def beside(output: Path) -> Path:
        """Where the journal of an output file is."""
        return output.with_name(f"{output.name}.journal")

    def add(self, entries: Iterable[tuple[str, Rows]]) -> None:
        """Append finished points; returns when they are on the disk."""
        for key, rows in entries:
            self.finished[key] = rows
            line = {"point": key, "rows": rows, "crc32": _checksum(key, rows)}
            text = json.dumps(line, ensure_ascii=False) + "\n"
            self._file.write(text.encode("utf-8", "surrogatepass"))  # as json.loads reads it
        self._file.flush()
        os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Delete the file: its points are in the output."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.truncate(whole)
        for line in content[:whole].splitlines():
            try:
                entry = json.loads(line)
            except (
                ValueError,
                RecursionError,
            ):  # a hole left by a power failure: that point is computed again
                continue
            if not _is(entry) or not {"point", "rows"} <= entry.keys() <= _KEYS:
                continue
            point, rows = entry["point"], entry["rows"]
            if not (isinstance(point, str) and isinstance(rows, list) and all(map(_is, rows))):
                continue
            if "crc32" not in entry or entry["crc32"] == _checksum(point, rows):
                self.finished[point] = rows

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


_KEYS = {"point", "rows", "crc32"}


def _checksum(point: str, rows: Rows) -> int:
    """Of a line's values, which JSON gives back as they were."""
    return crc32(json.dumps([point, rows]).encode())


def _is(entry: object) -> bool:
    return isinstance(entry, Mapping)


def _locked(file: IO[bytes]) -> bool:
    """Whether the file is this process's alone until it is closed; always where there are no
    locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
