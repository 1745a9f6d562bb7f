"""Sessions with the surface of the vendor's Python package.

From its public documentation: names, arguments, what is printed, which mistakes are ValueErrors.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from axsim.axengine.nodes import NodeArg
from axsim.axengine.providers import Provider, axclrt_provider_name, chosen
from axsim.axengine.stand_in import StandIn, current
from axsim.axmodel.archive import Archive
from axsim.axmodel.model import Argument, Model
from axsim.errors import InputError
from axsim.kernels.array import Array
from axsim.spec.chip import Chip
from axsim.spec.vnpu import Vnpu

_FAMILIES = {"Neutron v3": "MC50", "Neutron v4": "MC20E"}
"""How the vendor's runtime calls the chips of each NPU generation."""
_CORES = {1: "single core", 2: "dual core", 3: "triple core"}


class ModelError(InputError, RuntimeError):
    """A file cannot be loaded; RuntimeError is what the vendor's runtime raises."""


class SessionOptions:
    """Options of a session; the runtime has none."""


class InferenceSession:
    """A model on the board.

    ``providers``: a name, a list of names, or of (name, options) pairs; the first available one is
    taken. ``provider_options``: one mapping for each; ``device_id`` counts cards from 0.

    Raises:
        ValueError: no provider is available, or there is no such device.
        FileNotFoundError: no such file.
        ModelError: it is no file of ``axsim build``, damaged, or for another chip.
    """

    def __init__(
        self,
        path_or_bytes: str | bytes | os.PathLike[str],
        sess_options: SessionOptions | None = None,
        providers: str | Sequence[Provider] | None = None,
        provider_options: Sequence[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        self._provider, options = chosen(providers, provider_options)
        device = options.get("device_id", 0)
        if device != 0:
            raise ValueError(f"device_id {device!r} is not there; this board has device 0")
        print(f"[INFO] Using provider: {self._provider}")
        self._options = sess_options or SessionOptions()
        self._sess = _Engine(path_or_bytes, current(), self._provider)

    @classmethod
    def load_from_model(cls, model_path: str | os.PathLike[str]) -> InferenceSession:
        """A session as scripts for the first releases of the package ask for it."""
        return cls(model_path)

    def get_session_options(self) -> SessionOptions:
        """The options that the session was given."""
        return self._options

    def get_providers(self) -> str:
        """The provider that was taken."""
        return self._provider

    def get_inputs(self, shape_group: int = 0) -> list[NodeArg]:
        """The inputs of a shape group; ValueError when there is no such group."""
        return self._sess.get_inputs(shape_group)

    def get_outputs(self, shape_group: int = 0) -> list[NodeArg]:
        """The outputs of a shape group; ValueError when there is no such group."""
        return self._sess.get_outputs(shape_group)

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Array],
        run_options: Any = None,
        shape_group: int = 0,
    ) -> list[Array]:
        """The outputs asked for (all when None), in that order, as new arrays.

        Raises:
            ValueError: no such group or output, an input is missing, has another shape or dtype
                than :meth:`get_inputs` says, or positions beyond the compiled context.
        """
        return self._sess.run(output_names, input_feed, run_options, shape_group)

    def __enter__(self) -> InferenceSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sess._unload()


