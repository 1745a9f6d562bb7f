"""Providers: who executes a model. One for a chip that is its own host, one for cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axsim.axengine.stand_in import current

axengine_provider_name = "AxEngineExecutionProvider"
axclrt_provider_name = "AXCLRTExecutionProvider"

Provider = str | tuple[str, dict[str, Any]]


def get_all_providers() -> list[str]:
    """Every provider that there is."""
    return [axengine_provider_name, axclrt_provider_name]


def get_available_providers() -> list[str]:
    """Those that the board has."""
    return [axclrt_provider_name if current().card else axengine_provider_name]


def chosen(
    providers: str | Sequence[Provider] | None, options: Sequence[dict[str, Any]] | None = None
) -> tuple[str, dict[str, Any]]:
    """The first available provider of those asked for, and its options; says which are not there.

    Raises:
        ValueError: none of them is available, or what was given names no providers.
    """
    available = get_available_providers()
    if providers is None:
        return available[0], dict(options[0]) if options else {}
    if isinstance(providers, str):
        if providers not in available:
            raise ValueError(
                f"Selected provider: '{providers}' is not available. "
                f"Available providers: {available}"
            )
        return providers, dict(options[0]) if options else {}
    pairs: list[tuple[str, dict[str, Any]]] = []
    for index, each in enumerate(providers):
        own = dict(options[index]) if options and index < len(options) else {}
        if isinstance(each, str):
            pairs.append((each, own))
        elif _is_pair(each):
            pairs.append((each[0], {**own, **each[1]}))
        else:
            raise ValueError(f"providers are names or (name, options) pairs, not {each!r}")
    missing = [name for name, _ in pairs if name not in available]
    found = next((pair for pair in pairs if pair[0] in available), None)
    if found is None:
        raise ValueError(
            f"Selected provider(s): {missing} is(are) not available. "
            f"Available providers: {available}"
        )
    if missing:
        print(f"[WARNING] Selected provider(s): {missing} is(are) not available.")
    return found


def _is_pair(each: object) -> bool:
    return (
        isinstance(each, tuple | list)
        and len(each) == 2
        and isinstance(each[0], str)
        and isinstance(each[1], dict)
    )
