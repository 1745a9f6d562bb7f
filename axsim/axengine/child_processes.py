"""Processes that a script starts: each finds ``axengine`` on a board of its own.

A forked process has it from its parent. One that begins anew finds ``started/axengine.py`` on the
path that it inherits, and in its environment what the board is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from axsim.axengine.install import NAME, install
from axsim.axengine.stand_in import StandIn
from axsim.spec.board import load_board

VARIABLE = "AXSIM_BOARD"
_FOLDER = str(Path(__file__).parent / "started")


def board_of(chip: str | None = None, board: str | None = None, **how: Any) -> StandIn:
    """Install a stand-in, with the chip of a board when one is named; InputError as
    :func:`install`."""
    return install(chip if board is None else load_board(board).chip_on_it(), **how)


@contextmanager
def told_to_processes(**how: Any) -> Iterator[None]:
    """Processes that are started in the block have the board of :func:`board_of`."""
    named = {key: _whole(each) if key in ("chip", "board") else each for key, each in how.items()}
    before = {key: os.environ.get(key) for key in (VARIABLE, "PYTHONPATH")}
    os.environ[VARIABLE] = json.dumps(named)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_FOLDER, before["PYTHONPATH"])))
    sys.path.insert(1, _FOLDER)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
        if _FOLDER in sys.path:
            sys.path.remove(_FOLDER)


def take_over() -> None:
    """Put the stand-in where ``axengine`` is being imported."""
    board_of(**json.loads(os.environ.get(VARIABLE, "{}")))
    import_module(NAME)


def _whole(name: str | None) -> str | None:
    """A file's path as it is from any folder; other names as they are."""
    return os.path.abspath(name) if name is not None and os.path.exists(name) else name