class _Engine:
    """What is behind a session."""

    def __init__(
        self, path_or_bytes: str | bytes | os.PathLike[str], board: StandIn, provider: str
    ) -> None:
        self._board = board
        if isinstance(path_or_bytes, bytes | bytearray):
            source: Path | io.BytesIO = io.BytesIO(path_or_bytes)
            name = "bytes.axmodel"
        else:
            source = Path(os.fspath(path_or_bytes))
            name = str(source)
            if not source.exists():
                raise FileNotFoundError(2, "No such file or directory", name)

        def opened(chip: Any) -> Model:
            return Model(Archive(source, name), chip, board.known)

        try:
            model = board.load(opened)
        except InputError as error:
            raise ModelError(error.problems) from None
        self._model: Model | None = model
        board.check_mode(model.manifest.npu_mode)
        self._usage = board.joined(model.name.removesuffix(".axmodel"), model.manifest.part)
        chip = board.chip
        assert chip is not None
        is_first = board.usage.sessions[0] is self._usage
        _tell(model, chip, provider, board.vnpu if is_first else None)

    def get_inputs(self, shape_group: int = 0) -> list[NodeArg]:
        return [_node(each) for each in self._loaded(shape_group).inputs(shape_group)]

    def get_outputs(self, shape_group: int = 0) -> list[NodeArg]:
        return [_node(each) for each in self._loaded(shape_group).outputs(shape_group)]

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Array],
        run_options: Any = None,
        shape_group: int = 0,
    ) -> list[Array]:
        model = self._loaded(shape_group)
        every = [each.name for each in model.outputs(shape_group)]
        wanted = every if output_names is None else list(output_names)
        for name in wanted:
            if name not in every:
                raise ValueError(
                    f"Output name '{name}' is not in model outputs name list. Allowed: {every}"
                )
        inputs = model.inputs(shape_group)
        missing = [each.name for each in inputs if each.name not in input_feed]
        if missing:
            raise ValueError(
                f"Required inputs ({missing}) are missing from input feed ({list(input_feed)})."
            )
        for each in inputs:
            _check(each, input_feed[each.name])
        try:
            found, _ = self._board.call(
                model, shape_group, self._usage, lambda: model.run(shape_group, input_feed)
            )
        except IndexError as error:  # of a position or an index of a table
            what = f"model inputs point beyond what the model has: {error.__cause__ or error}"
            raise ValueError(what) from None
        return [np.array(found[name]) for name in wanted]

    def _unload(self) -> None:
        if self._model is not None:
            self._board.unload(self._model)
        self._model = None

    def __del__(self) -> None:
        if getattr(self, "_model", None) is not None:
            self._unload()

    def _loaded(self, shape_group: int) -> Model:
        """The model; ValueError when it is unloaded or has no such group."""
        if self._model is None:
            raise ValueError("the session is closed")
        count = len(self._model.groups)
        if not isinstance(shape_group, int | np.integer) or not 0 <= shape_group < count:
            raise ValueError(f"Shape group '{shape_group}' is out of range, total {count}.")
        return self._model


def _check(argument: Argument, array: object) -> None:
    """ValueError for what is no array of the input's shape and dtype."""
    expected = f"shape {list(argument.shape)} and dtype {argument.dtype}"
    if not isinstance(array, np.ndarray):
        found = f"a {type(array).__name__}"
    elif not argument.holds(array):
        found = f"input with shape {list(array.shape)} and dtype {array.dtype}"
    else:
        return
    raise ValueError(f"model inputs({argument.name}) expect {expected}, however gets {found}")


def _node(argument: Argument) -> NodeArg:
    return NodeArg(argument.name, argument.dtype, list(argument.shape))


def _tell(model: Model, chip: Chip, provider: str, vnpu: Vnpu | None) -> None:
    """What the runtime prints: of the chip, whose ``vnpu`` type the first session knows, then of
    each model."""
    family = _FAMILIES.get(chip.npu.generation, chip.name)
    groups = model.deployment.mode.groups
    if vnpu is not None:
        on_card = provider == axclrt_provider_name
        of_chip = f"SOC Name: {chip.name.upper()}" if on_card else f"Chip type: ChipType.{family}"
        print(f"[INFO] {of_chip}")
        print(f"[INFO] VNPU type: VNPUType.{vnpu.name.upper()}")
        print(f"[INFO] Engine version: axsim {version('axsim')}, simulated")
    print(f"[INFO] Model type: {_model_type(chip, model.manifest.npu_mode, groups)}")
    print(f"[INFO] Compiler version: {model.manifest.toolchain} {model.manifest.made_by}")


def _model_type(chip: Chip, mode: str, groups: int) -> str:
    """Number and name of how many cores a model takes, as the runtime counts them."""
    if chip.npu.resource_groups == 1:
        return "1 (full core)" if mode == chip.default_mode else "0 (half core)"
    return f"{groups - 1} ({_CORES.get(groups, f'{groups} cores')})"
