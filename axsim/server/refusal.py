"""What a client is told when its request can't be answered, in the shape of OpenAI's errors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Refusal(Exception):
    """Ends a request with ``status`` and an error object; ``param`` is the key that is wrong."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        self._message, self._param, self._code = message, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self._message, "type": kind, "param": self._param, "code": self._code}
        return {"error": error}
