"""Making ``import axengine`` find the stand-in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType

from axsim.axengine.nodes import NodeArg
from axsim.axengine.providers import (
    axclrt_provider_name,
    axengine_provider_name,
    get_all_providers,
    get_available_providers,
)
from axsim.axengine.session import InferenceSession, SessionOptions
from axsim.axengine.stand_in import StandIn, use
from axsim.spec.chip import Chip
from axsim.spec.vnpu import Vnpu

NAME = "axengine"

PUBLIC = {
    "InferenceSession": InferenceSession,
    "SessionOptions": SessionOptions,
    "NodeArg": NodeArg,
    "axengine_provider_name": axengine_provider_name,
    "axclrt_provider_name": axclrt_provider_name,
    "get_all_providers": get_all_providers,
    "get_available_providers": get_available_providers,
}
"""Everything that the vendor's package exports."""

MODULES = {
    "_session": ("InferenceSession",),
    "_base_session": ("SessionOptions",),
    "_node": ("NodeArg",),
    "_providers": (
        "axengine_provider_name", "axclrt_provider_name", "get_all_providers",
        "get_available_providers",
    ),
}  # fmt: skip
"""Its modules that hold those names, which some scripts import from there."""


def install(
    chip: Chip | str | None = None,
    *,
    card: bool = False,
    realtime: bool = False,
    vnpu: Vnpu | str = Vnpu.disabled,
) -> StandIn:
    """Let every ``import axengine`` of this process mean the stand-in, on a new board.

    ``chip`` by name or file; without one, the chip that the first file was built for. ``card``,
    ``realtime`` and ``vnpu`` as for :class:`StandIn`, which is returned.

    Raises:
        InputError: there is no such chip, or it cannot be divided so.
    """
    board = StandIn(chip, card, realtime, vnpu)
    use(board)
    for name in (NAME, *(f"{NAME}.{each}" for each in MODULES)):
        sys.modules.pop(name, None)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    return board


class _Finder(MetaPathFinder, Loader):
    """Finds ``axengine`` and its modules; says what the vendor's package says when it is
    imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package != NAME or (module and module not in MODULES):
            return None
        return ModuleSpec(name, self, origin="axsim", is_package=not module)

    def exec_module(self, module: ModuleType) -> None:
        names = MODULES.get(module.__name__.partition(".")[2])
        if names is not None:
            vars(module).update({name: PUBLIC[name] for name in names})
            return
        vars(module).update(PUBLIC, __all__=[*PUBLIC], __version__=version("axsim"))
        print("[INFO] Available providers: ", get_available_providers())
